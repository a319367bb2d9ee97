"""What the Debian build decides before it builds; the build itself is what the cluster tests run on."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.controlplane import debian
from cliproxy_dev.controlplane.find import CannotObtain

BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n'
FEDORA = 'PRETTY_NAME="Fedora Linux 42"\nID=fedora\n'


@pytest.fixture
def os_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "os-release"
    path.write_text(BOOKWORM)
    monkeypatch.setattr(debian, "OS_RELEASE", path)
    monkeypatch.setattr(shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(debian, "NEEDED_BYTES", 1)
    return path


@pytest.mark.parametrize(
    ("packaged", "upstream"),
    [
        ("1.20.5+really1.20.2-1.1+deb12u1", "1.20.2"),
        ("1.20.5-1", "1.20.5"),
        ("1.32.3+ds-2", "1.32.3"),
        ("1.20.0~rc1-1", "1.20.0"),
    ],
)
def test_the_version_within_debians_version(packaged: str, upstream: str) -> None:
    assert debian.upstream_version(packaged) == upstream


def test_debian_is_recognised(os_release: Path, tmp_path: Path) -> None:
    assert debian.check_machine(tmp_path) == "bookworm"


def test_another_system_is_named(os_release: Path, tmp_path: Path) -> None:
    os_release.write_text(FEDORA)

    with pytest.raises(CannotObtain, match="this is Fedora Linux 42"):
        debian.check_machine(tmp_path)


def test_no_system_at_all_is_not_debian(os_release: Path, tmp_path: Path) -> None:
    os_release.unlink()

    with pytest.raises(CannotObtain, match="not Debian"):
        debian.check_machine(tmp_path)


def test_missing_tools_are_named(os_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _tool: None)

    with pytest.raises(CannotObtain, match="there is no apt-get and no dpkg-deb"):
        debian.check_machine(tmp_path)


def test_a_full_disk_is_named(os_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "NEEDED_BYTES", 1 << 60)

    with pytest.raises(CannotObtain, match="MB free"):
        debian.check_machine(tmp_path)


def test_a_machine_without_a_debian_mirror_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "tool.list").write_text("deb http://tool.example any main\n")
    (tmp_path / "sources.list.d" / "README").write_text("deb http://mirror.example bookworm main\n")
    monkeypatch.setattr(debian, "APT_DIR", tmp_path)

    with pytest.raises(CannotObtain, match="lists no Debian bookworm mirror"):
        debian.Workshop(tmp_path, tmp_path / "log", {}).fetch("bookworm")


def test_flags_of_an_outer_make_and_foreign_go_settings_stay_out(tmp_path: Path) -> None:
    outer = {"MAKEFLAGS": "-j8", "GOFLAGS": "-mod=mod", "GOPATH": "/x", "KUBE_ROOT": "/y", "http_proxy": "p"}

    env = debian.Workshop(tmp_path, tmp_path / "log", outer)._env

    assert sorted(env) == ["HOME", "LC_ALL", "http_proxy"]


def test_a_failing_tool_is_reported_with_its_last_words(tmp_path: Path) -> None:
    workshop = debian.Workshop(tmp_path, tmp_path / "log", {"PATH": "/usr/bin:/bin"})

    with pytest.raises(CannotObtain, match=r"sh failed with 3(?s:.*)no such package"):
        workshop._run(["sh", "-c", "echo no such package; exit 3"])


@pytest.mark.parametrize("knows_filters", [True, False])
def test_archives_are_unpacked_by_every_supported_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, knows_filters: bool
) -> None:
    """Debian 12's own Python is 3.11.2; extraction filters came with 3.11.4."""
    (tmp_path / "file").write_text("content")
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "file", "folder/file")
    if not knows_filters:
        # What this Python itself wants: 3.12 and 3.13 warn of archives that are unpacked without a filter.
        wanted: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        monkeypatch.delattr(tarfile, "tar_filter", raising=False)
        real = tarfile.TarFile.extractall

        def extractall(self: tarfile.TarFile, path: Path) -> None:
            real(self, path, **wanted)

        monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)

    debian._unpack_tar(tmp_path / "archive.tar.gz", tmp_path / "out")

    assert (tmp_path / "out" / "folder" / "file").read_text() == "content"
