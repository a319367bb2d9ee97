"""docs/bad-peers.md and the cases that are played are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.badpeers import BAD, GARBAGE, ODD, SLOW

PAGE = Path(__file__).parents[2] / "docs" / "bad-peers.md"
ROW = re.compile(r"^\| (.+?) \|(?: `?(\w+)`? \|)?$", re.MULTILINE)


def rows(title: str) -> dict[str, str]:
    """Return the rows of the table below a title: first cell to second, "" where there is none."""
    section = PAGE.read_text("utf-8").split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    (table,) = re.findall(r"^\|-.*\n((?:\|.*\n)+)", section, re.MULTILINE)
    return dict(ROW.findall(table))


@pytest.mark.parametrize(
    ("title", "played"),
    [
        (
            "Providers: odd, and taken as they are",
            {name: str(one[1]) for name, one in ODD.items()},
        ),
        ("Providers: wrong", {name: kind for name, (_, kind) in BAD.items()}),
        ("Providers: slow", {name: kind for name, (*_, kind) in SLOW.items()}),
        ("Callers: what is no request", dict.fromkeys(GARBAGE, "")),
    ],
)
def test_the_page_lists_what_is_played(title: str, played: dict[str, str]) -> None:
    assert rows(title) == played
