"""Server-sent events from bytes, incrementally, with nothing lost.

Each event keeps the exact bytes it was read from, so that a relay passes them on byte for byte: all `raw` in
order, then `finish()`'s, are the input. What an event means is left to `stream` and `usage`.
Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream" (read 2026-11).
"""

import re
from typing import Final

import msgspec

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
"""One event. Inline images and audio come as base64 in one; a stream without line ends stops here."""

_LINE_END: Final = rb"(?:\r\n|\n|\r(?!\n))"
_EVENT_END: Final = re.compile(_LINE_END + _LINE_END)
_LINES: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"
_LONGEST_END: Final = 4


# A Struct, not a dataclass: one is made per chunk of every stream.
class Event(msgspec.Struct, frozen=True, gc=False):
    """One event, or a block that is none (comments, keep-alives): then `event` is None and `data` empty."""

    event: str | None
    data: bytes
    """All data lines, joined by a line feed."""
    raw: bytes
    """Exactly what was received, blank line included."""


class SSETooLarge(ValueError):
    """An event beyond the bound: the provider's fault.

    Nothing is lost: `events` came before it, `rest` is what has been received of it and after it.
    """

    def __init__(self, events: list[Event], rest: bytes, max_event_bytes: int) -> None:
        super().__init__(f"an event of more than {max_event_bytes} bytes")
        self.events = events
        self.rest = rest


class SSEParser:
    """Bytes of one stream in, events out. The same events come out however the bytes are cut.

    Lines end in LF, CRLF or CR. An event that ends in a lone CR at the end of the bytes so far is held until
    the next byte shows whether a LF belongs to it; no provider is known to end lines so.
    """

    __slots__ = ("_first", "_max_event_bytes", "_pending", "_scanned")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._pending = bytearray()
        self._scanned = 0
        self._first = True
        self._max_event_bytes = max_event_bytes

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that these bytes complete.

        Raises:
            SSETooLarge: an event beyond the bound. The parser is of no further use.

        """
        if not self._pending:
            events, end = self._events(data, 0)
            self._pending += data[end:]
        else:
            # Appending in place: an event that comes in many pieces is copied once, not once per piece.
            self._pending += data
            events, end = self._events(self._pending, self._scanned)
            del self._pending[:end]
        if len(self._pending) > self._max_event_bytes:
            raise SSETooLarge(events, bytes(self._pending), self._max_event_bytes)
        self._scanned = max(len(self._pending) - _LONGEST_END, 0)
        return events

    def _events(self, buffer: bytes | bytearray, scan: int) -> tuple[list[Event], int]:
        """Return the complete events of the buffer and where the rest begins."""
        events: list[Event] = []
        start = 0
        if buffer.find(b"\r") < 0:
            # Nearly every stream: the same as below, several times faster.
            while (found := buffer.find(b"\n\n", scan)) >= 0:
                start = scan = self._take(events, buffer, start, found + 2)
            return events, start
        while (match := _EVENT_END.search(buffer, scan)) is not None:
            end = match.end()
            if end == len(buffer) and buffer.endswith(b"\r"):
                break
            start = scan = self._take(events, buffer, start, end)
        return events, start

    def _take(self, events: list[Event], buffer: bytes | bytearray, start: int, end: int) -> int:
        """Add the event between the two places; return the second."""
        if end - start > self._max_event_bytes:
            raise SSETooLarge(events, bytes(buffer[start:]), self._max_event_bytes)
        events.append(self._event(bytes(buffer[start:end])))
        return end

    @property
    def between_events(self) -> bool:
        """Whether the bytes so far end with an event: what follows begins one."""
        return not self._pending and not self._first

    def finish(self) -> Event | None:
        """Return what stands unfinished at the end of the stream, None if nothing does.

        Its data is given as if a blank line had followed: some servers end without one.
        """
        rest, self._pending, self._scanned = bytes(self._pending), bytearray(), 0
        return self._event(rest) if rest else None

    def _event(self, raw: bytes) -> Event:
        block = raw
        if self._first:
            self._first = False
            block = block.removeprefix(_BOM)
        if block.startswith(b"data: ") and block.find(b"\n") == len(block) - 2 and block.find(b"\r") < 0:
            return Event(None, block[6:-2], raw)
        return _parse(block, raw)


def _parse(block: bytes, raw: bytes) -> Event:
    name: str | None = None
    data: list[bytes] = []
    for line in _LINES.split(block):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace") or None
    return Event(name, b"\n".join(data), raw)
