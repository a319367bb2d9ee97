"""Tells the operator: one reader, a bounded queue, and the standing truth at every beginning.

What is true is asked of `standing` when a reader attaches, so nothing is lost by a broken link, by a reader
that is too slow, or by there being none: whoever attaches next hears it. Facts come from the machines.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from cliproxy_api import codec
from cliproxy_api.report import Heartbeat, Report, Traffic

MAX_QUEUED_REPORTS: Final = 10_000
"""About 2 MB. A reader that is further behind is better served by the standing truth of a new stream."""
HEARTBEAT_S: Final = 5.0
TRAFFIC_S: Final = 1.0
_BEAT_TICKS: Final = round(HEARTBEAT_S / TRAFFIC_S)


class Reporter:
    """Hands reports to the one reader of the moment."""

    def __init__(
        self,
        *,
        standing: Callable[[], Iterable[Report]],
        traffic: Callable[[], Traffic],
        attached: Callable[[bool], None],
        used: Callable[[], Iterable[Report]] = tuple,
    ) -> None:
        """`used` gives what to tell besides traffic, once a second."""
        self._standing = standing
        self._used = used
        self._traffic = traffic
        self._on_attached = attached
        self._reader: Stream | None = None
        self.overflows = 0

    @property
    def attached(self) -> bool:
        """Whether somebody listens."""
        return self._reader is not None

    def tell(self, reports: Iterable[Report]) -> None:
        """Queue reports for the reader; without one drop them, the next stream tells what stands."""
        reader = self._reader
        if reader is None:
            return
        for report in reports:
            if not reader.put(report):
                self.overflows += 1
                self._end(reader)
                return

    def open(self) -> "Stream":
        """Return a stream for a new reader; ends the one before, and takes over what that had not said.

        Nobody is told that the former has gone: between the two there is no moment without a reader.
        """
        former = self._reader
        unsaid: tuple[Report, ...] = ()
        stream = self._reader = Stream(self._traffic, self._used, self.closed)
        if former is not None:
            unsaid = former.unsaid()
            former.end()
        self._on_attached(True)  # noqa: FBT003 -- a callback has no keywords
        for report in (*self._standing(), *unsaid):
            stream.put(report)
        return stream

    def closed(self, stream: "Stream") -> None:
        """Note that a stream's reader has gone."""
        if self._reader is stream:
            self._end(stream)

    def stop(self) -> None:
        """End the stream, so that a draining server need not wait for it."""
        if self._reader is not None:
            self._end(self._reader)

    def _end(self, stream: "Stream") -> None:
        stream.end()
        if self._reader is stream:
            self._reader = None
            self._on_attached(False)  # noqa: FBT003 -- a callback has no keywords


class Stream:
    """The lines for one reader."""

    def __init__(
        self,
        traffic: Callable[[], Traffic],
        used: Callable[[], Iterable[Report]],
        closed: Callable[["Stream"], None],
    ) -> None:
        self._traffic = traffic
        self._used = used
        self._closed = closed
        self._queue: deque[Report] = deque()
        self._wake = asyncio.Event()
        self._ended = False

    def put(self, report: Report) -> bool:
        """Queue a report; False if the reader is too far behind."""
        if len(self._queue) >= MAX_QUEUED_REPORTS:
            return False
        self._queue.append(report)
        self._wake.set()
        return True

    def unsaid(self) -> tuple[Report, ...]:
        """Return the reports that are still queued."""
        return tuple(self._queue)

    def end(self) -> None:
        """Let the reader's loop finish, dropping what is queued: the next stream begins with what stands."""
        self._ended = True
        self._wake.set()

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield encoded lines, several at a time, until the stream ends; traffic when changed, heartbeats."""
        loop = asyncio.get_running_loop()
        told, quiet_ticks = self._traffic(), 0
        self._queue.append(told)
        tick_at = loop.time() + TRAFFIC_S
        try:
            while not self._ended:
                if not self._queue:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout_at(tick_at):
                            await self._wake.wait()
                    self._wake.clear()
                if loop.time() >= tick_at:
                    tick_at, quiet_ticks = loop.time() + TRAFFIC_S, quiet_ticks + 1
                    self._queue.extend(self._used())
                    if (figures := self._traffic()) != told:
                        told = figures
                        self._queue.append(figures)
                    elif quiet_ticks >= _BEAT_TICKS:
                        self._queue.append(Heartbeat())
                if self._queue:
                    quiet_ticks = 0
                    lines = b"".join(map(codec.encode_report, self._queue))
                    self._queue.clear()
                    yield lines
        finally:
            self._closed(self)
