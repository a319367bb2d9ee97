"""Kills a sidecar of the demonstration as an out-of-memory kill would, and watches it come back.

Starting it again is the node agent's part.
"""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import aiohttp

from cliproxy_api.vocabulary import OBSERVE_PORT
from cliproxy_dev.demo.world import World


async def kill_sidecar(world: World, pod: str) -> None:
    """End a sidecar's process with SIGKILL; return when it is gone."""
    pid = sidecar_pid(world, pod)
    os.kill(pid, signal.SIGKILL)
    while _command(pid):  # noqa: ASYNC110 -- the kernel sends no event
        await asyncio.sleep(0.001)


async def answers_ready(world: World, pod: str) -> bool:
    """Whether a sidecar answers that it is ready."""
    with contextlib.suppress(aiohttp.ClientError):
        async with world.http.get(f"{_observed(world, pod)}/health/ready") as response:
            return response.ok
    return False


async def cools_by_metrics(world: World, pod: str, provider: str) -> bool:
    """Whether a sidecar's metrics say that the provider cools: cheap to ask from the first instant on."""
    async with world.http.get(f"{_observed(world, pod)}/metrics") as response:
        return f'cliproxy_cooldown_active{{provider="{provider}"}} 1.0' in await response.text()


def _observed(world: World, pod: str) -> str:
    return f"http://{world.addresses[pod]}:{OBSERVE_PORT}"


def sidecar_pid(world: World, pod: str) -> int:
    """Return the process of a pod's sidecar.

    Raises:
        ProcessLookupError: none runs.

    """
    address = world.addresses[pod]
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with contextlib.suppress(OSError):
            environment = (process / "environ").read_bytes()
            if b"cliproxy_sidecar" in _command(pid) and f"POD_IP={address}\0".encode() in environment:
                return pid
    raise ProcessLookupError(f"no sidecar runs at {address}")


def _command(pid: int) -> bytes:
    """Return a process's command line; empty if it has ended."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""
