"""One sidecar's link: holds its report stream open and keeps the newest documents pushed.

    down --connect--> greeted (Hello is from the pod we mean) --> state pushed --> snapshot pushed --> kept
      ^                                                                                                |
      +------------------------- any failure, after a pause that doubles up to 2 s <-------------------+

Newest wins: a slow sidecar has at most one push of each document under way and none queued. Fleet state goes
first and never waits for configuration. What the documents say is left to `publish.py`, what the reports
mean to the listener.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from prometheus_client import Counter, Histogram

from cliproxy_api import codec
from cliproxy_api.report import Hello, Report
from cliproxy_api.snapshot import Position
from cliproxy_operator.clock import Clock
from cliproxy_operator.documents import Body
from cliproxy_operator.gate import Gate
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.tasks import first_failure, happens
from cliproxy_operator.transport import ANSWER_TIMEOUT_S, Answer, DocumentName, Peer, Transport
from cliproxy_operator.view import SidecarId
from cliproxy_operator.wire.trouble import LinkError

log = logging.getLogger(__name__)

TAKEN: Final = 200
PAUSE_FIRST_S: Final = 0.05
PAUSE_MAX_S: Final = 2.0
REFUSALS: Final = 5
"""Refusals of one document in a row, each answered with a later position, before the link is made anew."""
REFRESH_S: Final = 1800.0
"""A state that has not changed for so long, or half as long, is pushed again: that keeps its connection from
being closed as idle, which the next trip of the whole fleet would pay for with its handshakes."""
LATE_S: Final = 1.0
"""A state whose push took longer is pushed once more: its instants are read relative to its sending, and a
sidecar that was paused meanwhile has read them late by as long."""
STABLE_S: Final = 5.0
"""A link that held this long starts again with the shortest pause."""


class Document(Protocol):
    """A document as it is to be sent: its content may be the same for many links."""

    digest: str

    def render(self) -> tuple[Position, Body]:
        """Return what to send now, and its place in the order."""
        ...


class Listener(Protocol):
    """Who hears what a link brings."""

    def greeted(self, sidecar: SidecarId, hello: Hello) -> None:
        """The link stands."""
        ...

    def heard(self, sidecar: SidecarId, report: Report) -> None:
        """One report line after the first."""
        ...

    def answered(self, sidecar: SidecarId, document: DocumentName, digest: str, answer: Answer) -> None:
        """A push of this content was taken (200) or refused for good (422, `running.error` says why)."""
        ...

    def lost(self, sidecar: SidecarId, reason: str) -> None:
        """The link is down; it is being tried again."""
        ...

    def outrun(self, sidecar: SidecarId, seen: Position) -> None:
        """The sidecar has a later position than ours, of the same or a later epoch."""
        ...

    def deposed(self, sidecar: SidecarId, epoch: int) -> None:
        """The sidecar follows a leader of a later epoch than the link's, and does not say which."""
        ...


@dataclass(slots=True)
class Slot:
    """One document's way to the sidecar."""

    name: DocumentName
    newest: Callable[[], Document | None]
    changed: asyncio.Event
    took_s: Histogram
    taken: Counter
    sent: Document | None = None


class Link:
    """The link to one sidecar pod."""

    def __init__(
        self,
        sidecar: SidecarId,
        address: str,
        *,
        epoch: int,
        documents: dict[DocumentName, Callable[[], Document | None]],
        transport: Transport,
        listener: Listener,
        connecting: Gate,
        configuring: Gate,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`documents` gives the newest of each.

        `connecting` bounds how many links connect at once, `configuring` how many bytes of snapshots are on
        their way at once.
        """
        self.sidecar = sidecar
        self.peer = Peer(sidecar.namespace, address)
        self.epoch = epoch
        self._transport = transport
        self._listener = listener
        self._connecting = connecting
        self._configuring = configuring
        self._clock = clock
        self._metrics = metrics
        self._nudged = asyncio.Event()
        self._renewed = asyncio.Event()
        self._last_trouble = ""
        self._unpacks = False
        """Whether the sidecar takes packed pushes; told in its hello."""
        self._slots = {
            name: Slot(
                name,
                newest,
                asyncio.Event(),
                took_s=metrics.push_s.labels(name),
                taken=metrics.pushes.labels(name, str(TAKEN)),
            )
            for name, newest in documents.items()
        }

    def wake(self, document: DocumentName) -> None:
        """Say that a newer document is there."""
        self._slots[document].changed.set()

    def nudge(self) -> None:
        """Say that the pod has changed: a pause before the next try is cut short."""
        self._nudged.set()

    def renew(self) -> None:
        """Say that our certificate is a new one: the stream moves over, the new connection comes first."""
        self._renewed.set()

    async def run(self) -> None:
        """Keep the link, until cancelled; a defect of ours ends it, and its owner begins it again."""
        try:
            await self._keep_up()
        except Exception as error:
            self._listener.lost(self.sidecar, f"a defect of the operator: {type(error).__name__}")
            raise
        finally:
            self._transport.forget(self.peer)

    async def _keep_up(self) -> None:
        pause_s = PAUSE_FIRST_S
        while True:
            started_s = self._clock.now()
            try:
                await self._hold()
            except LinkError as error:
                self._metrics.link_failures.labels(error.trouble).inc()
                self._say(error)
                if error.trouble == "deposed":
                    self._listener.deposed(self.sidecar, self.epoch)
                self._listener.lost(self.sidecar, f"{error.trouble}: {error}")
            if self._clock.now() - started_s > STABLE_S:
                pause_s = PAUSE_FIRST_S
            await happens(self._nudged, pause_s * (0.5 + self._clock.chance.random()))
            self._nudged.clear()
            pause_s = min(pause_s * 2, PAUSE_MAX_S)

    def _say(self, error: LinkError) -> None:
        """Log a trouble once, however often it comes back; that a pod is not there is no news."""
        expected = error.trouble in {"connect", "closed"} or str(error) == self._last_trouble
        self._last_trouble = str(error)
        level = logging.DEBUG if expected else logging.WARNING
        log.log(level, "link broke", extra={"sidecar": str(self.sidecar), "reason": str(error)})

    async def _hold(self) -> None:
        """Connect and serve the link until it fails with a `LinkError`."""
        async with contextlib.AsyncExitStack() as stack:
            async with self._connecting.passing():
                lines = await stack.enter_async_context(self._transport.reports(self.peer, self.epoch))
                hello = await self._hello(lines)
            self._unpacks = codec.PACKED in hello.encodings
            self._listener.greeted(self.sidecar, hello)
            for slot in self._slots.values():
                slot.sent = None
            snapshot, state = self._slots["snapshot"], self._slots["state"]
            newest = snapshot.newest()
            if newest is not None and newest.digest == hello.running.digest:
                snapshot.sent = newest  # it runs this already: a new leader need not send it again
            stated = asyncio.Event()
            await first_failure(
                self._hear(lines),
                *([self._maintain(self._slots["parts"])] if hello.keeps_parts else ()),
                self._maintain(state, begun=stated),
                self._maintain(snapshot, after=stated),
                self._refresh(state),
            )

    async def _hear(self, lines: AsyncIterator[bytes]) -> None:
        """Read the stream, each time from a new connection after `renew`, until that fails."""
        async with contextlib.AsyncExitStack() as stack:
            reading = asyncio.ensure_future(self._read(lines))
            stack.push_async_callback(_end, reading)
            while True:
                renewed = asyncio.ensure_future(self._renewed.wait())
                stack.push_async_callback(_end, renewed)
                await asyncio.wait({reading, renewed}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    await reading
                self._renewed.clear()
                async with self._connecting.passing():
                    lines = await stack.enter_async_context(self._transport.reports(self.peer, self.epoch))
                    await self._hello(lines)
                    await self._transport.warm(self.peer)
                # The sidecar ends the former stream; what it has said on it until then is heard to the end.
                with contextlib.suppress(LinkError):
                    await reading
                reading = asyncio.ensure_future(self._read(lines))
                stack.push_async_callback(_end, reading)

    async def _hello(self, lines: AsyncIterator[bytes]) -> Hello:
        """Read the first line: nothing is sent to a peer that is not our pod, as addresses are reused."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                hello = codec.decode_report(await anext(lines))
        except TimeoutError:
            raise LinkError("timeout", "no hello came in time") from None
        except codec.DecodeError as error:
            raise LinkError("malformed", f"first report line: {error}") from None
        except StopAsyncIteration:
            raise LinkError("closed", "no report line came") from None
        if not isinstance(hello, Hello):
            raise LinkError("malformed", "the first report line is no hello")
        if (hello.namespace, hello.sidecar) != (self.sidecar.namespace, self.sidecar.pod):
            raise LinkError("stranger", f"{hello.namespace}/{hello.sidecar} answers at this pod's address")
        return hello

    async def _read(self, lines: AsyncIterator[bytes]) -> None:
        async for line in lines:
            try:
                report = codec.decode_report(line)
            except codec.DecodeError as error:
                raise LinkError("malformed", f"report line: {error}") from None
            self._metrics.reports.labels(report.__struct_config__.tag or "").inc()
            self._listener.heard(self.sidecar, report)
        raise LinkError("closed", "the report stream ended")

    async def _maintain(
        self, slot: Slot, *, after: asyncio.Event | None = None, begun: asyncio.Event | None = None
    ) -> None:
        """Keep the newest of one document pushed; from `after` on, and set `begun` after the first push."""
        if after is not None:
            await after.wait()
        while True:
            slot.changed.clear()
            await self._settle(slot, begun)
            await slot.changed.wait()

    async def _refresh(self, slot: Slot) -> None:
        """Have the same pushed again when nothing was for long."""
        while True:
            before = slot.sent
            await asyncio.sleep(REFRESH_S * (0.5 + self._clock.chance.random() / 2))
            if slot.sent is before:
                slot.sent = None
                slot.changed.set()

    async def _settle(self, slot: Slot, begun: asyncio.Event | None) -> None:
        """Push until what the sidecar has is the newest there is."""
        refusals = 0
        is_repeat = False
        if begun is not None and slot.newest() is None:
            begun.set()
        while (document := slot.newest()) is not None and document is not slot.sent:
            started_s = self._clock.now()
            if await self._push(slot, document):
                is_repeat = slot.name == "state" and not is_repeat and self._clock.now() - started_s > LATE_S
                slot.sent = None if is_repeat else document
                refusals = 0
                if begun is not None:
                    begun.set()
            elif (refusals := refusals + 1) >= REFUSALS:
                raise LinkError("malformed", f"{REFUSALS} pushes in a row refused as too old")

    async def _push(self, slot: Slot, document: Document) -> bool:
        """Push once; whether this document is done with (taken, or refused for good)."""
        name = slot.name
        position, rendered = document.render()
        packed = rendered.packed() if self._unpacks else None
        body = rendered.content if packed is None else packed
        started_s = self._clock.now()
        # State never waits for configuration, its own link's or another's.
        if name == "snapshot":
            async with self._configuring.passing(len(body)):
                answer = await self._transport.put(self.peer, name, body, packed=packed is not None)
        else:
            answer = await self._transport.put(self.peer, name, body, packed=packed is not None)
        slot.took_s.observe(self._clock.now() - started_s)
        if answer.status == TAKEN:
            slot.taken.inc()
        else:
            self._metrics.pushes.labels(name, str(answer.status)).inc()
        if answer.status != 409:  # noqa: PLR2004 -- HTTP's own number
            self._listener.answered(self.sidecar, name, document.digest, answer)
            return True
        running = answer.running
        seen = {"snapshot": running.snapshot, "state": running.state, "parts": running.parts}[name]
        newest = max(running.snapshot, running.state, running.parts)
        if newest.epoch > position.epoch:
            self._listener.outrun(self.sidecar, newest)
        if newest.epoch > position.epoch or seen < position:  # what refused us has not pushed anything yet
            raise LinkError("deposed", "the sidecar follows a newer leader")
        self._listener.outrun(self.sidecar, seen)
        return False


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait for its end; how it ended is no news any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
