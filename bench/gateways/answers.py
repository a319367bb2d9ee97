"""Find the end of an HTTP/1.1 answer, for the load generators; no more of HTTP than they need."""

import re
from typing import Final

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_STATUS: Final = slice(9, 12)


class Answer:
    """The answer that a connection is receiving."""

    __slots__ = ("_buffer", "_ends_at", "_head_bytes", "status")

    def __init__(self) -> None:
        self.status = 0
        self._buffer = b""
        self._head_bytes = 0
        self._ends_at = 0

    def feed(self, data: bytes) -> bool:
        """Take what came; True when the answer is complete, and the next one may begin."""
        buffer = self._buffer = self._buffer + data if self._buffer else data
        if not self._head_bytes and not self._read_head(buffer):
            return False
        complete = len(buffer) >= self._ends_at if self._ends_at else buffer.endswith(_LAST_CHUNK)
        if complete:
            self._buffer, self._head_bytes = b"", 0
        return complete

    def _read_head(self, buffer: bytes) -> bool:
        at = buffer.find(_HEAD_END)
        if at < 0:
            return False
        self._head_bytes = at + len(_HEAD_END)
        self.status = int(buffer[_STATUS])
        length = _LENGTH.search(buffer, 0, at)
        self._ends_at = self._head_bytes + int(length[1]) if length else 0
        return True
