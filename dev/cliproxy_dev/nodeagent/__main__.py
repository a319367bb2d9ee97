"""Command line: `python -m cliproxy_dev.nodeagent --kubeconfig FILE --run-dir DIR`, a node until stopped."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from cliproxy_dev import kubeconfig
from cliproxy_dev.nodeagent.agent import NodeAgent


def main(arguments: list[str] | None = None) -> int:
    """Run a node agent until SIGINT or SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cliproxy_dev.nodeagent", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--run-dir", type=Path, required=True, help="gets logs/ and, while pods run, pods/")
    parser.add_argument("--first-address", default="127.0.1.10", help="the first pod's loopback address")
    parser.add_argument("--addresses", type=int, default=240, help="how many pods there can be")
    parser.add_argument("--namespace", action="append", default=[], help="only this one (may be repeated)")
    parser.add_argument(
        "--serve-logs", action="store_true", help="be a Node, so that kubectl logs and kubectl exec work"
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        endpoint = kubeconfig.read(chosen.kubeconfig)
        agent = NodeAgent(
            endpoint,
            run_dir=chosen.run_dir.absolute(),
            namespaces=frozenset(chosen.namespace),
            first_address=chosen.first_address,
            addresses=chosen.addresses,
            serve_logs=chosen.serve_logs,
        )
    except (kubeconfig.BadKubeconfig, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return asyncio.run(_until_stopped(agent))


async def _until_stopped(agent: NodeAgent) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with agent:
        await stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
