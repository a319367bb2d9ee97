"""One kept answer: what of its head may be told again, and its form on the wire to the second level.

An answer is kept whole, as the caller saw it: a stream is its complete sequence of events. Which answers may
be kept is decided by who saw how they ended.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from cliproxy_sidecar.core.headers import Header

MAX_ENTRY_BYTES: Final = 1024 * 1024
"""One answer. Chat answers are far below; large batches of embeddings are above and not kept."""
OVERHEAD_BYTES: Final = 1024
"""What an entry takes besides its texts: objects, dictionary slots, the allocator's rounding."""
MAX_PROVIDER_CHARS: Final = 512
"""Of a provider's id: twice what Kubernetes allows in a name, and a slash."""
MAX_UNIX_S: Final = 2**40
MAX_COST_NANO_USD: Final = 10**12
"""A thousand dollars: no answer costs that."""
WIRE_VERSION: Final = 1
"""Raised when an earlier build could misread a value; values of another version are misses."""

_KEPT: Final = frozenset(
    {
        b"content-type",
        b"x-cliproxy-provider",
        b"x-cliproxy-model",
        b"x-cliproxy-left-out",
        b"x-cliproxy-estimated",
        b"openai-version",
        b"openai-model",
    }
)
"""All else in a head is about one exchange: ids, limits that are left, times, framing."""


class Entry(msgspec.Struct, frozen=True):
    """A complete answer of status 200."""

    headers: tuple[Header, ...]
    body: bytes
    provider: str
    """Whose answer it was, for the log."""
    made_at_unix_s: float
    """When the answer was complete, by the wall clock: sidecars share entries."""
    payee: str = ""
    """Id of the provider that was paid for it."""
    cost_nano_usd: int = 0

    @property
    def size_bytes(self) -> int:
        """What the entry takes in memory, at least."""
        heads = sum([len(name) + len(value) for name, value in self.headers])
        return len(self.body) + heads + OVERHEAD_BYTES

    def age_s(self, now_unix_s: float) -> float:
        """Return how old the answer is; clocks of other machines may be ahead."""
        return max(now_unix_s - self.made_at_unix_s, 0.0)


class _Wire(msgspec.Struct, array_like=True):
    version: int
    entry: Entry


_WIRE: Final = msgspec.msgpack.Decoder(_Wire)
_encode: Final = msgspec.msgpack.Encoder().encode


def kept_headers(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Return what of a head may be told again."""
    return tuple([item for item in headers if item[0] in _KEPT])


def to_wire(entry: Entry) -> bytes:
    """Write an entry for the second level."""
    return _encode(_Wire(WIRE_VERSION, entry))


def from_wire(data: bytes) -> Entry | None:
    """Read an entry; None: malformed, or another version's. Never raises."""
    try:
        wire = _WIRE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    return wire.entry if wire.version == WIRE_VERSION and _is_sound(wire.entry) else None


def _is_sound(entry: Entry) -> bool:
    """Whether we may have written the entry: whoever else can write there must not shape heads."""
    lines_hold = not any(b"\r" in value or b"\n" in value for _, value in entry.headers)
    return (
        lines_hold
        and kept_headers(entry.headers) == entry.headers
        and len(entry.body) <= MAX_ENTRY_BYTES
        and len(entry.provider) <= MAX_PROVIDER_CHARS
        and len(entry.payee) <= MAX_PROVIDER_CHARS
        and 0 <= entry.cost_nano_usd <= MAX_COST_NANO_USD
        and 0 <= entry.made_at_unix_s <= MAX_UNIX_S
    )
