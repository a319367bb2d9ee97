"""Redis's wire format, as far as a cache needs it: commands out, replies in, incrementally and bounded.

Sans-IO. Source: Redis serialization protocol specification, RESP2 (read 2026-11). Replies in arrays are not
asked for, so they count as faults.
"""

from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 4096
"""Of a status or an error."""


class RespError(ValueError):
    """What came is no reply: the server's fault, and the connection is of no further use."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An error reply, such as `NOAUTH Authentication required.`; at most 200 characters."""

    message: str


Reply = bytes | int | str | Refused | None
"""A value, a count, a status, an error, or nothing there."""


def command(*parts: bytes) -> bytes:
    """Return a command as it goes out."""
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


class ReplyReader:
    """Bytes of one connection in, replies out, however the bytes are cut."""

    __slots__ = ("_max_bulk_bytes", "_pending")

    def __init__(self, *, max_bulk_bytes: int) -> None:
        self._pending = bytearray()
        self._max_bulk_bytes = max_bulk_bytes

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that these bytes complete.

        Raises:
            RespError: they are none, or one is beyond the bound.

        """
        self._pending += data
        replies: list[Reply] = []
        at = 0
        while (found := self._next(at)) is not None:
            reply, at = found
            replies.append(reply)
        del self._pending[:at]
        return replies

    def _next(self, at: int) -> tuple[Reply, int] | None:
        """Return the reply that begins here and where it ends; None: it is not complete."""
        pending = self._pending
        end = pending.find(b"\r\n", at, at + MAX_LINE_BYTES)
        if end < 0:
            if len(pending) - at >= MAX_LINE_BYTES:
                raise RespError("a line without end")
            return None
        kind, line = pending[at : at + 1], bytes(pending[at + 1 : end])
        if kind == b"$":
            return self._bulk(line, end + 2)
        if kind == b"+":
            return line.decode("utf-8", "replace"), end + 2
        if kind == b"-":
            return Refused(line.decode("utf-8", "replace")[:200]), end + 2
        if kind == b":":
            return _whole(line), end + 2
        raise RespError("an unknown kind of reply")

    def _bulk(self, line: bytes, start: int) -> tuple[Reply, int] | None:
        size = _whole(line)
        if size < 0:
            return None, start
        if size > self._max_bulk_bytes:
            raise RespError(f"a value of {size} bytes")
        end = start + size
        if len(self._pending) < end + 2:
            return None
        if self._pending[end : end + 2] != b"\r\n":
            raise RespError("a value without end")
        return bytes(self._pending[start:end]), end + 2


def _whole(line: bytes) -> int:
    if len(line) > 20 or not line.removeprefix(b"-").isdigit():  # noqa: PLR2004 -- of 64 bits
        raise RespError("a number that is none")
    return int(line)
