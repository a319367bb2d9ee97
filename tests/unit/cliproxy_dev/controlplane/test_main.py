"""The command line as make sees it: exit codes and where the words go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def prepare(**env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cliproxy_dev.controlplane", "prepare"]
    return subprocess.run(  # noqa: S603
        command, env=os.environ | env, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    for program in ("kube-apiserver", "etcd"):
        (tmp_path / program).touch(mode=0o755)
    return tmp_path


def test_what_is_there_is_found_and_named(assets: Path) -> None:
    answer = prepare(KUBEBUILDER_ASSETS=str(assets))

    assert answer.returncode == 0
    assert str(assets / "etcd") in answer.stdout


def test_what_cannot_be_had_is_exit_code_1_and_a_message_without_a_traceback(assets: Path) -> None:
    (assets / "etcd").unlink()
    answer = prepare(KUBEBUILDER_ASSETS=str(assets))

    assert answer.returncode == 1
    assert "no executable etcd" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_existing_cluster_needs_no_programs(tmp_path: Path) -> None:
    env = {"USE_EXISTING_CLUSTER": "1", "CLIPROXY_CACHE": str(tmp_path), "PATH": "/nowhere"}

    assert prepare(KUBECONFIG="some-file", **env).returncode == 0
    assert list(tmp_path.iterdir()) == []
