"""Heads that come again: a client's requests on one connection mostly differ in `Content-Length` alone.

What was parsed once need not be parsed anew where the bytes are the same, so such a request is known by
comparison, and what its headers become is kept with its head. Everything else is left to the parser: whatever
is not exactly one whole request with exactly these bytes in its head is none of ours.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cliproxy_sidecar.core.h1request import Request

MAX_HEAD_BYTES: Final = 8 * 1024
"""One head is kept per connection; SDKs' are below 1 KB."""
MAX_MISSES: Final = 8
"""In a row, after which a caller is taken for one whose heads are never the same."""
_MAX_DIGITS: Final = 10
_MAX_BLOCKS: Final = 16
_LENGTH: Final = b"content-length"
_UNFIT: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect"})


class KnownHead:
    """The head of one request, apart from the value of its length."""

    __slots__ = ("_after", "_at", "_before", "_blocks", "_pattern")

    def __init__(self, pattern: "Request", at: int, before: bytes, after: bytes) -> None:
        self._pattern = pattern
        self._at = at
        """Where the length stands among the headers."""
        self._before, self._after = before, after
        """The head up to that value, and behind it."""
        self._blocks: dict[object, bytes] = {}

    def read(self, data: bytes) -> "Request | None":
        """Return the request if these bytes are exactly one with this head."""
        before, after = self._before, self._after
        if not data.startswith(before):
            return None
        start = len(before)
        stop = data.find(b"\r", start, start + _MAX_DIGITS + 1)
        value = data[start:stop]
        if stop < 0 or not value.isdigit() or not data.startswith(after, stop):
            return None
        body = data[stop + len(after) :]
        if len(body) != int(value):
            return None
        return self._pattern.again(self, self._at, value, body, len(data))

    def block(self, sieve: object) -> bytes | None:
        """Return what was kept for this sieve, which must not look at the length."""
        return self._blocks.get(sieve)

    def keep(self, sieve: object, block: bytes) -> None:
        """Keep what the headers become for a sieve (compared by identity)."""
        if len(self._blocks) >= _MAX_BLOCKS:
            self._blocks.clear()  # Those of earlier configurations.
        self._blocks[sieve] = block


def learn(data: bytes, request: "Request") -> KnownHead | None:
    """Return the head of a request that these bytes are, and nothing else; None: not to be known again."""
    end = data.find(b"\r\n\r\n") + 4
    if not request.complete or not request.keep_alive or end > MAX_HEAD_BYTES:
        return None
    if len(data) != end + request.body_bytes:
        return None
    lengths = [at for at, (name, _) in enumerate(request.headers) if name == _LENGTH]
    if len(lengths) != 1 or any(name in _UNFIT for name, _ in request.headers):
        return None
    head, value = data[:end], request.headers[lengths[0]][1]
    lower = head.lower()
    start = lower.find(b"\n" + _LENGTH)
    if start < 0 or lower.count(_LENGTH) != 1 or not value.isdigit():
        return None
    start = head.find(value, start + 1 + len(_LENGTH))
    stop = start + len(value)
    if start < 0 or head[stop : stop + 2] != b"\r\n":
        return None
    # Not the request itself: its body is nobody's but its own.
    pattern = type(request)(request.method, request.path, request.query, request.headers)
    pattern.has_id = request.has_id
    return KnownHead(pattern, lengths[0], head[:start], head[stop:])
