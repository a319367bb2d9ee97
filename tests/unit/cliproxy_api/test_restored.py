"""What a backup keeps of a status, and what of that is over when it comes back."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cliproxy_api.restored import (
    MAX_ANNOTATION_BYTES,
    RestoredState,
    UnreadableStateError,
    fresh_state,
    kept_state,
    read_state,
    write_state,
)
from cliproxy_api.vocabulary import RESTORE_ANNOTATION

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # a Saturday


def fresh(kind: str, **state: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    return fresh_state(kind, state, NOW)


def test_state_travels_through_the_annotation() -> None:
    state = RestoredState(id="b1", taken_at="2026-11-21T10:00:00Z", status={"cost": {"day": "2026-11-21"}})
    assert read_state({RESTORE_ANNOTATION: write_state(state)}) == state
    assert read_state({"other": "thing"}) is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"id":"","takenAt":"x"}', '{"id":"%s","takenAt":"x"}' % ("a" * 65)]
)
def test_an_annotation_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(UnreadableStateError, match=RESTORE_ANNOTATION):
        read_state({RESTORE_ANNOTATION: text})


def test_state_that_no_annotation_holds_is_refused() -> None:
    state = RestoredState(id="b1", taken_at="x", status={"channels": ["x" * MAX_ANNOTATION_BYTES]})
    with pytest.raises(UnreadableStateError, match="at most"):
        write_state(state)


def test_only_what_nobody_could_find_out_again_is_kept() -> None:
    status = {
        "phase": "CoolingDown",
        "cooldowns": [{"scope": "Provider"}],
        "conditions": [],
        "traffic": {"a": 1},
    }
    assert kept_state("LLMProvider", status) == {"cooldowns": [{"scope": "Provider"}]}
    assert kept_state("CooldownPolicy", {"providerCount": 3}) == {}
    assert kept_state("AlertRule", {"providers": [], "channels": []}) == {}


def test_a_cooldown_comes_back_only_while_its_instant_lies_ahead() -> None:
    ahead = {"scope": "Provider", "phase": "Cooling", "until": "2026-11-21T12:00:01Z"}
    past = {"scope": "Model", "model": "gpt", "phase": "Cooling", "until": "2026-11-21T12:00:00Z"}
    trial = {"scope": "Credential", "credential": "main", "phase": "HalfOpen"}
    ramp = {"scope": "Provider", "phase": "Ramp", "until": "2026-11-21T11:00:00Z"}
    kept, notes = fresh("LLMProvider", cooldowns=[ahead, past, trial, ramp])
    assert kept == {"cooldowns": [ahead, trial]}
    assert len(notes) == 2
    assert "Model gpt ended at 2026-11-21T12:00:00Z" in notes[0]


def test_a_quota_comes_back_only_in_its_own_period() -> None:
    running = {"used": "7", "resetsAt": "2026-11-22T00:00:00Z"}
    assert fresh("LLMProvider", quota=running) == ({"quota": running}, ())
    kept, notes = fresh("LLMProvider", quota={"used": "7", "resetsAt": "2026-11-21T00:00:00Z"})
    assert kept == {}
    assert notes == ("quota period ended at 2026-11-21T00:00:00Z, dropped",)


def test_costs_of_yesterday_count_for_the_month_only() -> None:
    cost = {"day": "2026-11-20", "today": "1.5", "thisMonth": "30"}
    kept, notes = fresh("LLMProvider", cost=cost)
    assert kept == {"cost": {"day": "2026-11-20", "thisMonth": "30"}}
    assert notes == ("cost today is of 2026-11-20, dropped",)
    assert fresh("LLMProvider", cost={"day": "2026-10-31", "today": "1", "thisMonth": "2"})[0] == {}


def test_budgets_come_back_by_day_week_and_month() -> None:
    spent = {"name": "web", "day": "2026-11-15", "today": "1", "thisWeek": "2", "thisMonth": "3"}
    old = spent | {"name": "old", "day": "2026-01-01"}
    kept, notes = fresh("ProxyProfile", consumers=[spent, old])
    assert kept == {"consumers": [{"name": "web", "day": "2026-11-15", "thisMonth": "3"}]}
    assert len(notes) == 5


def test_firing_and_owed_alerts_come_back_and_pending_ones_begin_anew() -> None:
    firing = {"provider": "a", "state": "Firing", "since": "2026-11-21T10:00:00Z"}
    owed = {"provider": "b", "state": "Inactive", "told": [{"channel": "hook", "at": "2026-11-21T10:00:00Z"}]}
    pending = {"provider": "c", "state": "Pending"}
    calm = {"provider": "d", "state": "Inactive"}
    kept, notes = fresh("AlertRule", providers=[firing, owed, pending, calm])
    assert kept == {"providers": [firing, owed]}
    assert notes == ("alert for c was pending and begins anew",)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("LLMProvider", {"cooldowns": "soon"}),
        ("LLMProvider", {"cooldowns": [{"until": "soon"}]}),
        ("LLMProvider", {"quota": [1]}),
        ("LLMProvider", {"cost": {"day": "someday", "today": "1"}}),
        ("ProxyProfile", {"consumers": [{"today": "1"}]}),
        ("AlertRule", {"providers": 7}),
    ],
)
def test_what_cannot_be_read_is_dropped_and_said(kind: str, state: dict[str, Any]) -> None:
    kept, notes = fresh_state(kind, state, NOW)
    assert kept == {}
    assert "unreadable" in notes[0]
