"""Write the dashboards and docs/metrics.md; with --show, try them on real traffic and keep the table."""

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Final

from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.monitoring import page
from cliproxy_dev.monitoring.board import rendered
from cliproxy_dev.monitoring.boards import BOARDS
from cliproxy_dev.monitoring.trial import ROOT, running_trial

FOLDER: Final = ROOT / "charts" / "cliproxy-operator" / "dashboards"
PAGE: Final = ROOT / "docs" / "metrics.md"


def generated() -> dict[Path, str]:
    """Return every generated file's text by its path; the page keeps the table of its last trial."""
    before = PAGE.read_text("utf-8") if PAGE.exists() else ""
    files = {FOLDER / f"{name}.json": rendered(board) for name, board in BOARDS.items()}
    return {**files, PAGE: page.written(page.table_of(before))}


async def _trial() -> str:
    with tempfile.TemporaryDirectory(prefix="cliproxy-trial-") as folder:
        async with running_trial(Path(folder), Narrator()) as trial:
            return page.table(await trial.answers())


def main() -> None:
    """Write the files whose text changed."""
    parser = argparse.ArgumentParser(prog="python -m cliproxy_dev.monitoring", description=__doc__)
    parser.add_argument("--show", action="store_true", help="ask every panel's query of a real Prometheus")
    if parser.parse_args().show:
        table = asyncio.run(_trial())
        print(table)
        PAGE.write_text(page.written(table), "utf-8")
    for path, text in generated().items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
