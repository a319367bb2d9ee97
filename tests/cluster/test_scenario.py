"""The main job as `make run` plays it: every step proven, and nothing left behind however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = [sys.executable, "-m", "cliproxy_dev.demo", "--once", "--run-dir"]
CHAPTERS = (
    "The dashboard is kubectl",
    "An application speaks OpenAI or Anthropic",
    "claude answers 429 with Retry-After: 8",
    "A changed object is live in both sidecars",
    "claude comes back through one half-open trial",
    "A provider goes down and heals itself",
    "A wrong object harms nobody",
)


def processes_of(run_dir: Path) -> list[str]:
    """Command lines of all processes that were started for this run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(run_dir).encode() in command + environment:
            found.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


def wait_for_line(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if text in line:
            return "".join(said)
    raise AssertionError(f"it never said {text!r}:\n{''.join(said)}")


def start(run_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 -- our own program
        [*DEMO, str(run_dir)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.timeout(300)
def test_every_step_is_seen_to_happen(tmp_path: Path) -> None:
    with start(tmp_path) as demo:
        output, _ = demo.communicate()

    assert demo.returncode == 0, output
    for chapter in CHAPTERS:
        assert chapter in output
    assert "every step was seen to happen" in output
    assert processes_of(tmp_path) == []


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting etcd", signal.SIGINT),
        ("scripted providers listen", signal.SIGHUP),
        ("An application speaks", signal.SIGINT),
    ],
)
def test_ctrl_c_or_a_closed_terminal_leaves_nothing_behind(
    tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    with start(tmp_path) as demo:
        wait_for_line(demo, moment)
        demo.send_signal(number)
        output, _ = demo.communicate(timeout=60)

    assert demo.returncode == 130, output
    assert "\n   stopped; nothing is left running\n" in output
    assert processes_of(tmp_path) == []


@pytest.mark.timeout(180)
def test_a_killed_demo_takes_its_processes_along(tmp_path: Path) -> None:
    with start(tmp_path) as demo:
        wait_for_line(demo, "The dashboard is kubectl")
        assert len(processes_of(tmp_path)) > 5
        demo.kill()
        demo.communicate()

    deadline = time.monotonic() + 20  # noqa: TID251 -- a test's own deadline
    while (left := processes_of(tmp_path)) and time.monotonic() < deadline:  # noqa: TID251
        time.sleep(0.05)
    assert left == []
