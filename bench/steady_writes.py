"""Count the operator's API writes in steady state, from the API server's own audit log.

    .venv/bin/python bench/steady_writes.py [--seconds 60]

Two windows, one without traffic and one with requests flowing through both sidecars. Lease renewals are told
apart: they are the price of leader election and touch no object of a user. Prints a Markdown table.
"""

import argparse
import asyncio
import collections
import contextlib
import sys
import tempfile
from pathlib import Path

from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.layout import PODS
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World

SETTLE_S = 20.0
"""After the start: the last figures are at most 15 s behind."""


async def window(world: World, seconds: float) -> collections.Counter[str]:
    """Count writes by resource over a window."""
    before = len(world.operator_writes())
    await asyncio.sleep(seconds)
    writes = world.operator_writes()[before:]
    return collections.Counter(
        "/".join(filter(None, (entry["objectRef"]["resource"], entry["objectRef"].get("subresource"))))
        for entry in writes
    )


async def traffic(world: World, counts: collections.Counter[int]) -> None:
    """About twenty requests a second through both sidecars, in both formats, until cancelled."""
    while True:
        asked = [("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-5")]
        answers = await asyncio.gather(
            *(world.ask(dialect, pod, model) for dialect, model in asked for pod in PODS)
        )
        counts.update(answers)
        await asyncio.sleep(0.2)


def row(name: str, seconds: float, writes: collections.Counter[str]) -> str:
    """One line of the table."""
    leases = writes.pop("leases", 0)
    others = ", ".join(f"{count} {resource}" for resource, count in sorted(writes.items())) or "none"
    return f"| {name} | {seconds:g} s | {sum(writes.values())} | {others} | {leases} |"


async def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="cliproxy-") as folder:
        async with running_world(Path(folder), Narrator(sys.stderr)) as world:
            await asyncio.sleep(SETTLE_S)
            if not await world.all_healthy():
                raise RuntimeError("not every provider is healthy and in force; nothing steady to measure")
            quiet = await window(world, seconds)
            counts: collections.Counter[int] = collections.Counter()
            sender = asyncio.ensure_future(traffic(world, counts))
            await asyncio.sleep(SETTLE_S)
            busy = await window(world, seconds)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender
    print("| state | window | writes to objects | which | Lease renewals |\n|---|---|---|---|---|")
    print(row("no traffic", seconds, quiet))
    print(row(f"traffic ({sum(counts.values())} requests, {counts[200]} answered 200)", seconds, busy))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
