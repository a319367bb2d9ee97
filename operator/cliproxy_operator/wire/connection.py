"""One connection to a sidecar: one request at a time, whose answer is a whole body or lines without an end.

What is asked, and what an answer means, is left to `transport.py`; what its bytes are to `answers.py`.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final, Self, cast

from cliproxy_api.codec import MAX_REPORT_LINE_BYTES
from cliproxy_operator.wire.answers import MAX_ANSWER_BYTES, AnswerError, AnswerReader
from cliproxy_operator.wire.trouble import LinkError, Trouble, broken, not_connected

MAX_UNREAD_LINES: Final = 10_000
"""As many as a sidecar queues for us; beyond that it has to wait."""

MAX_RECORD_BYTES: Final = 2**14
"""Of one TLS record (RFC 8446 section 5.1); what is larger is not copied for its head's sake."""
_NEVER: Final = float("inf")


class Connection(asyncio.Protocol):
    """One connection, made by `connect`; iterating over it gives the lines of the stream that was asked for.

    A request that fails or is cancelled ends it, since its answer may still come.
    """

    def __init__(self, on_end: Callable[["Connection"], None], context: ssl.SSLContext | None) -> None:
        """`on_end` is called when the connection has ended; `context` is what it is protected with."""
        self.context: Final = context
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._turn: asyncio.Future[None] | None = None
        self._end: tuple[Trouble, str] | None = None
        self._lines: deque[bytes] | None = None
        """Lines that nobody has read yet; None: the answer is no stream."""
        self._is_paused = False
        self._heard_at = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._due_at = _NEVER
        """When the answer that is waited for is late."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a request may be sent."""
        return self._end is None and self._turn is None

    @property
    def silent(self) -> bool:
        """Whether not one byte of the last request's answer has come."""
        return self._reader.silent

    # ------------------------------------------------------------------ requests
    async def ask(self, *request: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Send a request and return the status and body of its answer; `timeout_s` is the same every time.

        Raises:
            LinkError: none came in time, or none that can be read.

        """
        self._begin()
        reader = self._reader
        self._due_at = self._loop.time() + timeout_s
        if self._timer is None:
            self._timer = self._loop.call_later(timeout_s, self._look, timeout_s)
        self._send(request)
        try:
            await self._news()
        finally:
            self._due_at = _NEVER
            if not reader.keep_alive:
                self.close()
        return reader.status, bytes(reader.body)

    async def stream(self, *request: bytes, timeout_s: float, idle_timeout_s: float) -> int:
        """Send a request and return the status of its answer; its lines are what iterating then gives.

        Raises:
            LinkError: no head came in time, or none that can be read.

        """
        self._begin()
        self._lines = deque()
        timer = self._loop.call_later(timeout_s, self._late, timeout_s)
        self._send(request)
        try:
            while not self._reader.status:
                await self._news()
        finally:
            timer.cancel()
        self._heard_at = self._loop.time()
        self._watchdog = self._loop.call_later(idle_timeout_s, self._watch, idle_timeout_s)
        return self._reader.status

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next line, its newline cut off, bounded in size.

        Raises:
            LinkError: the stream ended, broke, or was silent for too long.

        """
        lines = self._lines
        if lines is None:
            raise AssertionError("no stream was asked for")
        while not lines:
            if self._is_paused and self._transport is not None:
                self._is_paused = False
                self._transport.resume_reading()
            if self._reader.complete:
                raise LinkError("closed", "the sidecar ended the report stream")
            await self._news()
        return lines.popleft()

    def close(self) -> None:
        """End the connection at once; what is under way fails."""
        self._fail("closed", "the connection is no longer wanted")

    # ---------------------------------------------------------- the loop's callbacks
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        peer: socket.socket | None = transport.get_extra_info("socket")
        if peer is not None:  # a node that vanished says nothing: let the system ask now and then
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._end is not None:
            return
        if self._turn is None and self._lines is None:
            self._fail("malformed", "bytes came that nobody had asked for")
            return
        try:
            self._reader.feed(data)
            self._take()
        except AnswerError as error:
            self._fail("malformed", str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """End: whoever waits hears why."""
        self._transport = None
        error = broken(exc)
        self._stop(error.trouble, str(error))
        self._on_end(self)

    # ------------------------------------------------------------------- inside
    def _begin(self) -> None:
        if self._end is not None:
            raise LinkError(*self._end)
        if self._transport is None or self._turn is not None:
            raise AssertionError("one request at a time, on a connection that stands")
        self._reader.begin()

    def _send(self, request: tuple[bytes, ...]) -> None:
        """Send head and content, as one if they are small: a TLS record costs a sixth of a whole push."""
        transport = self._transport
        if transport is None:
            raise AssertionError("a connection that has begun stands")
        if sum(map(len, request)) > MAX_RECORD_BYTES:
            transport.writelines(request)
        else:
            transport.write(b"".join(request))

    def _take(self) -> None:
        """Hand on what the reader has got."""
        reader, lines = self._reader, self._lines
        if lines is None:
            if len(reader.body) > MAX_ANSWER_BYTES:
                raise AnswerError(f"an answer is longer than {MAX_ANSWER_BYTES} bytes")
            if reader.complete:
                self._tell()
            return
        self._heard_at = self._loop.time()
        lines.extend(reader.lines())
        if len(reader.body) > MAX_REPORT_LINE_BYTES:
            raise AnswerError(f"a report line is longer than {MAX_REPORT_LINE_BYTES} bytes")
        if len(lines) > MAX_UNREAD_LINES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        if reader.status:
            self._tell()

    async def _news(self) -> None:
        """Wait until something has come; cancelled meanwhile, the connection is out of step and ends."""
        if self._end is not None:
            raise LinkError(*self._end)
        self._turn = self._loop.create_future()
        try:
            await self._turn
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._turn = None

    def _tell(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def _late(self, timeout_s: float) -> None:
        self._fail("timeout", f"no answer within {timeout_s:g} s")

    def _look(self, timeout_s: float) -> None:
        """Fail if an answer is late. One timer serves the requests of its time: most answers come at once."""
        self._timer = None
        left_s = self._due_at - self._loop.time()
        if left_s <= 0:
            self._late(timeout_s)
        elif self._due_at != _NEVER:
            self._timer = self._loop.call_later(left_s, self._look, timeout_s)

    def _watch(self, idle_timeout_s: float) -> None:
        """End a stream that is silent; looked at no oftener than it could be."""
        left_s = self._heard_at + idle_timeout_s - self._loop.time()
        if left_s <= 0:
            self._fail("timeout", f"nothing was heard for {idle_timeout_s:g} s")
        else:
            self._watchdog = self._loop.call_later(left_s, self._watch, idle_timeout_s)

    def _fail(self, trouble: Trouble, message: str) -> None:
        self._stop(trouble, message)
        if self._transport is not None:
            self._transport.abort()

    def _stop(self, trouble: Trouble, message: str) -> None:
        """Keep the first reason: what follows from it is no news."""
        if self._end is None:
            self._end = trouble, message
        for timer in (self._watchdog, self._timer):
            if timer is not None:
                timer.cancel()
        if self._turn is not None and not self._turn.done():
            self._turn.set_exception(LinkError(*self._end))


async def connect(
    address: str,
    port: int,
    *,
    context: ssl.SSLContext | None,
    name: str | None,
    timeout_s: float,
    on_end: Callable[[Connection], None],
) -> Connection:
    """Return a connection; over TLS if there is a `context`, with the certificate checked to carry `name`.

    Raises:
        LinkError: none came about in time.

    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            _, made = await loop.create_connection(
                lambda: Connection(on_end, context), address, port, ssl=context, server_hostname=name
            )
    except OSError as error:
        raise not_connected(error) from None
    return made
