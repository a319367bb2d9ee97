"""Setting one condition in a list: transitions move the time, everything else leaves it."""

import pytest

from cliproxy_api.conditions import (
    MAX_MESSAGE_CHARS,
    ConditionType,
    clip,
    find_condition,
    is_true,
    set_condition,
    without_condition,
)
from cliproxy_api.resources.common import Condition
from cliproxy_api.vocabulary import ConditionStatus

OLD, NEW = "2026-11-30T12:00:00Z", "2026-11-30T13:00:00Z"
TRUE, FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE


def put(
    conditions: tuple[Condition, ...],
    kind: ConditionType,
    status: ConditionStatus,
    *,
    now: str,
    message: str = "because",
    generation: int = 1,
) -> tuple[Condition, ...]:
    return set_condition(
        conditions, kind, status, reason="Why", message=message, generation=generation, now=now
    )


def test_the_time_moves_only_when_the_status_does() -> None:
    first = put((), ConditionType.READY, TRUE, now=OLD)
    same = put(first, ConditionType.READY, TRUE, now=NEW, message="other", generation=2)
    assert same[0].last_transition_time == OLD
    assert (same[0].message, same[0].observed_generation) == ("other", 2)
    assert put(same, ConditionType.READY, FALSE, now=NEW)[0].last_transition_time == NEW


def test_the_order_is_the_canonical_one_with_strangers_last() -> None:
    stranger = Condition(type="Aardvark", status=TRUE, reason="R", message="m", last_transition_time=OLD)
    conditions: tuple[Condition, ...] = (stranger,)
    for kind in reversed(ConditionType):
        conditions = put(conditions, kind, TRUE, now=OLD)
    assert [entry.type for entry in conditions] == [*ConditionType, "Aardvark"]
    assert stranger in without_condition(conditions, ConditionType.READY)


def test_a_condition_can_be_found_and_taken_out() -> None:
    conditions = put((), ConditionType.STALLED, TRUE, now=OLD)
    assert is_true(conditions, ConditionType.STALLED)
    assert not is_true(conditions, ConditionType.READY)
    assert not is_true(put((), ConditionType.READY, FALSE, now=OLD), ConditionType.READY)
    assert without_condition(conditions, ConditionType.STALLED) == ()
    assert find_condition((), ConditionType.STALLED) is None


def test_messages_are_never_empty_and_bounded() -> None:
    assert put((), ConditionType.READY, TRUE, now=OLD, message="")[0].message == "Why"
    assert (
        len(put((), ConditionType.READY, TRUE, now=OLD, message="x" * 9999)[0].message) == MAX_MESSAGE_CHARS
    )


@pytest.mark.parametrize(
    ("text", "at_most", "clipped"),
    [("a\n  b\tc ", 10, "a b c"), ("abcdef", 6, "abcdef"), ("abcdefg", 6, "abcde…"), ("", 5, "")],
)
def test_clip(text: str, at_most: int, clipped: str) -> None:
    assert clip(text, at_most) == clipped
