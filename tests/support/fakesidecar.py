"""A sidecar's control port as the operator sees it, which misbehaves on command.

It takes pushes as the real one does (positions, digests, answers) and streams the report lines that a test
hands it. Nothing of the data plane is in here.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from cliproxy_api import codec
from cliproxy_api.report import Applied, Heartbeat, Hello, Report
from cliproxy_api.snapshot import Position, Running, SnapshotPush
from cliproxy_api.state import PartsPush, StatePush
from cliproxy_dev.accepting import all_accepted

HEARTBEAT_S = 5.0
TOKEN = "a-control-token-for-tests"
_hosts = itertools.count(2)


def fresh_address() -> str:
    """Return a loopback address that no other fake of this process has."""
    number = next(_hosts)
    return f"127.77.{number // 250}.{number % 250 + 1}"


class FakeSidecar:
    """One fake pod; `async with fake.serving(port)` listens."""

    def __init__(self, pod: str, namespace: str = "shop", *, address: str = "127.0.0.1") -> None:
        self.pod, self.namespace, self.address = pod, namespace, address
        self.running = Running()
        self.snapshots: list[SnapshotPush] = []
        self.states: list[StatePush] = []
        self.parts: list[PartsPush] = []
        self.keeps_parts = False
        """As older ones do not."""
        self.order: list[str] = []
        self.streams = 0
        """Report streams opened so far."""
        self.epochs: list[int] = []
        self.newest_epoch = 0
        self.changed = asyncio.Condition()
        self.refuse_snapshots = ""
        """Why snapshots are refused (422); empty: they are taken."""
        self.encodings: tuple[str, ...] = (codec.PACKED,)
        self.coded: list[str] = []
        """The content coding of each push."""
        self.gate = asyncio.Event()
        """While clear, pushes wait: a slow sidecar."""
        self.gate.set()
        self.door = asyncio.Event()
        """While clear, who wants to read waits for the first line: a sidecar that is slow to greet."""
        self.door.set()
        self.concurrent_pushes = 0
        self.most_concurrent_pushes = 0
        self._lines: asyncio.Queue[bytes | None] | None = None

    @property
    def snapshot(self) -> SnapshotPush | None:
        """The newest snapshot taken."""
        return self.snapshots[-1] if self.snapshots else None

    @property
    def state(self) -> StatePush | None:
        """The newest state taken."""
        return self.states[-1] if self.states else None

    def tell(self, report: Report | bytes) -> None:
        """Send a report line, or raw bytes, to the reader."""
        assert self._lines is not None, "nobody reads"
        self._lines.put_nowait(report if isinstance(report, bytes) else codec.encode_report(report))

    def cut(self) -> None:
        """End the report stream."""
        if self._lines is not None:
            self._lines.put_nowait(None)

    @property
    def read(self) -> bool:
        """Whether somebody reads the stream."""
        return self._lines is not None

    async def until(self, seen: Any, within_s: float = 10.0) -> None:
        """Wait until `seen()` is true."""
        async with asyncio.timeout(within_s), self.changed:
            await self.changed.wait_for(seen)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[int]:
        """Listen; the value is the port."""
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_put("/v0/control/snapshot", self._snapshot)
        app.router.add_put("/v0/control/state", self._state)
        app.router.add_put("/v0/control/parts", self._parts)
        app.router.add_get("/v0/control/reports", self._reports)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, self.address, port)
        await site.start()
        server: Any = site._server
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            self.cut()
            self.gate.set()
            self.door.set()
            await all_accepted()
            await runner.cleanup()

    async def _push(self, request: web.Request, name: str, refusal: str, *, older: bool, epoch: int) -> int:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401
        self.coded.append(request.headers.get("Content-Encoding", ""))
        self.concurrent_pushes += 1
        self.most_concurrent_pushes = max(self.most_concurrent_pushes, self.concurrent_pushes)
        try:
            await self.gate.wait()
        finally:
            self.concurrent_pushes -= 1
        if older or epoch < self.newest_epoch:
            return 409
        self.newest_epoch = epoch
        if refusal:
            return 422
        self.order.append(name)
        return 200

    async def _snapshot(self, request: web.Request) -> web.Response:
        push = codec.decode_snapshot_push(await request.read())
        older = push.position < self.running.snapshot
        status = await self._push(
            request, "snapshot", self.refuse_snapshots, older=older, epoch=push.position.epoch
        )
        if status == 200:
            self.snapshots.append(push)
            self._run(push.snapshot.digest, push.position, self.running.state)
        error = self.refuse_snapshots if status == 422 else None
        return await self._answer(status, error)

    async def _state(self, request: web.Request) -> web.Response:
        push = codec.decode_state_push(await request.read())
        older = push.position < self.running.state
        status = await self._push(request, "state", "", older=older, epoch=push.position.epoch)
        if status == 200:
            self.states.append(push)
            self._run(self.running.digest, self.running.snapshot, push.position)
        return await self._answer(status, None)

    async def _parts(self, request: web.Request) -> web.Response:
        push = codec.decode_parts_push(await request.read())
        older = push.position < self.running.parts
        status = await self._push(request, "parts", "", older=older, epoch=push.position.epoch)
        if status == 200:
            self.parts.append(push)
            self.running = msgspec.structs.replace(self.running, parts=push.position)
        return await self._answer(status, None)

    async def _answer(self, status: int, error: str | None) -> web.Response:
        async with self.changed:
            self.changed.notify_all()
        running = msgspec.structs.replace(self.running, error=error)
        return web.Response(status=status, body=codec.encode(running))

    def _run(self, digest: str, snapshot: Position, state: Position) -> None:
        self.running = Running(digest=digest, snapshot=snapshot, state=state, parts=self.running.parts)
        if self._lines is not None:
            self.tell(Applied(running=self.running))

    async def _reports(self, request: web.Request) -> web.StreamResponse:
        epoch = int(request.headers["x-cliproxy-epoch"])
        self.epochs.append(epoch)
        if epoch < self.newest_epoch:
            return web.Response(status=409, body=codec.encode(self.running))
        self.newest_epoch = epoch
        await self.door.wait()
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        lines = self._lines = asyncio.Queue()
        self.streams += 1
        hello = Hello(
            sidecar=self.pod,
            namespace=self.namespace,
            version="test",
            running=self.running,
            encodings=self.encodings,
            keeps_parts=self.keeps_parts,
        )
        await response.write(codec.encode_report(hello))
        async with self.changed:
            self.changed.notify_all()
        try:
            while (line := await _next(lines)) is not None:
                await response.write(line)
        except ConnectionError:
            pass
        finally:
            if self._lines is lines:
                self._lines = None
            async with self.changed:
                self.changed.notify_all()
        return response


async def _next(lines: asyncio.Queue[bytes | None]) -> bytes | None:
    """Return the next line to write; a heartbeat when there is nothing to tell, as the real one does."""
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            return await lines.get()
    except TimeoutError:
        return codec.encode_report(Heartbeat())
