"""What keeps a demonstration from starting."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cliproxy_dev.controlplane.find import Unavailable
from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.narrator import Narrator


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_somebody_elses_cluster_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("USE_EXISTING_CLUSTER", "1")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "theirs"))

    with pytest.raises(Unavailable, match="a control plane of its own"):
        async with running_world(tmp_path, Narrator(io.StringIO())):
            raise AssertionError("it started")

    assert left_in(tmp_path) == []


def test_a_terminal_without_utf8_ends_no_play(tmp_path: Path) -> None:
    theirs = {"USE_EXISTING_CLUSTER": "1", "KUBECONFIG": str(tmp_path)}
    answer = subprocess.run(
        [sys.executable, "-m", "cliproxy_dev.demo", "--once"],
        env=os.environ | theirs | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert (answer.returncode, answer.stderr) == (1, "")
    assert "docs/start.md" in answer.stdout


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_a_terminal_has_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    painted, plain = Terminal(), Terminal()
    Narrator(painted).proven("it works")
    monkeypatch.setenv(name, value)
    Narrator(plain).proven("it works")

    assert "\x1b[" in painted.getvalue()
    assert "\x1b[" not in plain.getvalue()
