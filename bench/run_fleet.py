"""Measure a fleet of up to 1,000 sidecars under one operator on this machine; writes docs/benchmarks.md.

    .venv/bin/python bench/run_fleet.py [--quick] [--sizes 50,100] [--takeovers 20] [--dry] [--profile]

Real etcd, kube-apiserver and operator; light sidecars (`fleet.light`) and three real ones, each on a
loopback address of its own. --profile samples the operator in every phase.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from cliproxy_dev.clock import utc_now
from cliproxy_dev.controlplane.progress import Progress
from fleet import document, figures, plot, table
from fleet.cluster import running_cluster
from fleet.crowd import Crowd
from fleet.profiler import Profiler
from fleet.rounds import FULL, QUICK, Effort, Rounds
from fleet.takeovers import takeovers
from gateways import machine, packages

DOCS = Path(__file__).parents[1] / "docs"
QUIET_LOAD = 0.5


async def measure(
    sizes: list[int], effort: Effort, folder: Path, progress: Progress, spy: Path | None
) -> figures.Run:
    """Run everything."""
    progress.say("starting etcd and kube-apiserver")
    async with running_cluster(folder) as cluster, Crowd(cluster.api, folder / "logs") as crowd:
        progress.say(f"applying CRDs and {figures.PROVIDERS} providers")
        await cluster.install(figures.PROVIDERS)
        progress.say("starting the operator")
        await cluster.start(crowd.token)
        rounds = Rounds(cluster, crowd, effort, progress.say, Profiler(spy, folder, progress.say))
        found, ended = [], []
        takeover_size = min(max(sizes), figures.TARGET_SIZE)
        for size in sizes:
            found.append(await rounds.size(size))
            progress.say(" | ".join(table.row(found[-1])))
            if effort.takeovers and size == takeover_size:
                ended = await takeovers(cluster, crowd, effort.takeovers, progress.say)
                await cluster.keep_one()
        return figures.Run(
            date=f"{utc_now():%Y-%m-%d}",
            machine=machine.describe(),
            api_server=cluster.plane.version,
            quick=effort.steady_s < FULL.steady_s,
            sizes=found,
            takeovers=ended,
            takeover_size=takeover_size,
        )


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a few rounds each, short windows")
    parser.add_argument(
        "--sizes", default=",".join(map(str, figures.SIZES)), metavar="N,N", help="fleet sizes"
    )
    parser.add_argument("--takeovers", type=int, help="how often the leader goes, in each way")
    parser.add_argument("--dry", action="store_true", help="print the table, write no document")
    parser.add_argument("--profile", action="store_true", help="say where the operator's time goes")
    parser.add_argument("--keep", metavar="FOLDER", help="keep logs and figures in this folder")
    arguments = parser.parse_args()
    sizes = sorted({int(size) for size in arguments.sizes.split(",")})
    effort = QUICK if arguments.quick else FULL
    if arguments.takeovers is not None:
        effort = replace(effort, takeovers=arguments.takeovers)
    progress = Progress()
    if (load := machine.load_average()) > QUIET_LOAD:
        progress.say(f"this machine is busy (load {load:.1f}): figures will be too high")
    os.environ.pop("KUBECONFIG", None)
    spy = None
    if arguments.profile:
        spy = packages.Cache(os.environ, progress.say).python(packages.PROFILER) / "py-spy"
    with tempfile.TemporaryDirectory(prefix="cliproxy-fleet-") as temporary:
        folder = Path(arguments.keep or temporary)
        run = asyncio.run(measure(sizes, effort, folder, progress, spy))
        (folder / "fleet.json").write_bytes(msgspec.json.format(msgspec.json.encode(run)))
    section = table.render(run)
    print(section)
    if not arguments.dry and not arguments.quick:
        page = DOCS / "benchmarks.md"
        page.write_text(document.replace(page.read_text("utf-8"), section), "utf-8")
        (DOCS / "benchmarks-fleet.svg").write_text(plot.render(run), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
