"""The caller's side of one request: the bounded body, the answer's bytes, whether the caller has left.

Whether anything has gone out is `stage`, which only moves forward; what is sent is decided by the exchange.
Head and body go out in one write where both are there.
"""

from enum import Enum, auto
from http import HTTPStatus
from typing import Final, Protocol

from cliproxy_sidecar.core.h1request import Request, length_of
from cliproxy_sidecar.runtime.light import Signal

_BODILESS: Final = frozenset({204, 304})
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length: "
_CLOSE: Final = b"\r\nconnection: close\r\n\r\n"
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus
}


class BodyTooLarge(Exception):
    """The request's body exceeds the bound. The caller's fault."""


class BodyTooSlow(Exception):
    """The request's body did not come in time. The caller's fault."""


class Stage(Enum):
    """What the caller has seen of an answer."""

    FRESH = auto()
    BEGUN = auto()
    ENDED = auto()


# Looking a member up in its class costs ten times as much as a name, and every request does it.
FRESH: Final = Stage.FRESH
BEGUN: Final = Stage.BEGUN
ENDED: Final = Stage.ENDED


class Line(Protocol):
    """What an answer needs of its connection."""

    write_paused: bool
    drained: Signal

    def write(self, data: bytes) -> None:
        """Send bytes; nothing happens on a closed connection."""
        ...

    def expect_body(self) -> None:
        """Wait for the body: say so to a caller that asks, and watch the time."""
        ...

    def address(self, which: str) -> tuple[str, int] | None:
        """Return the caller's address ("peername") or ours ("sockname"), if there is one."""
        ...

    @property
    def keeps(self) -> bool:
        """Whether another request may follow."""
        ...


class Sink(Protocol):
    """Where the answer to a request goes: to its caller, or to whoever stands in for callers."""

    keeps: bool

    @property
    def request(self) -> Request:
        """What was asked."""
        ...

    def begin(self, status: int, block: bytes, length: int | None = None) -> None:
        """Decide on the answer (see `Downstream`)."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes of the body; waits where they go too slowly."""
        ...

    def end(self, data: bytes = b"") -> None:
        """Send the last bytes of the body."""
        ...

    def answer(self, status: int, block: bytes, body: bytes) -> None:
        """Do as `begin` and `end` with a whole body."""
        ...


class Downstream:
    """One caller waiting for one answer."""

    __slots__ = (
        "_chunked",
        "_head",
        "_owed_bytes",
        "arrived",
        "keeps",
        "late",
        "left",
        "line",
        "request",
        "sent_bytes",
        "stage",
        "status",
    )

    def __init__(self, line: Line, request: Request) -> None:
        self.line = line
        self.request = request
        self.stage = FRESH
        self.status = 0
        self.sent_bytes = 0
        """Of the body."""
        self.left = False
        """The caller closed the connection; the request has been cancelled for it."""
        self.late = False
        """The body's time is up."""
        self.keeps = request.keep_alive
        """Another request may follow on the connection."""
        self.arrived: Signal | None = None
        """Set when something more of the body has come, or its time is up; None: nobody waits for it."""
        self._head = b""
        """Not sent yet."""
        self._chunked = False
        self._owed_bytes = 0
        """Of the declared length."""

    def whole_body(self, at_most_bytes: int) -> bytes:
        """Return the whole body if it is here and within the bound, else b"": `read_body` says what it is."""
        request = self.request
        if not request.complete or request.body_bytes > at_most_bytes:
            return b""
        return request.body()

    async def read_body(self, *, at_most_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLarge: beyond the bound, by its header or by its bytes.
            BodyTooSlow: not complete in time.

        """
        request = self.request
        if not request.complete:
            await self._wait_for_body(request, at_most_bytes)
        elif request.body_bytes > at_most_bytes:
            raise BodyTooLarge
        return request.body()

    async def _wait_for_body(self, request: Request, at_most_bytes: int) -> None:
        request.bound(at_most_bytes)
        for name, value in request.headers:
            if name == b"content-length" and length_of(value) > at_most_bytes:
                raise BodyTooLarge
        self.line.expect_body()
        self.arrived = Signal()
        while not request.complete:
            if request.is_too_large:
                raise BodyTooLarge
            if self.late:
                raise BodyTooSlow
            await self.arrived
        if request.is_too_large:
            raise BodyTooLarge

    # ------------------------------------------------------------------ sending
    def begin(self, status: int, block: bytes, length: int | None = None) -> None:
        """Decide on the answer: from here on there is no other. The head goes out with what follows it.

        `block` is its headers (see `core.headers.Sieve`) without any that says how the body is framed;
        `length` is the body's, None if only its end will tell.
        """
        self.stage = BEGUN
        self.status = status
        start = _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status
        if not self.line.keeps:
            self.keeps = False
        if length is not None:
            self._owed_bytes = length
            framing = b"\r\ncontent-length: %d" % length
        elif status in _BODILESS:
            framing = b""
        elif self.request.old:
            self.keeps = False
            framing = b""
        else:
            self._chunked = True
            framing = b"\r\ntransfer-encoding: chunked"
        self._head = start + block + framing + (_END if self.keeps else _CLOSE)

    async def write(self, data: bytes) -> None:
        """Send bytes of the body, b"" for the head alone; waits while the caller reads more slowly."""
        self._send(data, more=True)
        while self.line.write_paused:
            await self.line.drained

    def end(self, data: bytes = b"") -> None:
        """Send the last bytes of the body."""
        self._send(data, more=False)
        self.stage = ENDED
        if self._owed_bytes:
            self.keeps = False  # Only closing tells the caller that the body is not what was declared.

    def answer(self, status: int, block: bytes, body: bytes) -> None:
        """Do as `begin` and `end` with a whole body; most answers are."""
        line, size = self.line, len(body)
        start = _STATUS_LINES.get(status)
        if start is None or self.request.method == "HEAD":
            self.begin(status, block, size)
            return self.end(body)
        self.stage = ENDED
        self.status = status
        self.sent_bytes = size
        self.keeps = keeps = self.keeps and line.keeps
        length = str(size).encode()
        line.write(b"".join((start, block, _LENGTH, length, _END if keeps else _CLOSE, body)))
        return None

    def _send(self, data: bytes, *, more: bool) -> None:
        head, self._head = self._head, b""
        size = len(data)
        self.sent_bytes += size
        if self._chunked:
            if size:
                data = b"%x\r\n%b\r\n" % (size, data) if more else b"%x\r\n%b\r\n0\r\n\r\n" % (size, data)
            elif not more:
                data = b"0\r\n\r\n"
        elif self._owed_bytes:
            self._owed_bytes -= size
        if self.request.method == "HEAD":
            data, self._owed_bytes = b"", 0
        if head or data:
            self.line.write(head + data if data else head)
