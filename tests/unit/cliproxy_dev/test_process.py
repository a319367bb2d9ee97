"""A child process from start to end, and that it never outlives its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cliproxy_dev.process import TETHER, ManagedProcess, ProcessFailed, tail
from support.cluster import eventually

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


class Started:
    """Makes processes and kills what a failed test left."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, list[ManagedProcess]()

    def __call__(self, code: str, name: str = "child") -> ManagedProcess:
        command = [sys.executable, "-I", "-c", code]
        process = ManagedProcess(name, command, log_path=self.folder / "logs" / f"{name}.log")
        process.start()
        self.made.append(process)
        return process


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Started]:
    made = Started(tmp_path)
    yield made
    for process in made.made:
        await process.kill()


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie, waiting for init, does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def says(process: ManagedProcess, word: str) -> bool:
    return word in process.tail()


async def until_up(process: ManagedProcess) -> None:
    async def up() -> bool:
        return says(process, "up")

    await process.wait_ready(up, within_s=10)


async def test_it_runs_under_its_own_id_and_stops_when_asked(started: Started) -> None:
    process = started(SLEEP)
    await until_up(process)
    pid = process.pid
    assert pid is not None

    assert await process.stop() == -signal.SIGTERM
    assert not is_alive(pid)
    assert process.pid is None


async def test_one_that_does_not_listen_is_killed(started: Started) -> None:
    process = started(STUBBORN)
    await until_up(process)

    assert await process.stop(grace_s=0.1) == -signal.SIGKILL


async def test_its_end_is_seen_with_its_code(started: Started) -> None:
    process = started("raise SystemExit(7)")

    first, second = await asyncio.gather(process.wait(), process.wait())

    assert (first, second) == (7, 7)
    assert process.returncode == 7


async def test_an_end_before_ready_is_told_with_the_last_words(started: Started) -> None:
    process = started("print('no such port'); raise SystemExit(2)")

    async def never() -> bool:
        return False

    with pytest.raises(ProcessFailed, match=r"child ended with 2 before it was ready(?s:.*)no such port"):
        await process.wait_ready(never, within_s=10)


async def test_not_ready_in_time_is_told(started: Started) -> None:
    process = started(SLEEP)
    await until_up(process)

    async def never() -> bool:
        return False

    with pytest.raises(ProcessFailed, match=r"not ready within 0.05 s(?s:.*)up"):
        await process.wait_ready(never, within_s=0.05)


async def test_it_can_be_started_again_but_not_twice(started: Started) -> None:
    process = started(SLEEP)
    with pytest.raises(ProcessFailed, match="runs already"):
        process.start()
    first = process.pid
    await process.kill()

    process.start()

    assert process.pid not in (None, first)


async def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    process = ManagedProcess("ghost", ["/no/such/program"], log_path=tmp_path / "log")
    process.start()

    assert await process.wait() == 127
    assert "cannot start /no/such/program: No such file" in process.tail()


async def test_what_never_started_needs_no_end(tmp_path: Path) -> None:
    process = ManagedProcess("idle", ["true"], log_path=tmp_path / "log")

    assert (process.pid, process.returncode, await process.stop(), await process.kill()) == (None,) * 4
    with pytest.raises(ProcessFailed, match="never started"):
        await process.wait()


def test_the_tail_is_the_end_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(5000)))

    assert tail(tmp_path / "log", 2) == "line 4998\nline 4999"
    assert tail(tmp_path / "absent") == ""


@pytest.mark.parametrize("group", [False, True])
async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path, *, group: bool) -> None:
    """A parent starts a tethered shell with a child of its own and is killed without notice."""
    shell = "echo $$ >> pids; sleep 60 & echo $! >> pids; wait" if group else "echo $$ >> pids; exec sleep 60"
    options = ["--group"] if group else []
    code = (
        "import os, subprocess, sys;"
        f"subprocess.run([sys.executable, '-I', '-S', {str(TETHER)!r}, *{options!r}, str(os.getpid()),"
        f" 'sh', '-c', {shell!r}])"
    )
    parent = subprocess.Popen([sys.executable, "-I", "-c", code], cwd=tmp_path)  # noqa: ASYNC220, S603
    pids = await _numbers(tmp_path / "pids", 2 if group else 1)
    assert all(is_alive(pid) for pid in pids)

    parent.kill()
    parent.wait()

    await eventually(lambda: _none_of(pids), what="the children's end")


def test_a_parent_that_is_dead_already_is_noticed() -> None:
    """The tether compares its real parent with the one it was told."""
    strangers = os.getppid()
    command = [sys.executable, "-I", "-S", str(TETHER), str(strangers), "echo", "ran"]

    answer = subprocess.run(command, capture_output=True, check=False)  # noqa: S603

    assert (answer.returncode, answer.stdout) == (127, b"")


async def _numbers(path: Path, count: int) -> list[int]:
    async def written() -> list[int]:
        words = tail(path).split()
        return [int(word) for word in words] if len(words) == count else []

    return await eventually(written, what=f"{count} process ids")


async def _none_of(pids: list[int]) -> bool:
    return not any(is_alive(pid) for pid in pids)
