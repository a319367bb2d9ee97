"""Where the operator's time goes in one phase of a run, by sampling it with py-spy."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from cliproxy_dev.process import tethered
from gateways import samples, table

ROWS: Final = 25
LONGEST_S: Final = 600


class Profiler:
    """Samples a process while a block runs; does nothing without py-spy."""

    def __init__(self, spy: Path | None, folder: Path, say: Callable[[str], None]) -> None:
        self._spy, self._folder, self._say = spy, folder, say

    @contextlib.asynccontextmanager
    async def phase(self, name: str, pid: int | None) -> AsyncIterator[None]:
        """Sample and say which functions ran, with what they called, and by themselves."""
        if self._spy is None or pid is None:
            yield
            return
        output = self._folder / f"{name}.stacks"
        command = [str(self._spy), "record", "--pid", str(pid), "--duration", str(LONGEST_S), "--rate", "200"]
        command += ["--format", "raw", "--nonblocking", "--output", str(output)]
        child = await asyncio.create_subprocess_exec(
            *tethered(command), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGINT)
            await child.wait()
        text = output.read_text("utf-8") if output.exists() else ""
        for what, shares in (("with callees", samples.inclusive(text)), ("own", samples.by_function(text))):
            rows = ([f"`{function}`", f"{share:.1%}"] for function, share in shares[:ROWS])
            self._say(f"{name}, {what}\n{table.columns(['function', 'time'], rows)}")
