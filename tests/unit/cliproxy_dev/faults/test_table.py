"""The suite's report: one row per fault, what went wrong, and its place in the document."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliproxy_dev.faults import document, record
from cliproxy_dev.faults.checks import Seen, judge
from cliproxy_dev.faults.plan import PLANS
from cliproxy_dev.faults.table import HEAD, Row, line, render


def test_a_row_adds_its_runs_up() -> None:
    row = Row("cut", "cut off", [judge(Seen(writes_s=[1.0])), judge(Seen(writes_s=[1.0, 2.0], stuck=["x"]))])

    assert line(row) == "| cut off | 2 | 0 | 0 | 0 | 0 | 1 | 0 | 3 | 2 |"
    assert line(row).count("|") == HEAD.splitlines()[0].count("|")
    assert not row.passed


def test_a_fault_that_was_not_played_has_not_passed() -> None:
    row = Row("cut", "cut off", skipped="no `ip` here")

    assert not row.passed
    assert "not played: no `ip` here" in render([row])
    assert line(row).count("|") == HEAD.splitlines()[0].count("|")
    assert not Row("x", "nothing ran").passed


def test_violations_and_notes_are_told() -> None:
    text = render([Row("cut", "cut off", [judge(Seen(stuck=["it waits"]))], notes={"at step x": 3})])

    assert "**cut off: 1 violations**" in text
    assert "stuck: it waits" in text
    assert "| at step x | 3 |" in text


def test_the_section_goes_between_its_markers() -> None:
    page = f"before {document.BEGIN} old {document.END} after"

    once = document.replace(page, "new")
    assert "old" not in once
    assert once.startswith("before ")
    assert once.endswith(" after")
    assert document.replace(once, "new") == once
    with pytest.raises(ValueError, match="faults: end"):
        document.replace(document.BEGIN, "new")


def test_faults_have_names_of_their_own() -> None:
    assert len({plan.name for plan in PLANS}) == len(PLANS)
    assert all(plan.runs >= 1 for plan in PLANS)


def test_what_is_played_again_replaces_its_row_alone(tmp_path: Path) -> None:
    first = [Row("a", "A", [judge(Seen(stuck=["x"]))]), Row("b", "B", notes={"x": 1}, taken="then")]
    record.save(tmp_path / "rows.json", first)

    again = Row("a", "A", [judge(Seen())])
    rows = record.merged(record.load(tmp_path / "rows.json"), [again], ["b", "a", "c"])

    assert rows == [first[1], again]
    assert "then: b" in render(rows)
    assert record.load(tmp_path / "nowhere.json") == []
