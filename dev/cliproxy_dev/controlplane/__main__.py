"""Command line: `prepare` finds or obtains the programs, `up` runs a control plane until Ctrl-C.

Exit code 1 with a message on standard error when it cannot be done.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from cliproxy_dev.controlplane.find import Unavailable, find, wants_existing_cluster
from cliproxy_dev.controlplane.foreground import INTERRUPTED, stay_up
from cliproxy_dev.controlplane.prepare import prepare
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kubeconfig import BadKubeconfig
from cliproxy_dev.process import ProcessFailed


def main(arguments: list[str] | None = None) -> int:
    """Run one of the two commands; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cliproxy_dev.controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="find kube-apiserver and etcd, or download or build them")
    up = commands.add_parser("up", help="run a control plane until Ctrl-C")
    up.add_argument("--dir", type=Path, required=True, help="run directory; gets kubeconfig and logs")
    up.add_argument("--keep", action="store_true", help="leave logs and data behind")
    chosen = parser.parse_args(arguments)
    try:
        # SIGTERM must clean up like Ctrl-C does: a half-finished build, running children.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if chosen.command == "prepare":
            return _prepare()
        return asyncio.run(_up(chosen.dir.absolute(), keep=chosen.keep))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except (Unavailable, ProcessFailed, BadKubeconfig) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def _prepare() -> int:
    if wants_existing_cluster(os.environ):
        print(f"using the existing cluster of {os.environ['KUBECONFIG']}")
        return 0
    pair = prepare(os.environ, Progress())
    print(f"control plane: {pair.kube_apiserver} and {pair.etcd} from {pair.origin}")
    return 0


async def _up(run_dir: Path, *, keep: bool) -> int:
    if not wants_existing_cluster(os.environ) and find(os.environ) is None:
        prepare(os.environ, Progress())
    return await stay_up(ControlPlane(run_dir, keep=keep))


if __name__ == "__main__":
    sys.exit(main())
