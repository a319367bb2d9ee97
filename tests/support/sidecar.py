"""A real sidecar on loopback sockets, in the test's own loop, and its doors: proxy, control, observe.

`async with running_sidecar(build.push(...)) as sidecar:` gives a `RunningSidecar`; nothing of it is left
behind.
"""

import asyncio
import io
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cliproxy_api import codec
from cliproxy_api.report import Report
from cliproxy_api.snapshot import Position, Running, SnapshotPush
from cliproxy_api.state import StatePush
from cliproxy_api.vocabulary import LogLevel
from cliproxy_sidecar.runtime.logs import LogHandler, Logs
from cliproxy_sidecar.settings import Settings
from cliproxy_sidecar.wiring import Sidecar

TOKEN = "a-control-token-for-tests"
DEADLINE_S = 10.0
HOST = "127.0.0.1"


async def eventually(holds: Callable[[], object], *, what: str = "it", within_s: float = DEADLINE_S) -> None:
    """Wait until `holds()` is true; fail with a sentence when it does not come true in time."""
    try:
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110 -- the world has no event to wait on
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen within {within_s} s") from None


@dataclass
class Pushed:
    """A control answer: status and what runs."""

    status: int
    running: Running


class Reports:
    """One report stream that is being read; `seen` grows."""

    def __init__(self) -> None:
        self.seen: list[Report] = []
        self.ended = False

    def of(self, kind: type) -> list[Any]:
        """Return the reports of one kind so far."""
        return [report for report in self.seen if isinstance(report, kind)]

    async def wait_for(self, kind: type, count: int = 1) -> list[Any]:
        """Return the reports of one kind once there are `count`."""
        await eventually(lambda: len(self.of(kind)) >= count, what=f"{count} x {kind.__name__}")
        return self.of(kind)


class RunningSidecar:
    """A sidecar that serves, and how to talk to it."""

    def __init__(self, sidecar: Sidecar, log: io.BytesIO, client: httpx.AsyncClient) -> None:
        self.sidecar = sidecar
        self.client = client
        self._log = log
        ports = sidecar.servers.ports
        self.proxy_port = ports["proxy"]
        self.proxy_url = f"http://{HOST}:{ports['proxy']}"
        self.observe_url = f"http://{HOST}:{ports['observe']}"
        self.control_url = f"http://{HOST}:{ports['control']}"
        self._sequence = 0

    # ------------------------------------------------------------------ control
    async def push(self, push: SnapshotPush) -> Pushed:
        """Push a snapshot at its own position."""
        return await self._put("snapshot", codec.encode(push))

    async def push_state(self, push: StatePush) -> Pushed:
        """Push a fleet state at its own position."""
        return await self._put("state", codec.encode(push))

    async def push_next(self, push: SnapshotPush | StatePush) -> Pushed:
        """Push a document behind all that were pushed before by this method."""
        self._sequence += 1
        position = Position(1, self._sequence + 1)
        if isinstance(push, SnapshotPush):
            return await self.push(
                SnapshotPush(position=position, snapshot=push.snapshot, secrets=push.secrets)
            )
        return await self.push_state(
            StatePush(position=position, sent_at_utc=push.sent_at_utc, state=push.state)
        )

    async def _put(self, what: str, body: bytes) -> Pushed:
        url = f"{self.control_url}/v0/control/{what}"
        response = await self.client.put(url, content=body, headers=self.authority)
        return Pushed(response.status_code, codec.decode_running(response.content))

    @property
    def authority(self) -> dict[str, str]:
        """The header that makes one the operator."""
        return {"authorization": f"Bearer {TOKEN}"}

    @asynccontextmanager
    async def reports(self, *, epoch: int = 1) -> AsyncIterator[Reports]:
        """Read the report stream in the background."""
        reports, opened = Reports(), asyncio.Event()
        headers = {**self.authority, "x-cliproxy-epoch": str(epoch)}
        url = f"{self.control_url}/v0/control/reports"

        async def read() -> None:
            async with self.client.stream("GET", url, headers=headers, timeout=None) as response:
                assert response.status_code == 200
                opened.set()
                async for line in response.aiter_lines():
                    reports.seen.append(codec.decode_report(line.encode()))
            reports.ended = True

        task = asyncio.ensure_future(read())
        try:
            async with asyncio.timeout(DEADLINE_S):
                await opened.wait()
            yield reports
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # ------------------------------------------------------------------ callers
    async def post(self, path: str, body: object = None, **options: Any) -> httpx.Response:
        """Send a request through the proxy; `body` bytes as they are, all else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        return await self.client.post(self.proxy_url + path, content=content, headers=headers, **options)

    async def chat(self, model: str = "gpt-4o", prompt: str = "Hello", **fields: Any) -> httpx.Response:
        """Ask for a chat completion in OpenAI format."""
        messages = [{"role": "user", "content": prompt}]
        return await self.post("/v1/chat/completions", {"model": model, "messages": messages, **fields})

    async def message(self, model: str = "claude", prompt: str = "Hello", **fields: Any) -> httpx.Response:
        """Ask for a message in Anthropic format."""
        body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": prompt}], **fields}
        return await self.post("/v1/messages", body, headers={"anthropic-version": "2023-06-01"})

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Ask the proxy port."""
        return await self.client.get(self.proxy_url + path, **options)

    # ------------------------------------------------------------------ evidence
    def log_text(self) -> str:
        """Return everything that was logged so far."""
        self.sidecar.logs.writer.flush()
        return self._log.getvalue().decode()

    def log_lines(self, msg: str | None = None) -> list[dict[str, Any]]:
        """Return the log's lines, or those with this `msg`."""
        lines = [json.loads(line) for line in self.log_text().splitlines()]
        return [line for line in lines if msg in (None, line["msg"])]

    async def metrics(self) -> dict[str, float]:
        """Return what a scrape shows: sample with its labels -> value."""
        text = (await self.client.get(f"{self.observe_url}/metrics")).text
        samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {sample: float(value) for sample, _, value in samples}


@asynccontextmanager
async def running_sidecar(
    push: SnapshotPush | None = None,
    *,
    name: str = "sidecar-1",
    level: LogLevel | None = None,
    drain_timeout_s: float = 2.0,
    seed: int = 1,
    prepare: Callable[[Sidecar], Awaitable[None]] | None = None,
    tls_dir: Path | None = None,
    state_dir: Path | None = None,
    snapshot_file: Path | None = None,
    log_dir: Path | None = None,
) -> AsyncIterator[RunningSidecar]:
    """Run a sidecar with this snapshot; None: without one, as before the operator has spoken."""
    settings = Settings(
        pod_name=name,
        namespace="team-a",
        proxy_host=HOST,
        proxy_port=0,
        control_host=HOST,
        control_port=0,
        observe_host=HOST,
        observe_port=0,
        control_token=TOKEN if tls_dir is None else "",
        tls_dir=tls_dir,
        snapshot_file=snapshot_file,
        state_dir=state_dir,
        log_dir=log_dir or Path("/nonexistent"),
        log_level=level,
        drain_timeout_s=drain_timeout_s,
    )
    log = io.BytesIO()
    root, ours = logging.getLogger(), logging.getLogger("cliproxy_sidecar")
    old_level = root.level
    logs = Logs(log)
    handler = LogHandler(logs)
    ours.addHandler(handler)
    sidecar = Sidecar(settings, logs, chance=random.Random(seed))  # noqa: S311 -- a seeded chance
    if prepare is not None:
        await prepare(sidecar)
    await sidecar.start()
    try:
        async with httpx.AsyncClient(timeout=DEADLINE_S, verify=False) as client:  # noqa: S501 -- plain HTTP; loads no CAs
            running = RunningSidecar(sidecar, log, client)
            if push is not None:
                pushed = await running.push(push)
                assert pushed.status == 200, pushed
            yield running
    finally:
        await sidecar.stop()
        ours.removeHandler(handler)
        root.setLevel(old_level)
