"""The documentation builds without a warning: every link leads somewhere, every page is in the contents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(180)
def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    site = tmp_path / "site"

    build = subprocess.run(  # noqa: S603 -- our own page builder
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "dirhtml", ROOT / "docs", site],
        capture_output=True,
        text=True,
        check=False,
    )

    assert build.returncode == 0, build.stderr
    assert "Troubleshooting" in (site / "troubleshooting" / "index.html").read_text("utf-8")
    assert "cooldown" in (site / "searchindex.js").read_text("utf-8")
