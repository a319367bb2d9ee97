"""Whose request it is: key, address and ring to a caller, or why it is nobody's.

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
_LOOPBACK: Final = ("127.", "::1", "::ffff:127.")


@dataclass(frozen=True, slots=True)
class Stranger:
    """Nobody that is known."""

    why: str
    """`missing_key`, `wrong_key` or `too_many_wrong_keys`; a metric's label."""
    until: float | None = None
    """Shut out: until when; monotonic seconds."""


def identify(  # noqa: PLR0917 -- what a request shows, and who judges it
    ring: KeyRing[Caller],
    guesses: Guesses,
    headers: Iterable[Header],
    query: bytes,
    address: str,
    now: float,
) -> Caller | Stranger:
    """Return whose key a request shows; counts wrong ones by address (`guesses` says whose are not)."""
    key = key_of(headers, query)
    if key is None:
        return _NO_KEY
    digest = ring.digest(key)
    if not guesses.is_quiet and (until := guesses.shut_until(address, digest, now)) is not None:
        return Stranger(SHUT_OUT, until)
    caller = ring.owner(digest)
    local = address.startswith(_LOOPBACK)
    if caller is None:
        if not local:
            guesses.wrong(address, now)
        return _WRONG_KEY
    if not local:
        guesses.right(address, digest)
    return caller


_NO_KEY: Final = Stranger(MISSING)
_WRONG_KEY: Final = Stranger(WRONG)
