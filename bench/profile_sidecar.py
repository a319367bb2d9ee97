"""Say where the sidecar's time goes under load, by sampling it with py-spy.

    .venv/bin/python bench/profile_sidecar.py [--seconds 8] [--streams]

The sidecar runs as in the race (`bench/run.py`), saturated by 32 connections or by 200 streams. C code (event
loop, parser) counts for the Python function that called it. Prints two Markdown tables.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from cliproxy_dev.controlplane.progress import Progress
from gateways import packages, samples, serving, table
from gateways.ours import OURS
from gateways.race import FULL, Cores, Track, open_track

ROWS = 25


async def profile(track: Track, seconds: float, output: Path, *, streams: bool) -> None:
    """Saturate the sidecar and let py-spy write its collapsed stacks."""
    spy = track.cache.python(packages.PROFILER) / "py-spy"
    port = track.streaming_port if streams else track.answering_port
    async with track.started(OURS, port) as (launch, process, _):
        command = [str(spy), "record", "--pid", str(process.pid), "--duration", str(round(seconds))]
        command += ["--rate", "250", "--format", "raw", "--nonblocking", "--output", str(output)]
        keep_busy = track.flood if streams else track.saturate
        await asyncio.gather(
            keep_busy(launch, seconds + 2),
            serving.load(serving.pinned(track.cores.load, command), limit_s=seconds + 60),
        )


async def sample(
    cache: packages.Cache, progress: Progress, seconds: float, output: Path, *, streams: bool
) -> None:
    """Lay the track and profile."""
    cores = Cores.of(os.sched_getaffinity(0))
    async with open_track(cache, cores, FULL, output.parent, progress.say) as track:
        await profile(track, seconds, output, streams=streams)


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--streams", action="store_true")
    arguments = parser.parse_args()
    progress = Progress()
    cache = packages.Cache(os.environ, progress.say)
    cache.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cliproxy-profile-") as folder:
        output = Path(folder) / "stacks"
        asyncio.run(sample(cache, progress, arguments.seconds, output, streams=arguments.streams))
        text = output.read_text("utf-8")
    for what, shares in (("file", samples.by_file(text)), ("function", samples.by_function(text))):
        rows = ([f"`{name}`", f"{share:.1%}"] for name, share in shares[:ROWS])
        print(table.columns([what, "own time"], rows), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
