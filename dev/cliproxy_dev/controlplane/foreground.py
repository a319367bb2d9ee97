"""A control plane that a person started by a command, until they end it."""

from __future__ import annotations

import asyncio
import signal

from cliproxy_dev.controlplane.start import ControlPlane

INTERRUPTED = 130  # what shells report for Ctrl-C


async def stay_up(control_plane: ControlPlane) -> int:
    """Run a control plane until SIGINT or SIGTERM, telling people how to reach it; returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with control_plane as plane:
        print(
            f"Kubernetes {plane.version} at {plane.server}; stop with Ctrl-C\n"
            f"export KUBECONFIG={plane.kubeconfig}",
            flush=True,
        )
        await stop.wait()
    return 0
