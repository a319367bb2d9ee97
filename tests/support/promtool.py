"""The real promtool: rules checked, and rules tested against series."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.controlplane.tools import tool


def promtool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run it; skips the test where it cannot be obtained."""
    try:
        program = tool("prometheus", "usr/bin/promtool", os.environ)
    except CannotObtain as error:
        pytest.skip(str(error))
    return subprocess.run(  # noqa: S603 -- promtool
        [program, *arguments], input=text, capture_output=True, text=True, check=False, timeout=120
    )


def check_rules(groups: list[dict[str, Any]], folder: Path) -> str:
    """Return what `promtool check rules` says of these groups, which it must accept."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}, sort_keys=False), "utf-8")
    done = promtool("check", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_rules(
    tests: list[dict[str, Any]],
    folder: Path,
    *,
    groups: list[dict[str, Any]] | None = None,
    every: str = "15s",
) -> str:
    """Return what `promtool test rules` says of these tests, which must pass."""
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups or []}, sort_keys=False), "utf-8")
    path = folder / "tests.yaml"
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": every, "tests": tests}
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_metrics(text: bytes) -> subprocess.CompletedProcess[str]:
    """Return how `promtool check metrics` took what a scrape shows."""
    return promtool("check", "metrics", text=text.decode())
