"""The log's copy in a real file: turned over, tidied up, and what happens when it cannot be written."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cliproxy_api.telling import LogFile
from cliproxy_sidecar.runtime import logfile
from cliproxy_sidecar.runtime.logfile import MAX_WAITING_BYTES, FileWriter, Shelf

NOW_S = 1_795_258_260.0
LINE = b'{"timestamp":"2026-11-21T10:51:00.000Z","msg":"x"}\n'
WITHIN_S = 10.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "pod.log"


@pytest.fixture
def shelf(path: Path) -> Iterator[Shelf]:
    made = Shelf(path)
    yield made
    made.close()


def kept(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.parent.iterdir()}


class Troubles:
    """What the thread has told, and a way to wait for it."""

    def __init__(self) -> None:
        self.told: list[str | None] = []
        self._more = threading.Semaphore(0)

    def __call__(self, trouble: str | None) -> None:
        self.told.append(trouble)
        self._more.release()

    def wait(self) -> str | None:
        assert self._more.acquire(timeout=WITHIN_S), self.told
        return self.told[-1]


def test_lines_are_appended_over_restarts(path: Path) -> None:
    for _ in range(2):
        shelf = Shelf(path)
        shelf.write(LINE, LogFile(), NOW_S)
        shelf.close()
    assert kept(path) == {"pod.log": 2 * LINE}
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_full_file_is_put_away_and_the_oldest_goes(path: Path, shelf: Shelf) -> None:
    rules = LogFile(max_bytes=2 * len(LINE), backups=2)
    for number in range(9):
        shelf.write(LINE.replace(b"x", str(number).encode()), rules, NOW_S)
    found = {name: [line[-3:-2] for line in said.splitlines()] for name, said in kept(path).items()}
    assert {name: len(said) for name, said in found.items()} == {"pod.log": 1, "pod.log.1": 2, "pod.log.2": 2}
    assert kept(path)["pod.log"] == LINE.replace(b"x", b"8")
    assert kept(path)["pod.log.2"] == LINE.replace(b"x", b"4") + LINE.replace(b"x", b"5")


def test_without_backups_only_the_newest_stays(path: Path, shelf: Shelf) -> None:
    for _ in range(5):
        shelf.write(LINE, LogFile(max_bytes=len(LINE), backups=0), NOW_S)
    assert kept(path) == {"pod.log": LINE}


def test_an_old_file_is_put_away_even_after_a_restart(path: Path) -> None:
    rules = LogFile(max_age_s=60.0)
    for at_s, files in ((NOW_S, 1), (NOW_S + 59, 1), (NOW_S + 60, 2)):
        shelf = Shelf(path)
        shelf.write(LINE, rules, at_s)
        shelf.close()
        os.utime(path, (at_s, at_s))
        assert len(kept(path)) == files


def test_files_that_were_are_removed_by_age_and_number_and_others_stay(path: Path, shelf: Shelf) -> None:
    path.parent.mkdir()
    for name, age_s in (("pod.log.1", 10), ("pod.log.2", 90), ("pod.log.7", 1), ("pod.log.old", 900)):
        (path.parent / name).write_bytes(LINE)
        os.utime(path.parent / name, (NOW_S - age_s, NOW_S - age_s))
    shelf.write(LINE, LogFile(max_age_s=60.0, backups=5), NOW_S)
    assert sorted(kept(path)) == ["pod.log", "pod.log.1", "pod.log.old"]


def test_a_file_that_somebody_moves_away_is_begun_anew(path: Path, shelf: Shelf) -> None:
    shelf.write(LINE, LogFile(), NOW_S)
    path.rename(path.with_name("taken"))
    shelf.write(LINE, LogFile(), NOW_S)
    path.unlink()
    shelf.write(LINE + LINE, LogFile(), NOW_S)
    assert kept(path) == {"taken": LINE, "pod.log": LINE + LINE}


def test_half_a_line_does_not_stay(path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.write(LINE, LogFile(), NOW_S)
    write, calls = os.write, iter((True, False))

    def full(file: int, data: bytes) -> int:
        if next(calls, False):
            return write(file, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        shelf.write(LINE, LogFile(), NOW_S)
    assert kept(path) == {"pod.log": LINE}


# ----------------------------------------------------------------------------- the thread
def test_the_thread_writes_what_is_offered_until_the_end(path: Path) -> None:
    troubles = Troubles()
    writer = FileWriter(path, troubles)
    writer.configure(LogFile())
    for _ in range(100):
        writer.offer(LINE, 1)
    writer.close(WITHIN_S)
    assert kept(path) == {"pod.log": 100 * LINE}
    assert (writer.written, writer.dropped, troubles.told) == (100, 0, [])


def test_switched_off_what_was_offered_before_is_still_written(path: Path) -> None:
    writer = FileWriter(path, Troubles())
    assert not writer.is_on
    writer.configure(LogFile())
    assert writer.is_on
    writer.offer(LINE, 1)
    writer.configure(None)
    assert not writer.is_on
    writer.close(WITHIN_S)
    assert kept(path) == {"pod.log": LINE}


def test_a_full_disk_is_told_once_and_got_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "PAUSE_S", 0.01)
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    troubles = Troubles()
    writer = FileWriter(path, troubles)
    writer.configure(LogFile())
    for _ in range(3):
        writer.offer(LINE, 1)
    assert troubles.wait() == "No space left on device"
    path.unlink()
    writer.offer(LINE, 1)
    assert troubles.wait() is None
    writer.close(WITHIN_S)
    assert troubles.told == ["No space left on device", None]
    assert writer.written + writer.dropped == 4
    assert writer.dropped >= 1
    assert kept(path) == {"pod.log": writer.written * LINE}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    troubles = Troubles()
    writer = FileWriter(tmp_path / "file" / "pod.log", troubles)
    writer.configure(LogFile())
    writer.offer(LINE, 1)
    assert troubles.wait() in {"Not a directory", "File exists"}
    writer.close(WITHIN_S)
    assert (writer.written, writer.dropped) == (0, 1)


def test_a_disk_that_hangs_costs_a_bounded_queue_and_no_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, released = threading.Event(), threading.Event()
    write = os.write

    def hang(file: int, data: bytes) -> int:
        entered.set()
        assert released.wait(WITHIN_S)
        return write(file, data)

    monkeypatch.setattr(os, "write", hang)
    writer = FileWriter(path, Troubles())
    writer.configure(LogFile())
    writer.offer(LINE, 1)
    assert entered.wait(WITHIN_S)
    large = LINE * 10_000
    offered = 0
    while writer.dropped == 0:
        writer.offer(large, 10_000)
        offered += 1
        assert offered * len(large) <= 2 * MAX_WAITING_BYTES
    assert writer.dropped == 10_000
    writer.close(0.01)
    released.set()
    writer.close(WITHIN_S)
    assert writer.written == 1 + (offered - 1) * 10_000
