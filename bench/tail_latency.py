"""Say what the slowest requests of the sidecar waited for: its own work, the collector, or the machine.

    .venv/bin/python bench/tail_latency.py [--seconds 10] [--rate 2000]

Runs the sidecar as in the race (`bench/run.py`) at a fixed rate, with every callback of its loop watched
(`gateways.watched`), and prints a Markdown table. The load generator's own lateness, and what stood in the
run queue, stand beside it, so that a busy machine is not taken for a slow sidecar.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from cliproxy_dev.controlplane.progress import Progress
from gateways import packages, stalls, table
from gateways.figures import Paced
from gateways.launch import Contender, Launch, Place
from gateways.ours import OURS
from gateways.race import FULL, Cores, open_track


def watched(report: Path) -> Contender:
    """Return our contender with its loop watched."""

    def prepare(cache: packages.Cache, place: Place) -> Launch:
        launch = OURS.prepare(cache, place)
        command = (launch.command[0], "-m", "gateways.watched", str(report))
        return replace(launch, command=command)

    return replace(OURS, prepare=prepare)


async def measure(
    cache: packages.Cache, progress: Progress, report: Path, seconds: float, rate_per_s: float
) -> tuple[Paced, Paced]:
    """Run at the rate; return what callers saw, through the sidecar and directly."""
    cores = Cores.of(os.sched_getaffinity(0))
    times = replace(FULL, half=seconds)
    async with open_track(cache, cores, times, report.parent, progress.say) as track:
        async with track.started(watched(report), track.answering_port) as (launch, _, _):
            through = await track.paced(launch, rate_per_s)
        return through, await track.paced(Launch(command=(), port=track.answering_port), rate_per_s)


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=2000.0, help="requests per second")
    arguments = parser.parse_args()
    progress = Progress()
    cache = packages.Cache(os.environ, progress.say)
    cache.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cliproxy-tail-") as folder:
        report = Path(folder) / "held.json"
        through, direct = asyncio.run(measure(cache, progress, report, arguments.seconds, arguments.rate))
        held = msgspec.json.decode(report.read_bytes(), type=stalls.Held)
    for name, paced in (("through the sidecar", through), ("direct", direct)):
        print(
            f"{name}: p50 {paced.p50_us:,.0f} µs, p99 {paced.p99_us:,.0f} µs, "
            f"sent late p99 {paced.sent_late_p99_us:,.0f} µs, failed {paced.failed}, late {paced.late}"
        )
    print(
        f"\n{held.callbacks:,} callbacks, CPU each: p50 {held.cpu_p50_us:,.0f} µs, "
        f"p99 {held.cpu_p99_us:,.0f} µs, at most {held.cpu_max_us:,.0f} µs; "
        f"{held.waited_s:.2f} s in the run queue\n"
    )
    lines = (
        [name, f"{n:,}", f"{longest:.2f} ms", f"{total:.0f} ms"]
        for name, n, longest, total in stalls.rows(held)
    )
    print(table.columns(["what took more than 1 ms (collector: all)", "times", "longest", "all"], lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
