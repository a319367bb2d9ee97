"""The order of obtaining, what the cache gets to see, and what a person is told when nothing works."""

from __future__ import annotations

import errno
import io
import threading
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.controlplane import debian, download, prepare
from cliproxy_dev.controlplane.find import CACHE_DEBIAN, CACHE_RELEASE, CannotObtain, Unavailable, cached
from cliproxy_dev.controlplane.progress import Progress


class Ways:
    """Stands in for the download and the Debian build."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.works = {"download", "debian"}
        self.started, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def download(self, into: Path, _progress: Progress) -> None:
        self._obtain("download", into)

    def debian(self, into: Path, scratch: Path, *_: Any) -> None:
        (scratch / "half-done").touch()
        self._obtain("debian", into)

    def _obtain(self, name: str, into: Path) -> None:
        self.calls.append(name)
        (into / "kube-apiserver").touch(mode=0o755)
        self.started.set()
        assert self.go_on.wait(10)
        if name not in self.works:
            raise CannotObtain(f"{name}: does not work here")
        (into / "etcd").touch(mode=0o755)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    made = Ways()
    monkeypatch.setattr(download, "download", made.download)
    monkeypatch.setattr(debian, "build", made.debian)
    return made


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"CLIPROXY_CACHE": str(tmp_path), "PATH": "/nowhere"}


def quiet() -> Progress:
    return Progress(io.StringIO())


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "controlplane").iterdir())


def test_the_download_comes_first(ways: Ways, env: dict[str, str], tmp_path: Path) -> None:
    pair = prepare.prepare(env, quiet())

    assert ways.calls == ["download"]
    assert pair.etcd == cached(tmp_path, CACHE_RELEASE) / "etcd"
    assert left_in(tmp_path) == ["lock", CACHE_RELEASE]


def test_without_it_debians_source_is_built(ways: Ways, env: dict[str, str], tmp_path: Path) -> None:
    ways.works = {"debian"}
    pair = prepare.prepare(env, quiet())

    assert ways.calls == ["download", "debian"]
    assert pair.etcd == cached(tmp_path, CACHE_DEBIAN) / "etcd"
    assert left_in(tmp_path) == [CACHE_DEBIAN, "lock"]


def test_the_second_run_obtains_nothing(ways: Ways, env: dict[str, str]) -> None:
    first = prepare.prepare(env, quiet())
    ways.calls.clear()

    assert prepare.prepare(env, quiet()).etcd == first.etcd
    assert ways.calls == []


def test_when_nothing_works_it_says_why_and_what_to_do(
    ways: Ways, env: dict[str, str], tmp_path: Path
) -> None:
    ways.works = set()
    with pytest.raises(Unavailable) as refused:
        prepare.prepare(env, quiet())

    expected = [
        "KUBEBUILDER_ASSETS is not set",
        "download: does not work here",
        "debian: does not work here",
        "Two ways round it",
        "KUBEBUILDER_ASSETS=DIR",
        "USE_EXISTING_CLUSTER=1 KUBECONFIG=FILE",
    ]
    assert [words for words in expected if words not in str(refused.value)] == []
    assert left_in(tmp_path) == ["lock"]


def test_what_a_killed_run_left_is_removed(ways: Ways, env: dict[str, str], tmp_path: Path) -> None:
    stale = tmp_path / "controlplane" / "work-killed" / "finished"
    stale.mkdir(parents=True)
    (stale / "etcd").touch(mode=0o755)

    prepare.prepare(env, quiet())

    assert left_in(tmp_path) == ["lock", CACHE_RELEASE]


def test_an_interrupted_run_leaves_nothing(
    ways: Ways, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(into: Path, _progress: Progress) -> None:
        (into / "etcd").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(env, quiet())

    assert left_in(tmp_path) == ["lock"]


def test_of_two_runs_at_once_one_obtains_and_both_get_it(ways: Ways, env: dict[str, str]) -> None:
    ways.go_on.clear()
    pairs = []
    said = io.StringIO()
    first = threading.Thread(target=lambda: pairs.append(prepare.prepare(env, quiet())))
    second = threading.Thread(target=lambda: pairs.append(prepare.prepare(env, Progress(said))))
    first.start()
    assert ways.started.wait(10)
    second.start()
    while "another run is obtaining" not in said.getvalue():
        second.join(0.005)
        assert second.is_alive()
    ways.go_on.set()
    first.join(10)
    second.join(10)

    assert ways.calls == ["download"]
    assert len({pair.etcd for pair in pairs}) == 1
    assert len(pairs) == 2


def test_a_cache_that_cannot_be_made_is_named(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable, match=r"cannot be written(?s:.*)KUBEBUILDER_ASSETS"):
        prepare.prepare(env | {"CLIPROXY_CACHE": str(tmp_path / "file" / "below")}, quiet())


def test_a_full_disk_is_a_reason_like_any_other(
    ways: Ways, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "download", full)
    monkeypatch.setattr(debian, "build", full)
    with pytest.raises(Unavailable, match="No space left on device") as refused:
        prepare.prepare(env, quiet())

    assert "Two ways round it" in str(refused.value)
    assert left_in(tmp_path) == ["lock"]


def test_a_cache_that_cannot_be_written_is_named_and_how_to_choose_another(
    ways: Ways, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "controlplane" / "lock").mkdir(parents=True)
    with pytest.raises(Unavailable, match=f"The cache {tmp_path} cannot be written") as refused:
        prepare.prepare(env, quiet())

    assert "CLIPROXY_CACHE=DIR" in str(refused.value)
    assert ways.calls == []
