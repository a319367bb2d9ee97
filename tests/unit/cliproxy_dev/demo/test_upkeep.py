"""Parts that end while the demonstration stays up: said, and started again."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from pathlib import Path

import pytest

from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.upkeep import how_it_ended, keep_up
from cliproxy_dev.process import ManagedProcess


@pytest.mark.timeout(30)
async def test_a_killed_part_is_named_and_started_again(tmp_path: Path) -> None:
    out = io.StringIO()
    parts = [
        ManagedProcess(
            name,
            [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"],
            log_path=tmp_path / f"{name}.log",
        )
        for name in ("operator", "providers")
    ]
    for part in parts:
        part.start()
    first = parts[0].pid
    keeping = asyncio.ensure_future(keep_up(parts, Narrator(out)))
    try:
        await asyncio.sleep(0)
        parts[0].send(signal.SIGKILL)
        while parts[0].pid in (None, first):  # noqa: ASYNC110 -- a process of the system
            await asyncio.sleep(0.01)
        told = out.getvalue()
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        for part in parts:
            await part.kill()

    assert "operator was ended by SIGKILL; started again" in told
    assert str(tmp_path / "operator.log") in told
    assert "providers" not in told


@pytest.mark.timeout(30)
async def test_a_part_that_cannot_be_started_again_is_tried_until_it_can(tmp_path: Path) -> None:
    out, logs = io.StringIO(), tmp_path / "logs"
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    part = ManagedProcess("operator", command, log_path=logs / "operator.log")
    part.start()
    first = part.pid
    logs.rename(tmp_path / "aside")
    logs.touch()  # where the folder should be
    keeping = asyncio.ensure_future(keep_up([part], Narrator(out)))
    try:
        await asyncio.sleep(0)
        part.send(signal.SIGKILL)
        while "cannot be started again" not in out.getvalue():
            assert not keeping.done()
            await asyncio.sleep(0.01)
        logs.unlink()
        while part.pid in (None, first):  # noqa: ASYNC110 -- a process of the system
            await asyncio.sleep(0.01)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await part.kill()

    assert str(logs) in out.getvalue(), "says why"


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (2, "exit code 2"), (-15, "ended by SIGTERM"), (-60, "ended by signal 60")],
)
def test_an_exit_code_in_words(code: int, words: str) -> None:
    assert words in how_it_ended(code)
