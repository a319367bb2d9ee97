"""One caller's connection: bytes to requests, requests to whoever serves them, answers back in order.

What the bytes mean is said by `core.h1request`, what an answer looks like by `downstream`, when time is up
by the listener. One request is served at a time; who sends more meanwhile (pipelining) is not read from until
the answer is out.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, cast

from cliproxy_sidecar.core.h1request import Fault, Request, RequestReader
from cliproxy_sidecar.proxy.downstream import ENDED, FRESH, Downstream
from cliproxy_sidecar.runtime.light import Light, Signal
from cliproxy_sidecar.runtime.tasks import Tasks

KEEP_ALIVE_S: Final = 75.0
"""For a new request's head, from the last answer (or the connection's begin) on. Longer than the pools of
common HTTP clients keep idle connections, so that they close first."""
BODY_S: Final = 60.0
"""For the whole body of a request: a caller that dawdles holds a place."""
STALL_S: Final = 300.0
"""For a caller to take more of what waits for it. One that reads nothing at all for so long (an application
that forgot its stream, a machine that vanished) would hold its place and the provider's for ever."""
_NEVER: Final = float("inf")

Serve = Callable[[Downstream], Coroutine[Any, Any, None]]
"""Serves one request; returning before the answer's end breaks the connection off."""

_REFUSALS: Final = {
    Fault.MALFORMED: b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"connection: close\r\ncontent-length: 30\r\n\r\nInvalid HTTP request received.",
    Fault.HEAD_TOO_LARGE: b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n",
}


class House(Protocol):
    """What all connections of a listener share."""

    @property
    def now(self) -> float:
        """Monotonic seconds, brought up to date about once a second."""
        ...

    @property
    def serve(self) -> Serve:
        """Serves one request."""
        ...

    @property
    def tasks(self) -> Tasks:
        """Where requests go that need a task."""
        ...

    @property
    def draining(self) -> bool:
        """No connection is kept any more."""
        ...

    def joined(self, connection: "CallerConnection") -> None:
        """Note a new connection."""
        ...

    def left(self, connection: "CallerConnection") -> None:
        """Forget a closed connection."""
        ...


class CallerConnection:
    """One connection, with the methods of `asyncio.Protocol`; `deadline` is the listener's to watch."""

    __slots__ = (
        "_busy",
        "_closed",
        "_house",
        "_light",
        "_reader",
        "_reading_paused",
        "_sends_until",
        "_starting",
        "_takes_until",
        "_transport",
        "_untaken_bytes",
        "drained",
        "write_paused",
    )

    def __init__(self, house: House) -> None:
        self._house = house
        self._reader = RequestReader()
        self._transport: asyncio.Transport | None = None
        self._busy: Downstream | None = None
        """The request that is being served, or whose body is still coming although it is answered."""
        self._light: Light | None = None
        """Who serves it."""
        self._starting = False
        self._closed = False
        self._reading_paused = False
        self._sends_until = _NEVER
        """For the head or the body that is the caller's to send."""
        self._takes_until = _NEVER
        """For the caller to take some of what waits for it."""
        self._untaken_bytes = 0
        """That waited for the caller when its time to take them began."""
        self.write_paused = False
        self.drained = Signal()
        """Set when the caller has read what was in the way."""

    @property
    def deadline(self) -> float:
        """When to `strike`, in the house's time."""
        return min(self._sends_until, self._takes_until)

    # ------------------------------------------------------------- the transport's calls
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        # First joined: in a house without callers no clock has been read for as long as it was empty.
        self._house.joined(self)
        self._sends_until = self._house.now + KEEP_ALIVE_S

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        reader = self._reader
        reader.feed(data)
        busy = self._busy
        if busy is None:
            self._start()
            return
        if reader.heads:
            self._pause_reading()
        if reader.fault is not None and not busy.request.complete:
            if busy.stage is FRESH:
                self.write(_REFUSALS[reader.fault])
            self._lose(busy)
        elif self._light is not None:
            if busy.arrived is not None:
                busy.arrived.set()
        elif busy.request.complete:
            self._go_on(busy)

    def eof_received(self) -> None:
        """Close: a caller that closes its half has left."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Let whoever serves a request know that nobody waits for the answer."""
        del exc
        self._closed = True
        self._house.left(self)
        if self._busy is not None:
            self._lose(self._busy)
        self._transport = None

    def pause_writing(self) -> None:
        """Note that the caller reads too slowly."""
        self.write_paused = True
        self._await_taking()

    def resume_writing(self) -> None:
        """Let the answer go on."""
        self.write_paused = False
        if not self._closed:  # Else the transport is still there for what is left to be taken.
            self._takes_until = _NEVER
        self.drained.set()

    # --------------------------------------------------------------- what answers need
    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._transport is not None:
            self._transport.write(data)

    def expect_body(self) -> None:
        """Give the caller its time for the body from now on, and ask for it if it waits for that."""
        self._sends_until = self._house.now + BODY_S
        request = cast("Downstream", self._busy).request
        if request.expects_continue and not request.body_bytes and not request.old:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def address(self, which: str) -> tuple[str, int] | None:
        """Return the caller's address ("peername") or ours ("sockname"); None if it has none any more."""
        name = self._transport.get_extra_info(which) if self._transport is not None else None
        return (name[0], name[1]) if name else None

    @property
    def unsent_bytes(self) -> int:
        """What the caller has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    @property
    def waiting_requests(self) -> int:
        """How many pipelined requests have come behind the one that is served."""
        return len(self._reader.heads)

    @property
    def keeps(self) -> bool:
        """Whether another request may follow the one that is served."""
        return not self._house.draining and self._reader.fault is None

    # -------------------------------------------------------------- what the listener says
    def strike(self, now: float) -> None:
        """Act on what should have happened by now."""
        if self._sends_until <= now:
            self._sends_until = _NEVER
            self._miss()
        if self._takes_until <= now:
            self._takes_until = _NEVER
            untaken_bytes = self.unsent_bytes
            if 0 < self._untaken_bytes <= untaken_bytes:
                self.abort()
            elif untaken_bytes:
                self._await_taking()

    def retire(self) -> None:
        """Close now, or after the answer that is under way."""
        if self._light is None:
            self._close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------------------ inside
    def _start(self) -> None:
        """Serve what has come, one request after the other."""
        reader = self._reader
        self._starting = True
        while self._busy is None and not self._closed:
            if reader.heads and (reader.fault is None or reader.heads[0].complete):
                self._serve(reader.heads.popleft())
            elif reader.fault is not None:
                self.write(_REFUSALS[reader.fault])
                self._close()
                break
            else:
                self._resume_reading()
                break
        self._starting = False

    def _serve(self, request: Request) -> None:
        house = self._house
        self._sends_until = self._takes_until = _NEVER
        if self.write_paused:
            self._await_taking()
        busy = self._busy = Downstream(self, request)
        light = self._light = Light(house.serve(busy), "request", house.tasks, self._ended)
        light.go_on()

    def _ended(self) -> None:
        """Go on behind an answer."""
        self._light = None
        busy = self._busy
        if busy is None or self._closed:
            return
        if busy.stage is not ENDED or busy.late:
            self._close()
        elif busy.request.complete:
            self._go_on(busy)
        elif self._house.draining:
            self._close()
        else:
            # The rest of the body is dropped: closing under a caller that still sends would hide the answer.
            busy.request.bound(0)
            self._sends_until = self._house.now + BODY_S
            self._resume_reading()
            if not busy.keeps and self._transport is not None and not self._transport.is_closing():
                self._transport.write_eof()

    def _go_on(self, busy: Downstream) -> None:
        """Go on behind a request that is answered and has come whole."""
        if not busy.keeps:
            self._close()
            return
        self._busy = None
        self._sends_until = self._house.now + KEEP_ALIVE_S
        if self.write_paused:
            self._await_taking()
        reader = self._reader
        if (reader.heads or reader.fault is not None or self._reading_paused) and not self._starting:
            self._start()

    def _miss(self) -> None:
        """Act on a head or body that has not come in time."""
        busy = self._busy
        if busy is None and self.unsent_bytes:
            # No next head is due before the last answer has been taken.
            self._sends_until = self._house.now + KEEP_ALIVE_S
            if self._takes_until == _NEVER:
                self._await_taking()
        elif busy is None or self._light is None:
            self._close()
        elif not busy.request.complete:
            busy.late = True
            if busy.arrived is not None:
                busy.arrived.set()

    def _lose(self, busy: Downstream) -> None:
        """Give up a request whose caller has gone."""
        light = self._light
        if busy.stage is ENDED or light is None:
            self._close()
            return
        busy.left = True
        light.cancel()
        self._close()

    def _close(self) -> None:
        """Close when what is written has been taken."""
        if self._transport is not None and not self._closed:
            self._closed = True
            self._sends_until = _NEVER
            self._transport.close()
            self._await_taking()

    def _await_taking(self) -> None:
        """Give the caller its time to take what waits for it."""
        self._untaken_bytes = self.unsent_bytes
        self._takes_until = self._house.now + STALL_S

    def _pause_reading(self) -> None:
        if not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
