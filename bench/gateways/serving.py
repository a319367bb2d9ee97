"""Run processes on a core of their own, from start to the first right answer to the end.

What is run is a `Launch` or a plain command; measuring is left to `race`.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from cliproxy_dev.clock import now_s
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess, tethered
from gateways.launch import Launch
from gateways.payload import MARK

START_LIMIT_S: Final = 60.0
_ASK_EVERY_S: Final = 0.005
_ASK_LIMIT_S: Final = 10.0
_OK: Final = 200
BENCH: Final = Path(__file__).parents[1]


class LoadFailed(RuntimeError):
    """A load generator did not end as it should; the message holds its last words."""


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """Return the command, bound to one core; it becomes the command, so the process id stays."""
    return ["taskset", "-c", str(core), *command]


def first_in_line(command: Sequence[str]) -> list[str]:
    """Return the command, run before all others on its core where this user may ask for that.

    For a provider that shares its core with the load: what it takes is a fraction of what the load takes, and
    waiting for the load's time slice to end (up to 3 ms) would be counted as the gateway's latency.
    """
    prompt = ["chrt", "--fifo", "1"]
    try:
        allowed = subprocess.run([*prompt, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    return [*(prompt if allowed else ()), *command]


def bare_env(home: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    """Return an environment that carries nothing of ours but the way to programs and to this package."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(BENCH),
        **(more or {}),
    }


def three_ports() -> tuple[int, int, int]:
    """Return three free ports."""
    first, second, third = free_ports(3)
    return first, second, third


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], home: Path, env: dict[str, str] | None = None
) -> AsyncIterator[ManagedProcess]:
    """Run a process for as long as the block lasts."""
    process = ManagedProcess(name, command, log_path=home / f"{name}.log", env=bare_env(home, env), cwd=home)
    process.start()
    try:
        yield process
    finally:
        await process.stop(grace_s=3.0)


async def first_answer(
    process: ManagedProcess, launch: Launch, *, since_s: float, within_s: float = START_LIMIT_S
) -> float:
    """Ask until the provider's answer comes through; return the seconds since `since_s`.

    Raises `ProcessFailed` when the process ends or does not answer rightly in time.
    """
    configured = launch.configure is None
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASK_LIMIT_S)) as session:

        async def answers() -> bool:
            nonlocal configured
            try:
                if not configured and launch.configure is not None:
                    await launch.configure()
                    configured = True
                return await _ask(session, launch)
            except (OSError, TimeoutError, aiohttp.ClientError):
                return False

        await process.wait_ready(answers, within_s=within_s, every_s=_ASK_EVERY_S)
    return now_s() - since_s


async def _ask(session: aiohttp.ClientSession, launch: Launch) -> bool:
    url = f"http://127.0.0.1:{launch.port}{launch.path}"
    headers = {"content-type": "application/json", **launch.headers}
    async with session.post(url, data=launch.body(), headers=headers) as answer:
        return answer.status == _OK and MARK in await answer.text()


async def load(command: Sequence[str], *, limit_s: float, env: dict[str, str] | None = None) -> str:
    """Run a load generator to its end and return what it printed. Raises `LoadFailed`."""
    child = await asyncio.create_subprocess_exec(
        *tethered(command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(BENCH), **(env or {})},
    )
    try:
        output, _ = await asyncio.wait_for(child.communicate(), limit_s)
    except TimeoutError:
        raise LoadFailed(f"{command[3]} did not end within {limit_s:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    text = output.decode("utf-8", "replace")
    if child.returncode:
        raise LoadFailed(f"{command[3]} ended with {child.returncode}: {text[-500:]}")
    return text


def own_program(module: str, *arguments: object) -> list[str]:
    """Return the command line of one of this package's programs."""
    return [sys.executable, "-m", f"gateways.{module}", *map(str, arguments)]
