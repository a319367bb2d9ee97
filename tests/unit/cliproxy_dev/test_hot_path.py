"""What is compiled into the wheel: modules that exist, and none that compiling would change."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.hotpath import ROOT, hot_modules


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
    assert hot_modules() == sorted(set(hot_modules()))
    assert len(hot_modules()) > 30
    for name in hot_modules():
        refuse(ROOT / name)


def test_classes_that_would_lose_their_options_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "values.py"
    path.write_text("import msgspec\nclass Point(msgspec.Struct, frozen=True):\n    x: int\n", "utf-8")
    with pytest.raises(ValueError, match="Point has options"):
        judge()(path)
