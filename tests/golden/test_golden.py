"""Every case folder: `in.yaml` through the compiler and the status builders gives `out.yaml`.

`make golden` (GOLDEN_REWRITE=1) rewrites the expectations; the review reads the difference.
"""

import os
from pathlib import Path

import msgspec
import pytest
import yaml

from cliproxy_api.codec import seal
from cliproxy_operator.compile import compile_namespace
from support.cases import inputs_of, outcome_of, read_case

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/in.yaml"))
REWRITE = os.environ.get("GOLDEN_REWRITE") == "1"


def dumped(value: object) -> str:
    return yaml.safe_dump(msgspec.to_builtins(value), sort_keys=False, width=110, allow_unicode=True)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_case_comes_out_as_written(case: Path) -> None:
    outcome = dumped(outcome_of(read_case(case / "in.yaml")))
    if REWRITE:
        (case / "out.yaml").write_text(outcome, encoding="utf-8")
    assert outcome == (case / "out.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_snapshots_are_sealed_and_free_of_values(case: Path) -> None:
    for snapshot in compile_namespace(inputs_of(read_case(case / "in.yaml"))).snapshots.values():
        assert seal(snapshot).digest == snapshot.digest != ""


def test_there_are_cases() -> None:
    assert len(CASES) >= 12
