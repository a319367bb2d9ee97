"""Which packages the newest server is built from, and what a person is told; `make test-newest` builds it."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from cliproxy_dev.controlplane import debian
from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.newest import build


def quiet() -> Progress:
    return Progress(io.StringIO())


def test_libraries_and_go_are_fetched_and_nothing_else() -> None:
    closure = [
        "golang-k8s-apiserver-dev",
        "golang-github-klauspost-compress-dev",
        "golang-github-cloudflare-circl-dev",
        "golang-google-cloud-dev",
        "golang-google-cloud-compute-metadata-dev",
        "golang-1.26-go",
        "golang-1.26-src",
        "golang-golang-x-tools",
        "libc6-dev",
        "perl",
    ]

    assert build.needed(closure) == [
        "golang-1.26-go",
        "golang-1.26-src",
        "golang-github-klauspost-compress-dev",
        "golang-k8s-apiserver-dev",
    ]


@pytest.mark.parametrize(("packaged", "version"), [("0.36.4-1", "1.36.4"), ("0.40.0+ds-2", "1.40.0")])
def test_kubernetes_is_the_librarys_version(packaged: str, version: str) -> None:
    assert build.kubernetes_version(packaged) == version


def test_another_way_of_counting_is_not_guessed() -> None:
    with pytest.raises(CannotObtain, match=r"unknown version 2\.1-1"):
        build.kubernetes_version("2.1-1")


def test_the_newest_go_is_by_number(tmp_path: Path) -> None:
    for name in ("go-1.9", "go-1.26", "go-1.27"):
        (tmp_path / name).mkdir()

    assert build.newest_go(tmp_path).name == "go-1.27"


def test_no_go_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotObtain, match="no package brought Go"):
        build.newest_go(tmp_path)


def test_what_is_in_the_cache_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "OS_RELEASE", tmp_path / "none")
    env = {"CLIPROXY_CACHE": str(tmp_path)}
    program = build.program(env)
    program.parent.mkdir()
    program.touch(mode=stat.S_IRWXU)

    assert build.prepare(env, quiet()) == program


def test_a_machine_that_cannot_build_it_is_told_so_and_left_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "OS_RELEASE", tmp_path / "none")
    env = {"CLIPROXY_CACHE": str(tmp_path)}

    with pytest.raises(CannotObtain, match="server for custom resources: this is not Debian"):
        build.prepare(env, quiet())

    assert [path.name for path in build.program(env).parent.iterdir()] == ["lock"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "newest").touch()

    with pytest.raises(CannotObtain, match="the cache cannot be written"):
        build.prepare({"CLIPROXY_CACHE": str(tmp_path)}, quiet())
