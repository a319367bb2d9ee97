"""Milliseconds until the fleet has heard: of a 429, of a changed object, and a killed sidecar of what cools.

    .venv/bin/python bench/propagation.py [--runs 30]

Real kube-apiserver, operator and two sidecars on this machine; the observer polls every 1-2 ms, so figures
are sizes on a shared machine, an upper bound of what the parts need. Prints a Markdown table.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.crash import answers_ready, cools_by_metrics, kill_sidecar
from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.layout import PODS
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World

WAIT_S = 120.0
RETRY_AFTER_S = 60
"""Long enough that no run sees the way back; each run ends the cooldown by hand."""


async def until(seen: Callable[[], Awaitable[bool]], what: str) -> float:
    """Poll until seen; return the instant."""
    deadline_s = now_s() + WAIT_S
    while not await seen():
        if now_s() > deadline_s:
            raise TimeoutError(what)
        await asyncio.sleep(0.001)
    return now_s()


async def rate_limit_run(world: World) -> tuple[float, float, float]:
    """One 429 at app-1; return ms from the request to app-1, app-2 and status knowing of it."""

    async def in_status() -> bool:
        return bool((await world.status("claude"))["phase"] == "CoolingDown")

    async def closed() -> bool:
        cooling = [await world.refrains(pod, "claude") for pod in PODS]
        return not any(cooling) and not (await world.status("claude"))["inCooldown"]

    await world.preset("claude", "anthropic.rate_limit", times=1, retry_after=RETRY_AFTER_S)
    began_s = now_s()
    watching = asyncio.gather(
        until(lambda: world.refrains("app-1", "claude"), "app-1 cooling"),
        until(lambda: world.refrains("app-2", "claude"), "app-2 cooling"),
        until(in_status, "status CoolingDown"),
    )
    status = await world.ask("anthropic", "app-1", "claude-sonnet-5")
    if status != 200:  # noqa: PLR2004 -- HTTP's OK
        raise RuntimeError(f"the caller saw {status}")
    own_s, other_s, status_s = await watching
    await world.annotate("claude", "cliproxy.io/recover", "now")
    await until(closed, "recovered everywhere")
    return (own_s - began_s) * 1000, (other_s - began_s) * 1000, (status_s - began_s) * 1000


async def change_run(world: World, weight: int) -> tuple[float, float]:
    """One changed object; return ms from sending the patch to both sidecars and to status having it."""
    began_s = now_s()
    generation = await world.patch_spec("openai", {"weight": weight})

    async def in_status() -> bool:
        status = await world.status("openai")
        return bool(status["observedGeneration"] == generation and status["sidecars"]["summary"] == "2/2")

    running = [until(partial(world.runs_generation, pod, "openai", generation), pod) for pod in PODS]
    both_s = max(await asyncio.gather(*running))
    status_s = await until(in_status, "status says 2/2")
    return (both_s - began_s) * 1000, (status_s - began_s) * 1000


async def restart_run(world: World) -> float:
    """Kill a sidecar while claude cools; return ms from its being ready again to its cooling again."""
    await kill_sidecar(world, "app-1")
    ready_s = await until(lambda: answers_ready(world, "app-1"), "app-1 ready again")
    cooling_s = await until(lambda: cools_by_metrics(world, "app-1", "claude"), "app-1 cooling again")
    return (cooling_s - ready_s) * 1000


async def restarts(world: World, runs: int) -> list[float]:
    """Cool claude for as long as it takes, and kill the sidecar again and again."""
    await world.annotate("claude", "cliproxy.io/cooldown", "1h")
    await until(lambda: world.refrains("app-1", "claude"), "app-1 cooling")
    return [await restart_run(world) for _ in range(runs)]


def row(name: str, values: list[float]) -> str:
    """One line of the table."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return f"| {name} | {len(values)} | {statistics.median(ordered):.1f} | {p99:.1f} | {ordered[-1]:.1f} |"


async def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--restarts", type=int, default=5, help="the node agent waits longer each time")
    arguments = parser.parse_args()
    runs: int = arguments.runs
    with tempfile.TemporaryDirectory(prefix="cliproxy-") as folder:
        async with running_world(Path(folder), Narrator(sys.stderr)) as world:
            await until(world.all_healthy, "providers healthy")
            for pod in PODS:
                await world.operations(pod, "providers/status")  # the first look loads the views
            limits = [await rate_limit_run(world) for _ in range(runs)]
            changes = [await change_run(world, 10 + number) for number in range(runs)]
            again = await restarts(world, arguments.restarts)
    own, other, status = (list(column) for column in zip(*limits, strict=True))
    both, in_status = (list(column) for column in zip(*changes, strict=True))
    print("| from → to (ms) | runs | p50 | p99 | max |\n|---|---|---|---|---|")
    print(row("request that meets a 429 → the same sidecar refrains", own))
    print(row("request that meets a 429 → the other sidecar refrains", other))
    print(row("request that meets a 429 → `status` says CoolingDown", status))
    print(row("changed object sent → both sidecars run the new generation", both))
    print(row("changed object sent → `status` says 2/2 at the new generation", in_status))
    print(row("killed sidecar ready again → cooling again", again))
    print(json.dumps({"limits_ms": limits, "changes_ms": changes, "restarts_ms": again}), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
