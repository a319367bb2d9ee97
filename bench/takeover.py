"""Time from the leader's end to its successor's lead, and until that one has every sidecar linked.

    .venv/bin/python bench/takeover.py [--runs 20]

Two replicas with default settings on a real kube-apiserver, two real sidecars over mutual TLS; the leader is
ended by SIGKILL, then by SIGTERM, that many times each, and started again. Prints a Markdown table; exits 1
when a successor led later than its target (6 s after SIGKILL, 1 s after SIGTERM).
"""

import argparse
import asyncio
import contextlib
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.layout import OPERATOR_NAMESPACE, PODS
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess

TARGET_S = {signal.SIGKILL: 6.0, signal.SIGTERM: 1.0}
PATIENCE_S = 60.0
POLL_S = 0.005


class Replica:
    """One operator process."""

    def __init__(self, world: World, name: str, process: ManagedProcess, url: str) -> None:
        self.world, self.name, self.process, self.url = world, name, process, url

    async def health(self) -> dict[str, object]:
        """Ask how it stands; empty while it does not answer."""
        try:
            timeout = aiohttp.ClientTimeout(total=1.0)
            async with self.world.http.get(f"{self.url}/health", timeout=timeout) as response:
                answer: dict[str, object] = await response.json()
                return answer
        except (OSError, aiohttp.ClientError, TimeoutError):
            return {}

    async def leads(self) -> bool:
        """Whether it leads."""
        return (await self.health()).get("standing") == "leading"

    async def stands_by(self) -> bool:
        """Whether it waits."""
        return (await self.health()).get("standing") == "standby"

    async def has_all(self) -> bool:
        """Whether it leads and every sidecar is linked."""
        health = await self.health()
        sidecars = health.get("sidecars")
        linked = sidecars.get("linked") if isinstance(sidecars, dict) else None
        return health.get("standing") == "leading" and linked == len(PODS)


@contextlib.asynccontextmanager
async def two_replicas(world: World) -> AsyncIterator[list[Replica]]:
    """Add a second operator to the world's own."""
    (port,) = free_ports(1)
    environment = {
        "KUBECONFIG": str(world.plane.kubeconfig_of("operator")),
        "POD_NAME": "cliproxy-operator-1",
        "POD_NAMESPACE": OPERATOR_NAMESPACE,
        "CLIPROXY_HOST": "127.0.0.1",
        "CLIPROXY_PORT": str(port),
    }
    second = ManagedProcess(
        "operator-1",
        [sys.executable, "-m", "cliproxy_operator"],
        log_path=world.log_path("operator-1"),
        env={**os.environ, **environment},
    )
    second.start()
    try:
        yield [
            Replica(world, "0", world.parts["operator"], world.operator_url),
            Replica(world, "1", second, f"http://127.0.0.1:{port}"),
        ]
    finally:
        await second.stop()


async def until(seen: object, what: str) -> float:
    """Poll until it is true; return when that was."""
    deadline_s = now_s() + PATIENCE_S
    while not await seen():  # type: ignore[operator]
        if now_s() > deadline_s:
            raise TimeoutError(f"not within {PATIENCE_S:g} s: {what}")
        await asyncio.sleep(POLL_S)
    return now_s()


async def take_over(replicas: list[Replica], number: signal.Signals) -> tuple[float, float]:
    """End the leader once; return the seconds until the other leads, and until it has every sidecar."""
    leader, other = replicas if await replicas[0].leads() else reversed(replicas)
    await until(leader.has_all, "the leader has every sidecar")
    await until(other.stands_by, "the other one stands by")
    await asyncio.sleep(1.0)
    began_s = now_s()
    leader.process.send(number)
    led_s = await until(other.leads, "the other one leads")
    linked_s = await until(other.has_all, "it has every sidecar")
    await leader.process.wait()
    leader.process.start()
    return led_s - began_s, linked_s - began_s


async def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    late = 0
    rows = [
        "| ended by | runs | leads: p50 | max | all sidecars linked: p50 | max | target |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="cliproxy-") as folder:
        async with (
            running_world(Path(folder), Narrator(sys.stderr)) as world,
            two_replicas(world) as replicas,
        ):
            for number, target_s in TARGET_S.items():
                taken = [await take_over(replicas, number) for _ in range(runs)]
                leads, linked = (sorted(column) for column in zip(*taken, strict=True))
                figures = (statistics.median(leads), leads[-1], statistics.median(linked), linked[-1])
                cells = " | ".join(f"{figure:.2f} s" for figure in figures)
                rows.append(f"| {number.name} | {runs} | {cells} | {target_s:g} s |")
                late += leads[-1] > target_s
    print("\n".join(rows))
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
