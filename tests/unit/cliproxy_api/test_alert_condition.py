"""Conditions are parsed, type-checked and answered with the place of the mistake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.alert_condition import (
    METRICS,
    All,
    AnyOf,
    Comparison,
    ConditionError,
    Expression,
    Not,
    parse_condition,
)

ERRORS = Comparison("error_rate", ">", 0.05)
SLOW = Comparison("p95_latency", ">=", 90.0)
COOLING = Comparison("in_cooldown", "==", value=True)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("error_rate > 0.05", ERRORS),
        ("error_rate>5%", ERRORS),
        ("  p95_latency >= 1m30s ", SLOW),
        ("in_cooldown", COOLING),
        ("in_cooldown == false", Comparison("in_cooldown", "==", value=False)),
        ('provider_health != "healthy"', Comparison("provider_health", "!=", "healthy")),
        ("provider_health == 'degraded'", Comparison("provider_health", "==", "degraded")),
        ("cost_per_hour > 2.50", Comparison("cost_per_hour", ">", 2.5)),
        ("error_rate > 5% && p95_latency >= 90s", All((ERRORS, SLOW))),
        ("error_rate > 5% || p95_latency >= 90s && in_cooldown", AnyOf((ERRORS, All((SLOW, COOLING))))),
        ("(error_rate > 5% || p95_latency >= 90s) && in_cooldown", All((AnyOf((ERRORS, SLOW)), COOLING))),
        ("!in_cooldown && !(error_rate > 5%)", All((Not(COOLING), Not(ERRORS)))),
        ("in_cooldown\n&& in_cooldown && in_cooldown", All((COOLING, COOLING, COOLING))),
    ],
)
def test_reads_conditions(text: str, expression: Expression) -> None:
    assert parse_condition(text) == expression


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 1, "expected a metric, not the end"),
        ("eror_rate > 5%", 1, "there is no metric eror_rate; did you mean error_rate?"),
        ("colour > 5", 1, "there is no metric colour; known are error_rate, "),
        ("error_rate >", 13, "error_rate is compared with a share such as 0.05 or 5%, not with the end"),
        ("error_rate = 5%", 12, "expected a comparison after error_rate, not =; write =="),
        ("error_rate > 5% and in_cooldown", 17, "expected &&, || or the end, not and; write &&"),
        ("error_rate > 5% & in_cooldown", 17, "expected &&, || or the end, not &; write &&"),
        ("not in_cooldown", 1, "expected a metric, not not; write !"),
        ("p95_latency > 5", 15, "p95_latency is compared with a duration such as 5s or 800ms, not with 5"),
        ("p95_latency > 5%", 15, "p95_latency is compared with a duration such as 5s or 800ms, not with 5%"),
        ("rate_limit_count > 5s", 20, "rate_limit_count is compared with a number such as 10, not with 5s"),
        (
            "error_rate > error_rate",
            14,
            "error_rate is compared with a share such as 0.05 or 5%, not with error_rate",
        ),
        (
            "error_rate > 5.5.5%",
            14,
            "error_rate is compared with a share such as 0.05 or 5%, not with 5.5.5%",
        ),
        ('provider_health == "ill"', 20, "provider_health is compared with one of "),
        ('provider_health > "healthy"', 17, "provider_health is compared with one of "),
        ("in_cooldown == yes", 16, "in_cooldown is compared with true or false"),
        ("(error_rate > 5%", 17, "the ( at character 1 is not closed"),
        ("error_rate > 5%)", 16, "expected &&, || or the end, not )"),
        ("error_rate > 5% #", 17, "expected &&, || or the end, not #"),
        ("(" * 40, 33, "nested more than 32 deep"),
        ("!" * 40 + "in_cooldown", 33, "nested more than 32 deep"),
    ],
)
def test_mistakes_have_a_place_and_advice(text: str, position: int, message: str) -> None:
    found = parse_condition(text)
    assert isinstance(found, ConditionError)
    assert (found.position, found.message[: len(message)]) == (position, message)
    assert str(found).startswith(f"at character {position}: {message}")


def test_siblings_are_not_nested() -> None:
    assert isinstance(parse_condition(" && ".join(["(in_cooldown)"] * 60)), All)


WORDS = st.sampled_from(
    [*METRICS, "&&", "||", "!", "(", ")", "==", ">", "5", "5%", "5s", "true", '"healthy"', "'", "é"]
)


@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40))
def test_no_text_raises_and_mistakes_lie_within_it(text: str) -> None:
    found = parse_condition(text)
    if isinstance(found, ConditionError):
        assert 1 <= found.position <= len(text) + 1
