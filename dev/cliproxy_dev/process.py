"""One child process: started, waited for, asked to stop, and never left behind.

Used for etcd, kube-apiserver, operator, pods and scripted providers alike. Which command, and what
"ready" means, is the caller's business. The child runs under `tether.py`, so it dies with this process, and
in a session of its own, so a Ctrl-C at the terminal reaches us first and the stop is orderly.
Works from any event loop: nothing here is tied to the loop that called `start`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from cliproxy_dev.clock import now_s

TETHER = Path(__file__).with_name("tether.py")
TAIL_BYTES = 8192  # enough for a traceback, small enough for a message


class ProcessFailed(RuntimeError):
    """A child ended too early or did not become ready in time; the message holds its last words."""


def tethered(command: Sequence[str], *, group: bool = False) -> list[str]:
    """Return `command` wrapped so that it dies with this process (`group`: its children as well)."""
    options = ["--group"] if group else []
    return [sys.executable, "-I", "-S", str(TETHER), *options, str(os.getpid()), *command]


class ManagedProcess:
    """A child process with a log file of its own. Can be started again after it ended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """`env` is the whole environment (None: ours); `log_path` gets stdout and stderr, appended."""
        self.name = name
        self.command = list(command)
        self.log_path = log_path
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None. It is the command's own id: the tether becomes it."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    @property
    def returncode(self) -> int | None:
        """The exit code after the end (negative: the signal), None before."""
        return self._child.poll() if self._child is not None else None

    def start(self) -> None:
        """Start the child; raises `ProcessFailed` when it runs already."""
        if self.pid is not None:
            raise ProcessFailed(f"{self.name} runs already as process {self.pid}")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log_file:
            self._child = subprocess.Popen(
                tethered(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    async def wait(self) -> int:
        """Wait for the child's end and return its exit code."""
        if self._child is None:
            raise ProcessFailed(f"{self.name} was never started")
        if self._child.poll() is None:
            await _wait_for_exit(self._child)
        return self._child.wait()

    async def wait_ready(
        self, probe: Callable[[], Awaitable[bool]], *, within_s: float, every_s: float = 0.02
    ) -> None:
        """Ask `probe` until it says True. Raises `ProcessFailed` on the child's end or after `within_s`."""
        deadline_s = now_s() + within_s
        while not await probe():
            if self.pid is None:
                raise ProcessFailed(
                    f"{self.name} ended with {self.returncode} before it was ready{self._words()}"
                )
            if now_s() > deadline_s:
                raise ProcessFailed(f"{self.name} was not ready within {within_s:g} s{self._words()}")
            await asyncio.sleep(every_s)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a child that ended meanwhile is fine."""
        if self._child is not None:
            self._child.send_signal(number)

    async def stop(self, *, grace_s: float = 5.0) -> int | None:
        """SIGTERM, then SIGKILL after `grace_s`; returns the exit code, None if it was never started."""
        if self._child is None:
            return None
        self.send(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), grace_s)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int | None:
        """SIGKILL and wait; returns the exit code, None if it was never started."""
        if self._child is None:
            return None
        self.send(signal.SIGKILL)
        return await self.wait()

    def tail(self, lines: int = 20) -> str:
        """Return the last `lines` lines of the child's log, at most 8 KiB."""
        return tail(self.log_path, lines)

    def _words(self) -> str:
        last = self.tail()
        return f"; its last words ({self.log_path}):\n{last}" if last else " and said nothing"


def tail(path: Path, lines: int = 20) -> str:
    """Return the last `lines` lines of a file, at most 8 KiB; empty when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


async def _wait_for_exit(child: subprocess.Popen[bytes]) -> None:
    """Return when the child ended, without polling where the kernel offers a process descriptor."""
    if not hasattr(os, "pidfd_open"):  # not Linux
        while child.poll() is None:  # noqa: ASYNC110 -- there is nothing else to wait for
            await asyncio.sleep(0.02)
        return
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(child.pid)
    try:
        loop.add_reader(descriptor, _settle, ended)
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
