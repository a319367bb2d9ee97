"""Keep the sidecar under half load for ten minutes and say whether its memory stays.

    .venv/bin/python bench/soak.py [--seconds 600] [--dry]

Requests at half the rate that it was just measured to bear, beside paced streams; the sidecar has a core of
its own. Writes its section of docs/benchmarks.md and docs/soak.svg. Exits 1 if memory grew or a request
failed.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from cliproxy_dev.clock import now_s, utc_now
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.process import ManagedProcess
from gateways import document, machine, payload, serving, soaking
from gateways.figures import Paced, Streaming
from gateways.launch import Launch
from gateways.ours import OURS
from gateways.packages import Cache
from gateways.procfs import Usage
from gateways.race import FULL, Cores, Track, open_track
from gateways.soaking import Sample, Soak

DOCS = Path(__file__).parents[1] / "docs"
SAMPLE_EVERY_S: Final = 2.0
TELL_EVERY: Final = 15
"""Samples between two lines of progress."""
CONNECTIONS: Final = 32
STREAMS: Final = 20
RATE_S: Final = 6.0
"""Time to find out what the sidecar bears."""
SLACK_S: Final = 60.0


async def watched(process: ManagedProcess, done: asyncio.Event, progress: Progress) -> list[Sample]:
    """Look at the process until the load has ended."""
    began_s, samples = now_s(), []
    while not done.is_set():
        usage = Usage.of(process.pid or 0)
        samples.append(Sample(at_s=now_s() - began_s, memory_bytes=usage.memory_bytes, cpu_s=usage.cpu_s))
        if len(samples) % TELL_EVERY == 0:
            progress.say(f"{samples[-1].at_s:.0f} s: {usage.memory_bytes / 2**20:.1f} MiB")
        try:
            async with asyncio.timeout(SAMPLE_EVERY_S):
                await done.wait()
        except TimeoutError:
            continue
    return samples


async def loaded(track: Track, launch: Launch, rate_per_s: float, seconds: float) -> tuple[Paced, Streaming]:
    """Send requests and streams for so long."""
    plain, streamed = track.home / "plain", track.home / "streamed"
    plain.write_bytes(launch.request())
    streamed.write_bytes(launch.request(stream_tokens=payload.PACED_TOKENS))
    commands = (
        serving.own_program("pacer", launch.port, plain, CONNECTIONS, seconds, rate_per_s),
        serving.own_program("streamer", launch.port, streamed, STREAMS, seconds, 2.0),
    )
    limit_s = seconds + SLACK_S
    paced, streams = await asyncio.gather(
        *(serving.load(serving.pinned(track.cores.load, command), limit_s=limit_s) for command in commands)
    )
    return msgspec.json.decode(paced, type=Paced), msgspec.json.decode(streams, type=Streaming)


async def soak(cache: Cache, home: Path, progress: Progress, seconds: float) -> Soak:
    """Measure the rate, then load and watch."""
    cores = Cores.of(os.sched_getaffinity(0))
    async with (
        open_track(cache, cores, FULL, home, progress.say) as track,
        track.started(OURS, track.streaming_port) as (launch, process, _),
    ):
        rate_per_s = await track.saturate(launch, RATE_S) / 2
        progress.say(f"{rate_per_s:,.0f} requests/s and {STREAMS} streams for {seconds:.0f} s")
        done = asyncio.Event()
        watching = asyncio.ensure_future(watched(process, done, progress))
        try:
            paced, streams = await loaded(track, launch, rate_per_s, seconds)
        finally:
            done.set()
        return Soak(
            date=f"{utc_now():%Y-%m-%d}",
            machine=machine.describe(),
            samples=await watching,
            requests=paced,
            streams=streams,
            seconds=seconds,
        )


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--dry", action="store_true", help="print, write no document")
    arguments = parser.parse_args()
    progress = Progress()
    cache = Cache(os.environ, progress.say)
    cache.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cliproxy-soak-") as folder:
        result = asyncio.run(soak(cache, Path(folder), progress, arguments.seconds))
    text = soaking.describe(result)
    print(text)
    if not arguments.dry:
        page = DOCS / "benchmarks.md"
        page.write_text(document.replace(page.read_text("utf-8"), text, "bench-soak"), "utf-8")
        (DOCS / "soak.svg").write_text(soaking.picture(result), "utf-8")
    return 0 if soaking.is_flat(result) and not result.requests.failed + result.streams.broken else 1


if __name__ == "__main__":
    sys.exit(main())
