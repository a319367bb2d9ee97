"""Brings finished spans to a receiver in batches, beside the requests, and never at their cost.

The queue is bounded: what has no room is counted and dropped. A batch that fails is tried again after a
growing pause, a bounded number of times; so the most that is held is the queue and one batch. What the bytes
mean is `core.tracing.otlp`'s.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_api.snapshot import Timeouts
from cliproxy_sidecar.core.tracing.otlp import rejected, request
from cliproxy_sidecar.proxy.tracing.delivery import Delivered, Delivery
from cliproxy_sidecar.proxy.upstream import Upstream
from cliproxy_sidecar.runtime.clock import now_s
from cliproxy_sidecar.runtime.metrics import Counter, Gauge, Metrics
from cliproxy_sidecar.runtime.tasks import Tasks

log = logging.getLogger(__name__)

MAX_QUEUED: Final = 2048
"""Spans; OpenTelemetry's default. About 2 MB."""
MAX_QUEUED_BYTES: Final = 4 * 1024 * 1024
MAX_BATCH: Final = 512
"""OpenTelemetry's default; a body of about half a megabyte."""
LINGER_S: Final = 1.0
"""How long a span waits for others; OpenTelemetry's default is 5, and people look at what they just did."""
MAX_TRIES: Final = 5
"""Of one batch; with the pauses between them they take about 15 s, and at most 65 s if nothing answers."""
FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 30.0
LOG_EVERY_S: Final = 60.0
TIMEOUTS: Final = Timeouts(connect_s=5.0, first_byte_s=10.0, idle_s=10.0, total_s=10.0)

SENT: Final = ("sent",)
QUEUE_FULL: Final = ("queue_full",)
REFUSED: Final = ("refused",)
GIVEN_UP: Final = ("given_up",)
SHUTDOWN: Final = ("shutdown",)


class Exporter:
    """The spans that wait, and the loop that sends them; `configure` says where to."""

    def __init__(
        self, *, dial: Callable[[], Upstream], about: tuple[bytes, bytes], chance: Chance, metrics: Metrics
    ) -> None:
        """`about`: resource and scope (see `otlp.resource`). `dial` is called at the first batch."""
        self._about = about
        self._chance = chance
        self._delivery = Delivery(dial, TIMEOUTS)
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._url = ""
        self._some = asyncio.Event()
        self._many = asyncio.Event()
        self._moved = asyncio.Event()
        """The receiver's address has changed: pauses on the old one's account end."""
        self._loop: asyncio.Task[None] | None = None
        self._failing_since: float | None = None
        self._told_s = 0.0
        self.is_full = False
        """Looked at before a span is made."""
        self.spans = Counter("cliproxy_trace_spans", "Recorded spans, by what became of them.", "result")
        self.tries = Counter("cliproxy_trace_exports", "Batches of spans sent, by what came of it.", "result")
        metrics.count(self.spans)
        metrics.count(self.tries)
        metrics.gauge(
            Gauge("cliproxy_trace_queue_spans", "Spans that wait.", read=lambda: {(): len(self._queue)})
        )

    def configure(self, url: str, tasks: Tasks) -> None:
        """Send to this address from now on, what waits already included."""
        if url != self._url:
            self._url = url
            self._moved.set()
        if self._loop is None:
            self._loop = tasks.keep(self._run, "traces")

    # ------------------------------------------------------------------ on the data path
    def offer(self, span: bytes) -> None:
        """Queue one encoded span."""
        queue = self._queue
        queue.append(span)
        self._bytes += len(span)
        waiting = len(queue)
        if waiting == 1:
            self._some.set()
        elif waiting >= MAX_BATCH or self._bytes >= MAX_QUEUED_BYTES:
            self._many.set()
            self.is_full = waiting >= MAX_QUEUED or self._bytes >= MAX_QUEUED_BYTES

    def dropped(self) -> None:
        """Count a span for which there was no room."""
        self.spans.add(QUEUE_FULL)

    # ------------------------------------------------------------------ beside it
    async def _run(self) -> None:
        while True:
            if not self._queue:
                self._some.clear()
                await self._some.wait()
            if len(self._queue) < MAX_BATCH:
                self._many.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_S):
                        await self._many.wait()
            await self._deliver(self._take())

    def _take(self) -> list[bytes]:
        queue = self._queue
        batch = [queue.popleft() for _ in range(min(len(queue), MAX_BATCH))]
        self._bytes -= sum([len(span) for span in batch])
        self.is_full = False
        return batch

    def _put_back(self, batch: list[bytes]) -> None:
        self._queue.extendleft(reversed(batch))
        self._bytes += sum([len(span) for span in batch])

    async def _deliver(self, batch: list[bytes]) -> None:
        """Send a batch, if need be several times; count what became of its spans."""
        body, pause_s = request(self._about, batch), FIRST_PAUSE_S
        try:
            for _ in range(MAX_TRIES - 1):
                self._moved.clear()
                result = await self._delivery.send(self._url, body)
                if not result.again:
                    return self._settled(result, len(batch))
                self.tries.add(("retried",))
                self._failed(result)
                wait_s = pause_s if result.after_s is None else result.after_s
                await self._pause(min(wait_s, MAX_PAUSE_S) * (1 + self._chance.random() / 2))
                pause_s *= 2
            result = await self._delivery.send(self._url, body)
        except asyncio.CancelledError:
            self._put_back(batch)  # `drain` has the last word on these.
            raise
        return self._settled(result, len(batch))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._moved.wait()

    def _settled(self, result: Delivered, count: int) -> None:
        """Count what has become of a batch for good."""
        if not result.taken:
            self.tries.add(("failed",))
            self.spans.add(GIVEN_UP if result.again else REFUSED, count)
            return self._failed(result)
        lost, why = rejected(result.body)
        lost = min(lost, count)
        self.tries.add(("ok",))
        self.spans.add(SENT, count - lost)
        if lost:
            self.spans.add(REFUSED, lost)
            log.warning("the trace receiver has refused %s of %s spans: %s", lost, count, why)
        if self._failing_since is not None:
            log.info("traces are sent again, after %.0f s", now_s() - self._failing_since)
            self._failing_since = None
        return None

    def _failed(self, result: Delivered) -> None:
        """Say that traces cannot be sent: at once, then once a minute."""
        now = now_s()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._told_s < LOG_EVERY_S:
            return
        self._told_s = now
        log.warning("traces cannot be sent to %s: %s; requests go on", self._url, result.why)

    async def drain(self, within_s: float) -> None:
        """Send what waits, each batch once, and end; what does not get out in time is counted."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait({self._loop})
            self._loop = None
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._queue:
                    batch = self._take()
                    try:
                        result = await self._delivery.send(self._url, request(self._about, batch))
                    except asyncio.CancelledError:
                        self._put_back(batch)
                        raise
                    if result.again:
                        self._put_back(batch)
                        break
                    self._settled(result, len(batch))
        if lost := len(self._queue):
            self.spans.add(SHUTDOWN, lost)
            log.warning("%s spans are lost: the trace receiver did not take them before the end", lost)
            self._queue.clear()
        await self._delivery.aclose()
