"""`make run`: play the main job, then stay up until Ctrl-C; with `--once` exit after the play.

Exit codes: 0 every step was seen to happen, 1 a step failed or a part did not start, 130 interrupted.
"""

import argparse
import asyncio
import contextlib
import io
import signal
import sys
import tempfile
from pathlib import Path

import aiohttp

from cliproxy_dev.controlplane.find import Unavailable
from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.scenario import Scenario, StepFailed, print_goodbye
from cliproxy_dev.demo.upkeep import keep_up
from cliproxy_dev.kube import ApiError
from cliproxy_dev.process import ProcessFailed

INTERRUPTED = 130
FAILED_LOGS = ("operator", "node-agent", "providers")


async def play(run_dir: Path, *, once: bool) -> int:
    """Build the world, play, wait for Ctrl-C unless `once`; return the exit code."""
    tell = Narrator()
    tell.chapter("A real API server, the operator, two sidecars")
    try:
        async with running_world(run_dir, tell) as world:
            try:
                await Scenario(world, tell).play()
            except StepFailed as error:
                tell.failed(str(error))
                for name in FAILED_LOGS:
                    tell.say(f"the last words of {name}:")
                    tell.output(world.log_tail(name))
                return 1
            tell.proven(f"every step was seen to happen, in {tell.elapsed_s:.0f} s")
            if not once:
                print_goodbye(world, tell)
                await keep_up([*world.plane.processes(), *world.parts.values()], tell)
    except Unavailable as error:
        tell.failed(str(error))
        return 1
    except (ProcessFailed, ApiError, aiohttp.ClientError, OSError) as error:
        tell.failed(f"{type(error).__name__}: {error}")
        return 1
    return 0


async def _until_interrupted(run_dir: Path, *, once: bool) -> int:
    """Run `play`; Ctrl-C, SIGTERM or a closed terminal cancels it, so that everything is stopped in order."""
    playing = asyncio.ensure_future(play(run_dir, once=once))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, playing.cancel)
    try:
        return await playing
    except asyncio.CancelledError:
        print("\n   stopped; nothing is left running", flush=True)
        return INTERRUPTED if once else 0


def main() -> int:
    """Parse the command line and play."""
    parser = argparse.ArgumentParser(
        prog="make run", description="Play the main job on a real kube-apiserver."
    )
    parser.add_argument("--once", action="store_true", help="exit after the play (make run ONCE=1)")
    parser.add_argument("--run-dir", type=Path, help="where files go; default: a new temporary directory")
    args = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 must not end the play
    with contextlib.ExitStack() as stack:
        run_dir = args.run_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cliproxy-")))
        return asyncio.run(_until_interrupted(run_dir, once=args.once))


if __name__ == "__main__":
    sys.exit(main())
