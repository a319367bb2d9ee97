"""Measure a fleet of up to 1,000 sidecars under one operator on this machine; writes docs/benchmarks.md.

    .venv/bin/python bench/run_fleet.py [--quick | --minutes 12] [--sizes 50,100] [--tls] [--takeovers 20]
                                        [--dry] [--profile]

Real etcd, kube-apiserver and operator; light sidecars (`fleet.light`) and three real ones, each on a
loopback address of its own. --minutes takes fewer rounds and leaves out what would take longer; --tls adds
the target's size over mutual TLS; --profile samples the operator, and some light sidecars, in every phase.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import msgspec

from cliproxy_dev.clock import now_s, utc_now
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.kube import ApiError
from cliproxy_dev.process import ProcessFailed
from fleet import document, figures, plot, table
from fleet.channel import Channel
from fleet.cluster import running_cluster
from fleet.crowd import AgentFailed, Crowd
from fleet.profiler import Profiler
from fleet.rounds import BRIEF, FULL, QUICK, Effort, Rounds
from fleet.takeovers import takeovers
from gateways import machine, packages

DOCS = Path(__file__).parents[1] / "docs"
QUIET_LOAD = 0.5
GROWTH = 1.4
"""How much longer the next size takes than the one before, about."""
BROKE = (ProcessFailed, AgentFailed, ApiError, aiohttp.ClientError, OSError, TimeoutError, RuntimeError)


@dataclass(slots=True)
class Plan:
    """What is to be measured, and until when."""

    sizes: list[int]
    effort: Effort
    tls: bool
    end_s: float
    folder: Path
    spy: Path | None
    say: Callable[[str], None]

    def has_time(self, last_s: float) -> bool:
        """Whether one more size fits, if the last one took so long."""
        return now_s() + last_s * GROWTH < self.end_s


async def measure(plan: Plan, run: figures.Run) -> None:
    """Measure all sizes with a token in clear, then the target's over mutual TLS."""
    if plan.sizes:
        await _measure(plan, run, Channel(None), plan.sizes, takeover_size=run.takeover_size)
    if plan.tls and plan.has_time(0.0):
        plan.say(f"the same over mutual TLS, {figures.TARGET_SIZE} sidecars")
        await _measure(plan, run, Channel(plan.folder / "tls"), [figures.TARGET_SIZE], takeover_size=0)


async def _measure(
    plan: Plan, run: figures.Run, channel: Channel, sizes: list[int], *, takeover_size: int
) -> None:
    """Measure some sizes on a cluster of their own; what is found is added to the run at once."""
    folder, say, effort = plan.folder / ("plain" if channel.folder is None else "mtls"), plan.say, plan.effort
    say("starting etcd and kube-apiserver")
    async with running_cluster(folder) as cluster, Crowd(cluster.api, folder / "logs", channel) as crowd:
        say(f"applying CRDs and {figures.PROVIDERS} providers")
        run.api_server = cluster.plane.version
        await cluster.install(figures.PROVIDERS)
        say("starting the operator")
        await cluster.start(channel)
        await channel.mount(cluster.api)
        rounds = Rounds(cluster, crowd, effort, say, Profiler(plan.spy, folder, say))
        last_s = 0.0
        for size in sizes:
            if not plan.has_time(last_s):
                run.broke_off = f"the time was over before {size} sidecars"
                say(run.broke_off)
                return
            began_s = now_s()
            found = await rounds.size(size)
            last_s = now_s() - began_s
            say(" | ".join(table.row(found)))
            if channel.folder is None:
                run.sizes.append(found)
            else:
                run.mutual_tls = found
            if effort.takeovers and size == takeover_size:
                run.takeovers = await takeovers(cluster, crowd, effort.takeovers, say)
                await cluster.keep_one()


def main() -> int:
    """Parse the arguments and run; 1 if something broke, after what was found has been written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a few rounds each, short windows, not written")
    parser.add_argument("--minutes", type=float, help="fewer rounds, and at most so long, about")
    parser.add_argument(
        "--sizes", default=",".join(map(str, figures.SIZES)), metavar="N,N", help="fleet sizes"
    )
    parser.add_argument("--tls", action="store_true", help="add the target's size over mutual TLS")
    parser.add_argument("--takeovers", type=int, help="how often the leader goes, in each way")
    parser.add_argument("--dry", action="store_true", help="print the table, write no document")
    parser.add_argument("--profile", action="store_true", help="say where the operator's time goes")
    parser.add_argument("--keep", metavar="FOLDER", help="keep logs and figures in this folder")
    arguments = parser.parse_args()
    sizes = sorted({int(size) for size in arguments.sizes.split(",") if size})
    effort = QUICK if arguments.quick else BRIEF if arguments.minutes else FULL
    if arguments.takeovers is not None:
        effort = replace(effort, takeovers=arguments.takeovers)
    progress = Progress()
    load = machine.load_average()
    if load > QUIET_LOAD:
        progress.say(f"this machine is busy (load {load:.1f}): figures will be too high")
    os.environ.pop("KUBECONFIG", None)
    spy = None
    if arguments.profile:
        spy = packages.Cache(os.environ, progress.say).python(packages.PROFILER) / "py-spy"
    run = figures.Run(
        date=f"{utc_now():%Y-%m-%d}",
        machine=machine.describe(),
        api_server="",
        quick=arguments.quick,
        load=round(load, 1),
        sizes=[],
        takeovers=[],
        takeover_size=min(max(sizes, default=0), figures.TARGET_SIZE),
    )
    end_s = now_s() + arguments.minutes * 60 if arguments.minutes else float("inf")
    with tempfile.TemporaryDirectory(prefix="cliproxy-fleet-") as temporary:
        folder = Path(arguments.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        plan = Plan(sizes, effort, arguments.tls, end_s, folder, spy, progress.say)
        broke = False
        try:
            asyncio.run(measure(plan, run))
        except BROKE as error:
            broke, run.broke_off = True, f"{type(error).__name__}: {error}".splitlines()[0][:200]
            progress.say(f"broke off: {error}")
        (folder / "fleet.json").write_bytes(msgspec.json.format(msgspec.json.encode(run)))
    section = table.render(run)
    print(section)
    if run.sizes and not arguments.dry and not arguments.quick:
        page = DOCS / "benchmarks.md"
        page.write_text(document.replace(page.read_text("utf-8"), section), "utf-8")
        (DOCS / "benchmarks-fleet.svg").write_text(plot.render(run), "utf-8")
    return int(broke)


if __name__ == "__main__":
    sys.exit(main())
