"""Which control plane a variable chooses, and what the newest server is told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cliproxy_dev.controlplane.find import Unavailable
from cliproxy_dev.controlplane.settings import Layout
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.newest.build import program
from cliproxy_dev.newest.plane import NewestPlane, chosen, newest_command


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    env = {"CLIPROXY_CACHE": str(tmp_path)}
    program(env).parent.mkdir()
    program(env).touch(mode=stat.S_IRWXU)
    return env


def test_nothing_said_means_the_machines_own(tmp_path: Path, env: dict[str, str]) -> None:
    assert type(chosen(tmp_path, env)) is ControlPlane
    assert type(chosen(tmp_path, env | {"CLIPROXY_PLANE": ""})) is ControlPlane


@pytest.mark.parametrize("choice", ["newest", "newest@1.33"])
def test_the_newest_is_chosen(tmp_path: Path, env: dict[str, str], choice: str) -> None:
    assert type(chosen(tmp_path, env | {"CLIPROXY_PLANE": choice})) is NewestPlane


@pytest.mark.parametrize("choice", ["oldest", "newest@33", "newest@1.33.1", "newest@1.33 --x"])
def test_a_slip_is_told(tmp_path: Path, env: dict[str, str], choice: str) -> None:
    with pytest.raises(Unavailable, match=r"must be empty, newest or newest@1\.N"):
        chosen(tmp_path, env | {"CLIPROXY_PLANE": choice})


def test_a_server_that_was_not_built_is_told_with_the_cure(tmp_path: Path, env: dict[str, str]) -> None:
    program(env).unlink()

    with pytest.raises(Unavailable, match=r"python -m cliproxy_dev\.newest prepare"):
        chosen(tmp_path, env | {"CLIPROXY_PLANE": "newest"})


def test_the_server_listens_on_loopback_only_and_asks_the_other_one(tmp_path: Path) -> None:
    to_core = tmp_path / "to-core"

    words = newest_command(
        Path("/p"), Layout(tmp_path), to_core=to_core, etcd_port=1, port=2, emulated="1.33"
    )

    assert words[0] == "/p"
    assert {"--etcd-servers=http://127.0.0.1:1", "--bind-address=127.0.0.1", "--secure-port=2"} <= set(words)
    for name in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"):
        assert f"--{name}={to_core}" in words
    assert "--emulated-version=1.33" in words
