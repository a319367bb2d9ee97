"""What was measured, kept beside the page: docs/faults.json, one row per fault, the latest of each.

So a part of the suite can be played again without the rest.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from cliproxy_dev.faults.table import Row


def load(path: Path) -> list[Row]:
    """Return the rows that were kept; none if there is no such file."""
    return msgspec.json.decode(path.read_bytes(), type=list[Row]) if path.exists() else []


def save(path: Path, rows: Iterable[Row]) -> None:
    """Keep the rows."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(list(rows))) + b"\n")


def merged(kept: Iterable[Row], played: Iterable[Row], order: Iterable[str]) -> list[Row]:
    """Return the newest row of each fault that there is, in order; one that was not played keeps the old."""
    newest = {row.name: row for row in kept} | {row.name: row for row in played}
    return [newest[name] for name in order if name in newest]
