"""One Redis on loopback with a directory of its own, taken away at the end; can be paused and killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cliproxy_dev.debianprogram import Program
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess

READY_S: Final = 20.0
READY_WORDS: Final = "Ready to accept connections"


class RunningRedis:
    """`async with RunningRedis(server, run_dir) as redis: ... redis.port`."""

    def __init__(
        self,
        server: Program,
        run_dir: Path,
        *,
        password: str = "",
        tls: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """`tls` is one PEM file with certificate and key; then nothing but TLS is spoken."""
        [self.port] = free_ports(1)
        self._paused = False
        words = ["--save", "", "--appendonly", "no", "--dir", str(run_dir), "--bind", "127.0.0.1"]
        if tls is None:
            words += ["--port", str(self.port)]
        else:
            words += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            words += ["--tls-cert-file", str(tls), "--tls-key-file", str(tls)]
        if password:
            words += ["--requirepass", password]
        self._process = ManagedProcess(
            "redis-server",
            [str(server.program), *words, *options],
            log_path=run_dir / "redis.log",
            env=server.environment(os.environ),
            cwd=run_dir,
        )

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Start, empty, and wait until it answers. Raises `ProcessFailed`."""
        self._process.log_path.unlink(missing_ok=True)
        self._process.start()
        await self._process.wait_ready(self._answers, within_s=READY_S)

    async def stop(self) -> None:
        """Stop it; what it kept is gone."""
        self.resume()
        await self._process.stop()

    def pause(self) -> None:
        """Let it hang: connections stay, nothing is answered."""
        self._paused = True
        self._process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._paused:
            self._paused = False
            self._process.send(signal.SIGCONT)

    async def _answers(self) -> bool:
        return READY_WORDS in self._process.tail()
