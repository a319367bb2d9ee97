"""Whose request it is: key, address and ring to a caller, or why it is nobody's; and who is this machine.

A refusal's words are the data path's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cliproxy_sidecar.core.headers import Header
from cliproxy_sidecar.core.limits.callers import Caller
from cliproxy_sidecar.core.limits.guesses import Guesses
from cliproxy_sidecar.core.limits.keys import KeyRing, key_of

MISSING: Final = "missing_key"
WRONG: Final = "wrong_key"
SHUT_OUT: Final = "too_many_wrong_keys"
_LOOPBACK: Final = ("127.", "::ffff:127.")
_LOOPBACK_6: Final = "::1"
_MESH: Final = ("127.0.0.6", "::ffff:127.0.0.6")
"""Where Istio's proxy in a pod lets all callers come from (Alibaba Cloud's pages on it, 2026-11-22)."""

Address = tuple[str, int]
"""One end of a connection: host and port."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """Nobody that is known."""

    why: str
    """`missing_key`, `wrong_key` or `too_many_wrong_keys`; a metric's label."""
    until: float | None = None
    """Shut out: until when; monotonic seconds."""


def is_local(peer: Address | None, own: Address | None) -> bool:
    """Whether a connection is this machine's own: both its ends are loopback.

    The caller's end alone says nothing: the proxy of a service mesh hands on what came from anywhere, from a
    loopback address of its own to the pod's address. `kubectl port-forward` comes to loopback, as the pod's
    containers do.
    """
    return (
        peer is not None and own is not None and _loops(peer[0]) and _loops(own[0]) and peer[0] not in _MESH
    )


def identify(  # noqa: PLR0917 -- what a request shows, and who judges it
    ring: KeyRing[Caller],
    guesses: Guesses,
    headers: Iterable[Header],
    query: bytes,
    peer: Address | None,
    own: Address | None,
    now: float,
) -> Caller | Stranger:
    """Return whose key a request shows; counts wrong ones by address, but not this machine's.

    `peer` and `own` are the connection's two ends, if it still has any.
    """
    key = key_of(headers, query)
    if key is None:
        return _NO_KEY
    address = peer[0] if peer is not None else ""
    digest = ring.digest(key)
    if not guesses.is_quiet and (until := guesses.shut_until(address, digest, now)) is not None:
        return Stranger(SHUT_OUT, until)
    caller = ring.owner(digest)
    if caller is None:
        if not is_local(peer, own):
            guesses.wrong(address, now)
        return _WRONG_KEY
    if not is_local(peer, own):
        guesses.right(address, digest)
    return caller


def _loops(host: str) -> bool:
    return host.startswith(_LOOPBACK) or host == _LOOPBACK_6


_NO_KEY: Final = Stranger(MISSING)
_WRONG_KEY: Final = Stranger(WRONG)
