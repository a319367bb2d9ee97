"""Measure contenders one after the other, on a core of their own, behind the same provider.

Load and provider share the other core. What is measured and in which order stands here; how a process is run
is `serving`'s, what the figures mean `figures`'.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from cliproxy_dev.clock import now_s
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess, ProcessFailed
from gateways import nginx, packages, payload, serving, wrk
from gateways.figures import CONNECTIONS, STREAMS, Load, Paced, Result, Streaming
from gateways.launch import Contender, Launch, Place
from gateways.packages import Cache, CannotInstall
from gateways.procfs import Usage
from gateways.version import version_of

_MIDDLE: Final = 32
"""Connections at which CPU, and the rate for half load, are taken."""
_HALF: Final = 0.5
_SLACK_S: Final = 40.0
WRK_PACKAGES: Final = ("wrk", "libluajit2-5.1-2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of each part."""

    warm: float
    load: float
    middle: float
    half: float
    streams: float
    stagger: float
    flood: float


FULL: Final = Times(warm=2, load=4, middle=6, half=5, streams=8, stagger=2, flood=5)
QUICK: Final = Times(warm=1, load=1, middle=2, half=1.5, streams=2.5, stagger=1, flood=1)


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core runs what."""

    gateway: int
    load: int

    @classmethod
    def of(cls, available: set[int]) -> "Cores":
        """Return the first two; raises ValueError when there is one only."""
        first, *others = sorted(available)
        if not others:
            raise ValueError("the race needs two cores, one for the gateway and one for the load")
        return cls(first, others[0])


@dataclass(frozen=True, slots=True)
class Track:
    """Where all run: providers that are up, load generators, times."""

    cache: Cache
    cores: Cores
    times: Times
    home: Path
    wrk_program: Path | None
    answering_port: int
    """Of the provider for requests that are not streamed."""
    streaming_port: int
    tools: dict[str, str]
    say: Callable[[str], None]

    # ------------------------------------------------------------------ whole contenders
    async def direct(self) -> Result:
        """Measure load and provider without a gateway: the base line."""
        answering = Launch(command=(), port=self.answering_port)
        streaming = Launch(command=(), port=self.streaming_port)
        loads = await self._loads(answering, None)
        paced, flood = await self._streams(streaming, None)
        return Result(
            key="direct",
            title="direct, no gateway",
            version="",
            kind="direct",
            loads=loads,
            paced=paced,
            flood=flood,
        )

    async def race(self, contender: Contender) -> Result:
        """Measure one contender. Raises `CannotInstall`, `ProcessFailed` or `LoadFailed`."""
        async with self.started(contender, self.answering_port) as (launch, process, start_s):
            loads = await self._loads(launch, process)
            half = half_direct = None
            if contender.forwards:
                rate = loads[_MIDDLE].requests_per_s * _HALF
                half = await self.paced(launch, rate)
                half_direct = await self.paced(Launch(command=(), port=self.answering_port), rate)
            memory = Usage.of(process.pid or 0).memory_bytes
        result = Result(
            key=contender.key,
            title=contender.title,
            version=contender.version,
            kind=contender.kind,
            start_s=start_s,
            memory_bytes=memory,
            loads=loads,
            half=half,
            half_direct=half_direct,
        )
        return await self._with_streams(contender, result) if contender.forwards else result

    async def _with_streams(self, contender: Contender, result: Result) -> Result:
        try:
            async with self.started(contender, self.streaming_port) as (launch, process, start_s):
                paced, flood = await self._streams(launch, process)
                memory = max(result.memory_bytes or 0, Usage.of(process.pid or 0).memory_bytes)
        except (ProcessFailed, serving.LoadFailed) as error:
            self.say(f"{contender.key}: no figures for streams: {error}")
            return result
        start_s = min(start_s, result.start_s or start_s)
        return msgspec.structs.replace(result, paced=paced, flood=flood, start_s=start_s, memory_bytes=memory)

    @asynccontextmanager
    async def started(
        self, contender: Contender, provider_port: int
    ) -> AsyncIterator[tuple[Launch, ManagedProcess, float]]:
        """Run a contender until it answers, for as long as the block lasts; the last is the start in s."""
        home = self.home / f"{contender.key}-{provider_port}"
        home.mkdir()
        launch = contender.prepare(self.cache, Place(home, provider_port, serving.three_ports()))
        command = serving.pinned(self.cores.gateway, launch.command)
        since_s = now_s()
        async with serving.running(contender.key, command, home, launch.env) as process:
            start_s = await serving.first_answer(process, launch, since_s=since_s)
            self.say(f"{contender.key}: first answer after {start_s:.2f} s")
            yield launch, process, start_s

    async def saturate(self, launch: Launch, seconds: float) -> float:
        """Keep a contender busy with requests; return how many it answered per second."""
        return (await self._saturate(launch, _MIDDLE, seconds)).requests_per_s

    async def flood(self, launch: Launch, seconds: float) -> None:
        """Keep a contender busy with streams."""
        await self._stream(launch, None, payload.FLOOD_TOKENS, seconds, 0.0)

    async def paced(self, launch: Launch, rate_per_s: float) -> Paced:
        """Send requests at a fixed rate."""
        request = self._file("request", launch.request())
        seconds = self.times.half
        command = serving.own_program("pacer", launch.port, request, _MIDDLE, seconds, rate_per_s)
        return msgspec.json.decode(await self._load(command, seconds), type=Paced)

    # ------------------------------------------------------------------ parts
    async def _loads(self, launch: Launch, process: ManagedProcess | None) -> dict[int, Load]:
        await self._saturate(launch, _MIDDLE, self.times.warm)
        loads = {}
        for connections in CONNECTIONS:
            seconds = self.times.middle if connections == _MIDDLE else self.times.load
            used_s, began_s = _cpu_s(process), now_s()
            summary = await self._saturate(launch, connections, seconds)
            used_s, took_s = _cpu_s(process) - used_s, now_s() - began_s
            loads[connections] = Load(
                requests_per_s=summary.requests_per_s,
                p50_us=summary.p50_us,
                p99_us=summary.p99_us,
                failed=summary.failed,
                cpu_us=used_s / max(1, summary.requests) * 1e6,
                busy=used_s / took_s,
            )
            self.say(f"  {connections} connections: {summary.requests_per_s:,.0f} requests/s")
        return loads

    async def _saturate(self, launch: Launch, connections: int, seconds: float) -> wrk.Summary:
        if self.wrk_program is None:
            request = self._file("request", launch.request())
            command = serving.own_program("hammer", launch.port, request, connections, seconds)
            env = {}
        else:
            headers = {"content-type": "application/json", **launch.headers}
            script = self._file("request.lua", wrk.script(launch.body(), headers).encode())
            url = f"http://127.0.0.1:{launch.port}{launch.path}"
            command = wrk.command(self.wrk_program, script, url, connections=connections, seconds=seconds)
            env = packages.libraries(self.wrk_program)
        return wrk.parse(await self._load(command, seconds, env))

    async def _streams(self, launch: Launch, process: ManagedProcess | None) -> tuple[Streaming, Streaming]:
        times = self.times
        paced = await self._stream(launch, process, payload.PACED_TOKENS, times.streams, times.stagger)
        flood = await self._stream(launch, process, payload.FLOOD_TOKENS, times.flood, 0.0)
        self.say(f"  {STREAMS} streams: {flood.tokens_per_s:,.0f} tokens/s, {paced.cpu_us:.0f} µs each")
        return paced, flood

    async def _stream(
        self, launch: Launch, process: ManagedProcess | None, tokens: int, seconds: float, stagger_s: float
    ) -> Streaming:
        request = self._file("request", launch.request(stream_tokens=tokens))
        command = serving.own_program("streamer", launch.port, request, STREAMS, seconds, stagger_s)
        used_s, began_s = _cpu_s(process), now_s()
        measured = msgspec.json.decode(await self._load(command, seconds), type=Streaming)
        used_s, took_s = _cpu_s(process) - used_s, now_s() - began_s
        cpu_us = used_s / max(1, measured.tokens) * 1e6
        return msgspec.structs.replace(measured, cpu_us=cpu_us, busy=used_s / took_s)

    async def _load(self, command: list[str], seconds: float, env: dict[str, str] | None = None) -> str:
        return await serving.load(
            serving.pinned(self.cores.load, command), limit_s=seconds + _SLACK_S, env=env
        )

    def _file(self, name: str, content: bytes) -> Path:
        path = self.home / name
        path.write_bytes(content)
        return path


@asynccontextmanager
async def open_track(
    cache: Cache, cores: Cores, times: Times, home: Path, say: Callable[[str], None]
) -> AsyncIterator[Track]:
    """Start the providers, find the load generator, and give the track."""
    tools, wrk_program = {}, None
    try:
        wrk_program = cache.debian("wrk", WRK_PACKAGES)
        tools["load"] = f"wrk {await version_of(wrk_program)}".strip()
    except CannotInstall as error:
        tools["load"] = f"our own generator over uvloop (wrk is not to be had: {error})"
    streaming_port, answering_port = free_ports(2)
    command = serving.pinned(cores.load, serving.own_program("provider", streaming_port))
    async with serving.running("provider", command, home) as streaming:
        await _until_listening(streaming, streaming_port)
        tools["streams"] = "our own provider and generator over uvloop"
        try:
            program = cache.debian("nginx", nginx.DEBIAN_PACKAGES)
        except CannotInstall as error:
            tools["provider"] = f"our own provider over uvloop (nginx is not to be had: {error})"
            yield Track(cache, cores, times, home, wrk_program, streaming_port, streaming_port, tools, say)
            return
        tools["provider"] = f"nginx {await version_of(program)}".strip()
        folder = home / "nginx"
        folder.mkdir()
        (folder / "nginx.conf").write_text(nginx.config(folder, answering_port), "utf-8")
        command = serving.pinned(cores.load, serving.first_in_line(nginx.command(program, folder)))
        async with serving.running("nginx", command, folder, packages.libraries(program)) as answering:
            await _until_listening(answering, answering_port)
            yield Track(cache, cores, times, home, wrk_program, answering_port, streaming_port, tools, say)


async def _until_listening(process: ManagedProcess, port: int) -> None:
    await serving.first_answer(process, Launch(command=(), port=port), since_s=now_s())


def _cpu_s(process: ManagedProcess | None) -> float:
    return Usage.of(process.pid).cpu_s if process is not None and process.pid is not None else 0.0
