"""Every case folder: `in.json` through a translator gives `out.json`, one folder of cases per translator.

`make golden` (GOLDEN_REWRITE=1) rewrites the expectations; the review reads the difference. Requests are
shaped like those of public clients and documentation, written for these tests.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.translating import events_of, frames, request_outcome, translation

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/*/in.json"))
REWRITE = os.environ.get("GOLDEN_REWRITE") == "1"


def request(case: dict[str, Any], caller: str) -> Any:
    return request_outcome(caller, case["body"], **case.get("destination", {}))


def answer(case: dict[str, Any], caller: str) -> Any:
    return json.loads(translation(caller, case.get("request", {})).answer(json.dumps(case["body"]).encode()))


def stream(case: dict[str, Any], caller: str) -> Any:
    translator = translation(caller, case.get("request", {}), stream=True).stream()
    return frames(translator.feed(events_of(case["events"])) + translator.finish())


KINDS: dict[str, Callable[[dict[str, Any], str], Any]] = {
    "request": request,
    "answer": answer,
    "stream": stream,
}


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_case_comes_out_as_written(case: Path) -> None:
    caller, kind = case.parent.name.rsplit("_", 1)
    given = json.loads((case / "in.json").read_text(encoding="utf-8"))
    found = json.dumps(KINDS[kind](given, caller), indent=1, ensure_ascii=False) + "\n"
    if REWRITE:
        (case / "out.json").write_text(found, encoding="utf-8")
    assert found == (case / "out.json").read_text(encoding="utf-8")


def test_there_are_cases() -> None:
    assert len(CASES) >= 40
