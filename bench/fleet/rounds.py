"""One size of the fleet measured: changes, trips, and a while in which nothing happens."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cliproxy_dev.clock import now_s
from fleet import objects
from fleet.cluster import Cluster, Replica
from fleet.crowd import Crowd
from fleet.figures import PROVIDERS, Size, Steady, spread
from fleet.profiler import Profiler
from gateways.procfs import Usage

WITHIN_S: Final = 60.0
RETRY_AFTER_S: Final = 300.0
"""Long enough that no run sees the way back; each run ends its cooldown by hand."""
BRIEF_S: Final = 3.0
QUIET_S: Final = 78.0
"""Nothing written for so long: what was to be written is; a minute's figures are at most 15 s late."""
SETTLE_S: Final = 120.0
"""The last minute's traffic of the size before slides out of the figures meanwhile."""
BUSY_PROVIDERS: Final = 20

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    changes: int
    trips: int
    steady_s: float
    takeovers: int


FULL: Final = Effort(changes=20, trips=20, steady_s=60.0, takeovers=5)
BRIEF: Final = Effort(changes=10, trips=10, steady_s=15.0, takeovers=3)
QUICK: Final = Effort(changes=5, trips=5, steady_s=15.0, takeovers=1)


class Rounds:
    """The measurements over one cluster and crowd."""

    def __init__(self, cluster: Cluster, crowd: Crowd, effort: Effort, say: Say, profiler: Profiler) -> None:
        self._cluster, self._crowd, self._effort, self._say = cluster, crowd, effort, say
        self._profiler = profiler
        self._weight = 1
        self._trips = 0

    async def size(self, size: int) -> Size:
        """Grow to a size and measure it."""
        crowd, effort = self._crowd, self._effort
        self._say(f"{size} sidecars: adding pods")
        began_s = now_s()
        pid = (await self._cluster.leader()).process.pid
        async with self._profiler.phase(f"links-{size}", pid):
            await crowd.grow(size)
            await self._change()
        linked_s = now_s() - began_s
        self._say(f"{size} sidecars: all run the newest snapshot after {linked_s:.1f} s; settling")
        await self._settle(BRIEF_S)
        self._say(f"{size} sidecars: {effort.changes} changes")
        assert pid is not None, "the operator has ended"
        used = [self._used_s(pid)]
        agent = crowd.pids[0]
        profiled = self._profiler.phase
        async with profiled(f"changes-{size}", pid), profiled(f"changes-{size}-light", agent):
            changes = [await self._change() for _ in range(effort.changes)]
        used.append(self._used_s(pid))
        self._say(f"{size} sidecars: {effort.trips} trips")
        async with profiled(f"trips-{size}", pid), profiled(f"trips-{size}-light", agent):
            trips = [await self._trip() for _ in range(effort.trips)]
        used.append(self._used_s(pid))
        self._say(f"{size} sidecars: settling, then {effort.steady_s:g} s of quiet and of traffic")
        await self._settle(QUIET_S)
        steady = await self._steady()
        lights = crowd.lights
        return Size(
            sidecars=size,
            linked_s=linked_s,
            apply=spread([one for light, _ in changes for one in light], missing=_missing(changes, lights)),
            apply_all=spread([max(light) for light, _ in changes if len(light) == lights]),
            trip=spread([one for light, _ in trips for one in light], missing=_missing(trips, lights - 1)),
            trip_all=spread([max(light) for light, _ in trips if len(light) == lights - 1]),
            real_apply=spread([one for _, real in changes for one in real]),
            real_trip=spread([one for _, real in trips for one in real]),
            change_cpu_ms=1000 * (used[1][0] - used[0][0]) / len(changes),
            trip_cpu_ms=1000 * (used[2][0] - used[1][0]) / len(trips),
            change_sidecar_ms=1000 * (used[1][1] - used[0][1]) / len(changes),
            trip_sidecar_ms=1000 * (used[2][1] - used[1][1]) / len(trips),
            steady=steady,
        )

    def _used_s(self, pid: int) -> tuple[float, float]:
        """Return the CPU seconds that the operator and the light sidecars have used so far."""
        return Usage.of(pid).cpu_s, sum(Usage.of(agent).cpu_s for agent in self._crowd.pids)

    async def _change(self) -> tuple[list[float], list[float]]:
        """Change a provider; return after how many seconds each light and each real sidecar ran it."""
        self._weight = self._weight % 99 + 1
        began_s = now_s()
        answer = await self._cluster.apply(objects.provider(0, self._cluster.origin, weight=self._weight))
        generation = int(answer["metadata"]["generation"])
        light, real = await asyncio.gather(
            self._crowd.when(f"runs {generation}", WITHIN_S), self._crowd.real_run(generation, WITHIN_S)
        )
        return [at_s - began_s for at_s in light.values()], [at_s - began_s for at_s in real]

    async def _trip(self) -> tuple[list[float], list[float]]:
        """Let one sidecar meet a 429; return after how many seconds each other one refrained."""
        self._trips += 1
        provider = objects.provider_name(1 + self._trips % (PROVIDERS - 1))
        pod = self._crowd.some_light(self._trips)
        event = f"refrains {objects.NAMESPACE}/{provider}"
        real = asyncio.ensure_future(self._crowd.real_refrain(provider, WITHIN_S))
        began_s = await self._crowd.meet_429(pod, provider, RETRY_AFTER_S)
        light = await self._crowd.when(event, WITHIN_S)
        seen = await real
        await self._crowd.recover(pod, provider)
        await asyncio.sleep(0.2)
        return [at_s - began_s for one, at_s in light.items() if one != pod], [
            at_s - began_s for at_s in seen
        ]

    async def _settle(self, wanted_s: float) -> None:
        """Wait until the leader has written what there was to write."""
        leader = await self._cluster.leader()
        end_s, quiet_s, before = now_s() + SETTLE_S, 0.0, await _object_writes(leader)
        while quiet_s < wanted_s and now_s() < end_s:
            await asyncio.sleep(1.0)
            now = await _object_writes(leader)
            quiet_s, before = (quiet_s + 1.0 if now == before else 0.0), now

    async def _steady(self) -> Steady:
        leader = await self._cluster.leader()
        before = await leader.writes()
        async with self._profiler.phase(f"quiet-{self._crowd.size}", leader.process.pid):
            quiet = await self._usage(leader, self._effort.steady_s)
        after = await leader.writes()
        grown = {name: round(after[name] - before.get(name, 0.0)) for name in after}
        lease = sum(count for name, count in grown.items() if name.startswith("Lease "))
        others = {name: count for name, count in grown.items() if count and not name.startswith("Lease ")}
        await self._crowd.work([objects.provider_name(number) for number in range(BUSY_PROVIDERS)])
        await asyncio.sleep(2.0)
        async with self._profiler.phase(f"busy-{self._crowd.size}", leader.process.pid):
            busy = await self._usage(leader, self._effort.steady_s / 2)
        await self._crowd.work([])
        return Steady(
            seconds=self._effort.steady_s,
            memory_bytes=max(quiet[1], busy[1]),
            cpu_percent=quiet[0],
            busy_cpu_percent=busy[0],
            writes=others,
            lease_writes=lease,
        )

    async def _usage(self, leader: Replica, seconds: float) -> tuple[float, int]:
        """Return per cent of a core and the resident memory of the leader over a while."""
        pid = leader.process.pid
        assert pid is not None, "the operator has ended"
        before, began_s = Usage.of(pid), now_s()
        await asyncio.sleep(seconds)
        after = Usage.of(pid)
        return 100 * (after.cpu_s - before.cpu_s) / (now_s() - began_s), after.memory_bytes


async def _object_writes(leader: Replica) -> float:
    writes = await leader.writes()
    return sum(value for name, value in writes.items() if not name.startswith("Lease "))


def _missing(rounds: list[tuple[list[float], list[float]]], expected: int) -> int:
    return sum(expected - len(light) for light, _ in rounds)
