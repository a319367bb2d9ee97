"""Command line: `prepare` builds the server for custom resources, `up` runs a control plane with it.

Exit code 1 with a message on standard error when it cannot be done.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from cliproxy_dev.controlplane.find import CannotObtain, Unavailable
from cliproxy_dev.controlplane.foreground import INTERRUPTED, stay_up
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.newest.build import prepare
from cliproxy_dev.newest.plane import NewestPlane
from cliproxy_dev.process import ProcessFailed


def main(arguments: list[str] | None = None) -> int:
    """Run one of the two commands; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cliproxy_dev.newest", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("prepare", help="build the server, if it is not in the cache")
    build.add_argument("--again", action="store_true", help="build it anew, from what Debian has today")
    up = commands.add_parser("up", help="run a control plane until Ctrl-C")
    up.add_argument("--dir", type=Path, required=True, help="run directory; gets kubeconfig and logs")
    up.add_argument("--as", dest="emulated", default="", help="behave as an older version, such as 1.33")
    chosen = parser.parse_args(arguments)
    try:
        # SIGTERM must clean up like Ctrl-C does: a half-finished build, running children.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        program = prepare(os.environ, Progress(), again=getattr(chosen, "again", False))
        if chosen.command == "prepare":
            print(f"server for custom resources: {program}")
            return 0
        return asyncio.run(stay_up(NewestPlane(chosen.dir.absolute(), program, emulated=chosen.emulated)))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except (CannotObtain, Unavailable, ProcessFailed) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
