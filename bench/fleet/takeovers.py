"""How long the fleet is without a leader: a leader killed, or asked to go, with a standby beside it."""

import signal
from collections.abc import Callable
from typing import Final

from cliproxy_dev.clock import now_s
from fleet.cluster import Cluster
from fleet.crowd import Crowd
from fleet.figures import Takeover, spread

WITHIN_S: Final = 60.0

SIGNALS: Final = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM}


async def takeovers(cluster: Cluster, crowd: Crowd, runs: int, say: Callable[[str], None]) -> list[Takeover]:
    """Take the leader away again and again; each that went comes back as the standby."""
    if len(cluster.replicas) == 1:
        await cluster.start(crowd.channel)
    found = []
    for how, number in SIGNALS.items():
        rounds = []
        for turn in range(runs):
            say(f"takeover after {how}: {turn + 1} of {runs}")
            rounds.append(await _one(cluster, crowd, number))
        lasts = [last for _, last in rounds if last is not None]
        found.append(
            Takeover(
                how=how,
                runs=runs,
                first=spread([first for first, _ in rounds]),
                last=spread(lasts, missing=runs - len(lasts)),
            )
        )
    return found


async def _one(cluster: Cluster, crowd: Crowd, number: signal.Signals) -> tuple[float, float | None]:
    """Return the seconds until the new leader had linked the first sidecar, and the last one."""
    leader = await cluster.leader()
    epoch = await leader.epoch()
    began_s = now_s()
    leader.process.send(number)
    linked = await crowd.when(f"led after {epoch}", WITHIN_S)
    await leader.process.wait()
    leader.process.start()
    await leader.ready()
    instants = [at_s - began_s for at_s in linked.values()]
    if not instants:
        raise RuntimeError(f"nobody took over within {WITHIN_S:g} s")
    return min(instants), max(instants) if len(instants) == crowd.lights else None
