"""One connection: moves bytes between a transport, the reader and one answer at a time; watches deadlines.

What the bytes mean is said by `core.h1`, who may use the connection by its owner (the pool).
"""

import asyncio
from typing import Final, Protocol, cast

from cliproxy_api.snapshot import Timeouts
from cliproxy_sidecar.core.h1 import AnswerReader
from cliproxy_sidecar.core.outcome import TransportError, TransportFault
from cliproxy_sidecar.proxy.h1.answer import Answer

MAX_UNREAD_BYTES: Final = 256 * 1024
"""Above this nothing more is read from the provider until the caller has taken what there is. One read of
the event loop comes on top (256 KiB with uvloop)."""
PIECE_BYTES: Final = 64 * 1024
"""A request up to this size goes out in one write; of a larger one not much more than this is handed to the
transport at a time, which keeps no second copy of the body (TLS would)."""
EARLY_S: Final = 0.002
"""Timers of uvloop count whole milliseconds and may be that much early."""
_NEVER: Final = float("inf")
_SAYS: Final[dict[TransportFault, str]] = {
    "first_byte_timeout": "no answer in time",
    "idle_timeout": "the answer stalled",
    "total_timeout": "the attempt's time is used up",
}


class Owner(Protocol):
    """Who decides about a connection between answers."""

    def free(self, connection: "Connection") -> None:
        """Take back a connection that can serve another request."""
        ...

    def lost(self, connection: "Connection") -> None:
        """Forget a closed connection; called once for each that was adopted."""
        ...


class Connection:
    """One connection, with the methods of `asyncio.Protocol`; `owner` is set when it is adopted."""

    __slots__ = (
        "_answer",
        "_deadline",
        "_first_byte_at",
        "_idle_s",
        "_late",
        "_loop",
        "_paused",
        "_reader",
        "_timer",
        "_timer_at",
        "_total_at",
        "_transport",
        "_unsent",
        "_write_paused",
        "closed",
        "idle_since",
        "owner",
        "used",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader = AnswerReader()
        self._answer: Answer | None = None
        self._transport: asyncio.Transport | None = None
        self._unsent: memoryview | None = None
        self._paused = False
        self._write_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = _NEVER
        self._late: TransportFault = "total_timeout"
        self._first_byte_at = self._total_at = _NEVER
        self._idle_s = 0.0
        self.owner: Owner | None = None
        self.closed = False
        self.used = False
        """It has carried a request."""
        self.idle_since = 0.0

    # ------------------------------------------------------------------ one request
    def ask(
        self, head: bytes, body: bytes, timeouts: Timeouts, *, total_at: float, head_only: bool
    ) -> Answer:
        """Send one request; the answer's head is not there yet. Only on a connection without an answer."""
        reader = self._reader
        reader.begin(head_only=head_only)
        answer = self._answer = Answer(self, reader.body)
        self.used = True
        if (transport := self._transport) is None or self.closed:
            self._break(TransportError("reset", "closed before the request"))
            return answer
        self._idle_s = timeouts.idle_s
        self._total_at = total_at
        self._first_byte_at = self._loop.time() + timeouts.first_byte_s
        self._expect(self._first_byte_at, "first_byte_timeout")
        if len(body) <= PIECE_BYTES:
            transport.write(head + body)
        else:
            transport.write(head)
            self._unsent = memoryview(body)
            self._send_more(transport)
        return answer

    def expect_more(self, answer: Answer) -> None:
        """Watch the time until there is something new about the answer: its body, end or error."""
        if answer.status:
            # The longer wait holds until the body begins: providers send the head and then think.
            at = self._loop.time() + self._idle_s
            self._expect(max(at, self._first_byte_at), "idle_timeout")

    def emptied(self) -> None:
        """Note that the unread pieces were taken."""
        self._reader.body_bytes = 0
        self._resume()

    def drop(self, answer: Answer) -> None:
        """Close the connection because nobody wants the rest of the answer."""
        if self._answer is answer:
            self._detach(answer)
            self.abort()

    def abort(self) -> None:
        """Close at once; a clean farewell would wait for a peer that we have no more business with."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------- the transport's calls
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        answer = self._answer
        if answer is None:
            # Nobody asked: a farewell such as 408, or rubbish. What it belongs to cannot be known.
            self.abort()
            return
        reader = self._reader
        reader.feed(data)
        if reader.complete:
            self._finish(answer)
            return
        if reader.error is not None:
            self._break(reader.error)
            return
        news = reader.body_bytes > 0
        if not answer.status and reader.status:
            answer.status = reader.status
            answer.headers = reader.headers
            news = True
        if news:
            # Whoever waits for more sets the next deadline; a caller who does not read is no idle provider.
            self._deadline = self._total_at
            if reader.body_bytes:
                self._first_byte_at = 0.0
                if reader.body_bytes > MAX_UNREAD_BYTES:
                    self._pause()
            answer.set()

    def eof_received(self) -> None:
        """Note the provider's end; our side is closed as well."""
        self._reader.end()
        self.closed = True
        self._close_answer()
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.closed = True
        if exc is None:
            self._reader.end()
        else:
            self._reader.cut(str(exc) or type(exc).__name__)
        self._transport = None
        self._unsent = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (owner := self.owner) is not None:
            self.owner = None
            owner.lost(self)
        self._close_answer()

    def pause_writing(self) -> None:
        """Note that the transport's buffer is full."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Go on with a large body."""
        self._write_paused = False
        if self._transport is not None and self._unsent is not None:
            self._send_more(self._transport)

    # ------------------------------------------------------------------------ inside
    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _send_more(self, transport: asyncio.Transport) -> None:
        while (unsent := self._unsent) is not None and not self._write_paused:
            self._unsent = unsent[PIECE_BYTES:] if len(unsent) > PIECE_BYTES else None
            transport.write(unsent[:PIECE_BYTES])

    def _finish(self, answer: Answer) -> None:
        """Let a complete answer go and give the connection back, or close it."""
        reader, transport = self._reader, self._transport
        answer.status = reader.status
        answer.headers = reader.headers
        answer.complete = True
        self._detach(answer)
        sent = self._unsent is None and transport is not None and transport.get_write_buffer_size() == 0
        if not (sent and reader.reusable) or self.closed or self.owner is None:
            self.abort()
        else:
            self._resume()
            self.owner.free(self)
        answer.set()

    def _close_answer(self) -> None:
        """End the answer with what the reader has made of the connection's end."""
        if (answer := self._answer) is None:
            return
        if self._reader.complete:
            self._finish(answer)
        else:
            self._break(self._reader.error or TransportError("reset", "closed"))

    def _break(self, error: TransportError) -> None:
        """End the answer with an error; what arrived before it can still be read."""
        answer = self._answer
        if answer is not None:
            answer.error = error
            answer.status = self._reader.status
            answer.headers = self._reader.headers
            answer.silent = self._reader.silent
            self._detach(answer)
        self.abort()
        if answer is not None:
            answer.set()

    def _detach(self, answer: Answer) -> None:
        answer.connection = None
        self._answer = None
        self._deadline = _NEVER

    # --------------------------------------------------------------------- deadlines
    def _expect(self, at: float, late: TransportFault) -> None:
        """Break the answer with `late` at that time, or with total_timeout, whichever comes first.

        One timer serves many deadlines: it is moved only if it would strike too late, and set anew when it
        strikes too early.
        """
        if at < self._total_at:
            self._deadline, self._late = at, late
        else:
            at = self._deadline = self._total_at
            self._late = "total_timeout"
        if at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._arm(at)

    def _arm(self, at: float) -> None:
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._strike)

    def _strike(self) -> None:
        self._timer = None
        self._timer_at = _NEVER
        if self._answer is None or self._deadline == _NEVER:
            return
        if self._loop.time() + EARLY_S < self._deadline:
            self._arm(self._deadline)
            return
        late = "total_timeout" if self._deadline == self._total_at else self._late
        self._break(TransportError(late, _SAYS[late]))
