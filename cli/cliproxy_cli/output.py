"""How results reach a person or a program: aligned tables with colours on a terminal, JSON, YAML.

What stands in a table is the command's business.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TextIO

import yaml

GAP: Final = "   "
RESET: Final = "\033[0m"
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters: what a provider answered must not steer somebody's terminal."""


class Colour(StrEnum):
    """How a cell is painted on a terminal."""

    PLAIN = ""
    BOLD = "\033[1m"
    DIM = "\033[2m"
    RED = "\033[31m"
    GREEN = "\033[32m"
    YELLOW = "\033[33m"
    CYAN = "\033[36m"


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell."""

    text: str
    colour: Colour = Colour.PLAIN


Row = Sequence[Cell | str]


def table(
    columns: Sequence[str], rows: Iterable[Row], *, colours: bool, right: frozenset[str] = frozenset()
) -> str:
    """Return an aligned table; the columns named in `right` (figures) are set to the right."""
    cells = [[_cell(one) for one in row] for row in rows]
    widths = [
        max([len(name), *(len(row[place].text) for row in cells)]) for place, name in enumerate(columns)
    ]
    lines = [
        _line([Cell(name, Colour.BOLD) for name in columns], columns, widths, colours=colours, right=right)
    ]
    lines += [_line(row, columns, widths, colours=colours, right=right) for row in cells]
    return "\n".join(lines)


def paint(text: str, colour: Colour, *, colours: bool) -> str:
    """Return text in a colour, if there are any."""
    return f"{colour.value}{text}{RESET}" if colours and colour is not Colour.PLAIN else text


def _cell(one: Cell | str) -> Cell:
    cell = one if isinstance(one, Cell) else Cell(one)
    return Cell(_UNSAFE.sub("�", cell.text).replace("\n", " "), cell.colour)


def _line(
    cells: Sequence[Cell],
    columns: Sequence[str],
    widths: Sequence[int],
    *,
    colours: bool,
    right: frozenset[str],
) -> str:
    parts = []
    for place, cell in enumerate(cells):
        room = widths[place] - len(cell.text)
        before, after = (room, 0) if columns[place] in right else (0, room)
        if place == len(cells) - 1:
            after = 0
        parts.append(" " * before + paint(cell.text, cell.colour, colours=colours) + " " * after)
    return GAP.join(parts).rstrip(" ")


def dump(value: Any, form: str) -> str:
    """Return a value as `json` or `yaml`, keys in the order given."""
    if form == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip("\n")


def wants_colours(stream: TextIO, environment: Any, *, refused: bool) -> bool:
    """Whether to paint: only a terminal, and nobody has said no (no-color.org)."""
    if refused or environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return stream.isatty()
