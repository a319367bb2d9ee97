"""The last good configuration: whole or not at all, and trouble with the disk is no trouble for callers."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cliproxy_sidecar.runtime import lastgood
from cliproxy_sidecar.runtime.lastgood import SNAPSHOT, STATE, LastGood, read_document
from cliproxy_sidecar.runtime.tasks import Tasks
from support.sidecar import eventually


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lastgood, "PAUSE_S", 0.0)


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    made = Tasks()
    yield made
    await made.stop()


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_the_newest_is_kept_for_its_owner_only(tmp_path: Path, tasks: Tasks) -> None:
    kept = LastGood(tmp_path, tasks)
    for number in range(20):
        kept.keep(SNAPSHOT, b"%d" % number)
        kept.keep(STATE, b"state")
    await eventually(lambda: kept.read(SNAPSHOT) == b"19" and kept.read(STATE) == b"state")
    assert modes(tmp_path) == {SNAPSHOT: 0o600, STATE: 0o600}


async def test_a_folder_that_is_not_there_costs_one_warning(
    tmp_path: Path, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    kept = LastGood(tmp_path / "nowhere", tasks)
    kept.keep(SNAPSHOT, b"1")
    await eventually(lambda: "cannot be kept" in caplog.text)
    kept.keep(SNAPSHOT, b"2")
    await eventually(lambda: not kept._waiting)
    (tmp_path / "nowhere").mkdir()
    kept.keep(SNAPSHOT, b"3")
    await eventually(lambda: kept.read(SNAPSHOT) == b"3")
    assert caplog.text.count("cannot be kept") == 1
    assert tasks.failures == 0


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"x" * 1000)[:-9],
        gzip.compress(b"x" * 1000)[:-4] + b"\0\0\0\0",
        b"\x1f\x8brubbish",
        gzip.compress(b"x" * (lastgood.MAX_BYTES + 1)),
        b"x" * (lastgood.MAX_BYTES + 1),
    ],
    ids=["cut", "wrong-sum", "no-gzip", "bomb", "large"],
)
def test_what_is_corrupt_is_not_read(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert read_document(path) is None
    assert "cannot be used" in caplog.text


def test_plain_and_packed_documents_are_read_and_a_missing_one_is_no_news(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"
    assert read_document(path) is None
    assert caplog.text == ""
    path.write_bytes(b"{}")
    assert read_document(path) == b"{}"
    path.write_bytes(gzip.compress(b"{}"))
    assert read_document(path) == b"{}"
