"""What is compiled into the wheel: modules that exist, and none that compiling would change."""

import importlib.util
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


def modules() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    listed: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]
    return listed


def judge() -> Callable[[Path], Any]:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[Path], Any] = module.refuse_what_changes
    return found


def test_every_listed_module_may_be_compiled() -> None:
    refuse = judge()
    assert modules() == sorted(set(modules()))
    assert len(modules()) > 30
    for name in modules():
        refuse(ROOT / name)


def test_classes_that_would_lose_their_options_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "values.py"
    path.write_text("import msgspec\nclass Point(msgspec.Struct, frozen=True):\n    x: int\n", "utf-8")
    with pytest.raises(ValueError, match="Point has options"):
        judge()(path)
