"""Every panel's query and every rule on real traffic in a real Prometheus: what each of them answers.

Sidecars, operator and API server are the demonstration's. Judging the answers is the test's; the table goes
into docs/metrics.md.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cliproxy_api.vocabulary import OBSERVE_PORT
from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.layout import PODS
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World
from cliproxy_dev.monitoring import traffic
from cliproxy_dev.monitoring.boards import BOARDS
from cliproxy_dev.monitoring.prometheus import Prometheus, Sample, running_prometheus

ROOT: Final = Path(__file__).resolve().parents[3]
RULES: Final = ROOT / "charts" / "cliproxy-operator" / "rules" / "cliproxy.yaml"
SETTLED_S: Final = 30.0
LOOK_S: Final = 0.2
_VARIABLE: Final = re.compile(r"\$(namespace|provider|consumer)\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query of a panel answered."""

    board: str
    panel: str
    unit: str
    expr: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """A world with traffic behind it."""

    world: World
    prometheus: Prometheus
    sent: traffic.Sent

    async def answers(self) -> list[Answer]:
        """Ask every query of every panel."""
        return [
            Answer(
                board.title,
                panel.title,
                panel.unit,
                query.expr,
                tuple(await self.prometheus.query(concrete(query.expr))),
            )
            for board in BOARDS.values()
            for panel in board.panels
            for query in panel.queries
        ]


def concrete(expr: str) -> str:
    """Return a query as Grafana sends it, with everything chosen."""
    return _VARIABLE.sub(".*", expr.replace("$__rate_interval", "1m"))


@contextlib.asynccontextmanager
async def running_trial(folder: Path, tell: Narrator) -> AsyncIterator[Trial]:
    """Start a world and a Prometheus, send traffic, and wait until it has been scraped.

    Raises:
        ProcessFailed, CannotObtain, TimeoutError: something did not start, or did not come to be.

    """
    async with contextlib.AsyncExitStack() as stack:
        world = await stack.enter_async_context(running_world(folder, tell))
        await traffic.prepare(world)
        jobs = {
            "cliproxy-operator": [world.operator_url.removeprefix("http://")],
            "demo/cliproxy-sidecars": [f"{world.addresses[pod]}:{OBSERVE_PORT}" for pod in PODS],
        }
        place = folder / "prometheus"
        place.mkdir()
        prometheus = await stack.enter_async_context(running_prometheus(place, jobs, rules=RULES))
        sent = traffic.Sent(before=await _begun(prometheus))
        await traffic.warm_up(world, sent)
        trial = Trial(world, prometheus, sent)
        await _scraped(trial)
        tell.progress("series have begun; sending traffic")
        await traffic.play(world, sent)
        await _scraped(trial)
        yield trial


async def _begun(prometheus: Prometheus) -> int:
    """Return how many requests there were before, once all targets are scraped."""
    for _ in range(int(SETTLED_S / LOOK_S)):
        if len(await prometheus.query("up == 1")) == len(PODS) + 1:
            return int((await prometheus.query("sum(cliproxy_requests_total) or vector(0)"))[0].value)
        await asyncio.sleep(LOOK_S)
    raise TimeoutError("Prometheus does not scrape every target")


async def _scraped(trial: Trial) -> None:
    """Wait until Prometheus has seen every request, twice over."""
    seen: list[Sample] = []
    for _ in range(int(SETTLED_S / LOOK_S)):
        seen = await trial.prometheus.query("sum(cliproxy_requests_total)")
        if seen and seen[0].value == trial.sent.requests:
            break
        await asyncio.sleep(LOOK_S)
    else:
        raise TimeoutError(f"sent {trial.sent}, Prometheus knows of {seen}")
    await asyncio.sleep(3.0)  # so that every range has two samples, and every rule has been judged
