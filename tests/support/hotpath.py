"""Which modules are compiled where that is asked for: the list in pyproject.toml."""

import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def hot_modules() -> list[str]:
    """Return the modules' files, as paths in the checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    listed: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]
    return listed
