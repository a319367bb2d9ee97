"""All sidecars of a run: processes with light ones (`agent`), and a few real ones; grown step by step.

The pods are objects of the API server; kubelet's part (an address, Ready) is played here.
"""

import asyncio
import itertools
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import msgspec

from cliproxy_dev.clock import now_s
from cliproxy_dev.kube import KubeApi
from cliproxy_dev.process import ManagedProcess, tethered
from fleet import objects
from fleet.channel import Channel

PORT: Final = 8318
PER_PROCESS: Final = 125
REAL: Final = 3
ANSWER_S: Final = 60.0
_BLOCKS: Final = range(200, 250)
_PARALLEL: Final = 16
_POLL_S: Final = 0.01


class AgentFailed(RuntimeError):
    """A process with light sidecars has ended or does not answer."""


class _Agent:
    """One process with light sidecars, as seen from here."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._turn = asyncio.Lock()
        self.pods: dict[str, str] = {}

    @classmethod
    async def start(cls, log: Path, channel: Channel) -> Self:
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "fleet.agent", objects.NAMESPACE, str(PORT)]
        with log.open("ab") as errors:
            child = await asyncio.create_subprocess_exec(
                *tethered([*command, f"{objects.NAMESPACE}/{objects.CHANGED}"]),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=os.environ | channel.of_sidecars | {"PYTHONPATH": str(Path(__file__).parents[1])},
                limit=2**24,
            )
        return cls(child)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    async def ask(self, **order: Any) -> Any:
        """Send one command and return its answer."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        async with self._turn, asyncio.timeout(ANSWER_S + order.get("within_s", 0.0)):
            self._child.stdin.write(msgspec.json.encode(order) + b"\n")
            line = await self._child.stdout.readline()
        if not line:
            raise AgentFailed("a process with light sidecars has ended; see its log")
        return msgspec.json.decode(line)

    async def stop(self) -> None:
        """Close its stdin, upon which it ends."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        await self._child.wait()


class Crowd:
    """The sidecars and their pods."""

    def __init__(self, api: KubeApi, folder: Path, channel: Channel) -> None:
        self.channel = channel
        self._api = api
        self._folder = folder
        self._agents: list[_Agent] = []
        self._real: dict[str, tuple[str, ManagedProcess]] = {}
        self._addresses = _addresses()
        self._http = aiohttp.ClientSession()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(agent.stop() for agent in self._agents))
        await asyncio.gather(*(process.stop() for _, process in self._real.values()))
        await self._http.close()

    @property
    def pids(self) -> list[int]:
        """The processes with light sidecars."""
        return [agent.pid for agent in self._agents]

    @property
    def size(self) -> int:
        """How many sidecars there are."""
        return self.lights + len(self._real)

    @property
    def lights(self) -> int:
        """How many of them are light."""
        return sum(len(agent.pods) for agent in self._agents)

    def some_light(self, number: int) -> str:
        """Return the name of a light sidecar, another for each number."""
        names = [pod for agent in self._agents for pod in agent.pods]
        return names[(number * 37) % len(names)]

    async def grow(self, size: int) -> None:
        """Add sidecars and their pods until there are so many."""
        new: dict[str, str] = {}
        while len(self._real) < min(REAL, size):
            new |= self._start_real()
        while (missing := size - self.size) > 0:
            agent = await self._with_room()
            room = min(missing, PER_PROCESS - len(agent.pods))
            pods = {f"pod-{self.size + number:04}": next(self._addresses) for number in range(room)}
            await agent.ask(do="open", pods=pods)
            agent.pods |= pods
            new |= pods
        gate = asyncio.Semaphore(_PARALLEL)
        await asyncio.gather(*(self._create(pod, address, gate) for pod, address in new.items()))

    async def when(self, event: str, within_s: float) -> dict[str, float]:
        """Return when each light sidecar saw an event; whoever is missing did not in time."""
        found = await asyncio.gather(
            *(agent.ask(do="when", event=event, within_s=within_s) for agent in self._agents)
        )
        return {pod: at_s for part in found for pod, at_s in part.items()}

    async def meet_429(self, pod: str, provider: str, retry_after_s: float) -> float:
        """Let a light sidecar meet a rate limit; return when."""
        at_s: float = await self._agent_of(pod).ask(
            do="429", pod=pod, provider=f"{objects.NAMESPACE}/{provider}", retry_after_s=retry_after_s
        )
        return at_s

    async def recover(self, pod: str, provider: str) -> None:
        """End a provider's cooldowns, asked for at a light sidecar."""
        await self._agent_of(pod).ask(do="recover", pod=pod, provider=f"{objects.NAMESPACE}/{provider}")

    async def work(self, providers: list[str]) -> None:
        """Let each light sidecar serve a request a second, or none."""
        ids = [f"{objects.NAMESPACE}/{name}" for name in providers]
        await asyncio.gather(*(agent.ask(do="busy", providers=ids) for agent in self._agents))

    async def real_run(self, generation: int, within_s: float) -> list[float]:
        """Return when each real sidecar was first seen to run a generation of the changed provider."""

        async def runs(address: str) -> bool:
            view = await self._view(address, "providers/status")
            return bool(view["providers"].get(objects.CHANGED, {}).get("generation") == generation)

        return await asyncio.gather(*(_until(runs, address, within_s) for address, _ in self._real.values()))

    async def real_refrain(self, provider: str, within_s: float) -> list[float]:
        """Return when each real sidecar was first seen to refrain from a provider."""

        async def refrains(address: str) -> bool:
            view = await self._view(address, "cooldown/status")
            return provider in view["providers_in_cooldown"]

        return await asyncio.gather(
            *(_until(refrains, address, within_s) for address, _ in self._real.values())
        )

    async def _view(self, address: str, what: str) -> Any:
        async with self._http.get(f"http://{address}:8317/v0/operations/{what}") as answer:
            return await answer.json()

    async def _with_room(self) -> _Agent:
        if not self._agents or len(self._agents[-1].pods) >= PER_PROCESS:
            log = self._folder / f"agent-{len(self._agents)}.log"
            self._agents.append(await _Agent.start(log, self.channel))
        return self._agents[-1]

    def _agent_of(self, pod: str) -> _Agent:
        return next(agent for agent in self._agents if pod in agent.pods)

    def _start_real(self) -> dict[str, str]:
        pod, address = f"real-{len(self._real)}", next(self._addresses)
        process = ManagedProcess(
            pod,
            [sys.executable, "-m", "cliproxy_sidecar"],
            log_path=self._folder / f"{pod}.log",
            env=os.environ
            | {
                "POD_NAME": pod,
                "POD_NAMESPACE": objects.NAMESPACE,
                "POD_IP": address,
                "CLIPROXY_PROXY_HOST": address,
            }
            | self.channel.of_sidecars,
        )
        process.start()
        self._real[pod] = (address, process)
        return {pod: address}

    async def _create(self, pod: str, address: str, gate: asyncio.Semaphore) -> None:
        document = objects.pod(pod)
        path = objects.path(document)
        async with gate:
            await self._api.create(path.rpartition("/")[0], document)
            await self._api.merge_patch(f"{path}/status", objects.pod_status(address))


async def _until(seen: Any, address: str, within_s: float) -> float:
    end_s = now_s() + within_s
    while now_s() < end_s:
        try:
            if await seen(address):
                return now_s()
        except aiohttp.ClientError:  # it has only just been started
            pass
        await asyncio.sleep(_POLL_S)
    return float("inf")


def _addresses() -> Iterator[str]:
    """Yield loopback addresses of a block that nobody listens in."""
    for block in _BLOCKS:
        with socket.socket() as probe:
            try:
                probe.bind((f"127.{block}.0.1", PORT))
            except OSError:
                continue
        break
    return (f"127.{block}.{number // 200}.{number % 200 + 2}" for number in itertools.count())
