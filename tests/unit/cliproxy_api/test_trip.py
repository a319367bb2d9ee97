import msgspec
import pytest

from cliproxy_api.snapshot import ClassOverride, CooldownRules, Recovery
from cliproxy_api.trip import (
    JITTER_MAX_S,
    MIN_HINT_S,
    class_duration_s,
    counts_towards_threshold,
    immediate_s,
    ramp_step_s,
    retrip_s,
    trip_rule,
)
from cliproxy_api.vocabulary import COUNTED_CLASSES, OutcomeClass, Trip

C = OutcomeClass
PLAIN = CooldownRules(jitter=0.0)
DEAF = CooldownRules(jitter=0.0, honor_provider_hints=False)


def overriding(cls: OutcomeClass, **override: object) -> CooldownRules:
    return CooldownRules(jitter=0.0, overrides={cls: msgspec.convert(override, ClassOverride)})


@pytest.mark.parametrize(
    ("cls", "rule"),
    [
        *((cls, Trip.IMMEDIATE) for cls in (C.RATE_LIMITED, C.RAMP, C.QUOTA_LONG, C.QUOTA_MONEY)),
        *((cls, Trip.IMMEDIATE) for cls in (C.OVERLOADED, C.AUTH, C.CONFIG)),
        *((cls, Trip.THRESHOLD) for cls in (C.SERVER_ERROR, C.STREAM_ERROR)),
        *((cls, Trip.NEVER) for cls in sorted(set(OutcomeClass) - COUNTED_CLASSES)),
    ],
)
def test_when_a_class_trips(cls: OutcomeClass, rule: Trip) -> None:
    assert trip_rule(PLAIN, cls) is rule
    assert trip_rule(CooldownRules(enabled=False), cls) is Trip.NEVER


def test_a_policy_may_say_otherwise_but_not_blame_a_provider_for_its_callers() -> None:
    assert trip_rule(overriding(C.SERVER_ERROR, trip="Immediate"), C.SERVER_ERROR) is Trip.IMMEDIATE
    assert trip_rule(overriding(C.SERVER_ERROR, duration_s=5.0), C.SERVER_ERROR) is Trip.THRESHOLD
    assert trip_rule(overriding(C.CLIENT, trip="Immediate"), C.CLIENT) is Trip.NEVER


@pytest.mark.parametrize(
    ("rules", "cls", "hint_s", "counts"),
    [
        (PLAIN, C.SERVER_ERROR, None, True),
        (PLAIN, C.SERVER_ERROR, 5.0, True),
        (PLAIN, C.RATE_LIMITED, None, True),
        (PLAIN, C.RATE_LIMITED, 5.0, False),
        (DEAF, C.RATE_LIMITED, 5.0, True),
        (overriding(C.RATE_LIMITED, duration_s=5.0), C.RATE_LIMITED, None, False),
        (PLAIN, C.AUTH, None, False),
        (PLAIN, C.CLIENT, None, False),
    ],
)
def test_what_counts_towards_the_threshold(
    rules: CooldownRules, cls: OutcomeClass, hint_s: float | None, *, counts: bool
) -> None:
    assert counts_towards_threshold(rules, cls, hint_s=hint_s) is counts


@pytest.mark.parametrize(
    ("rules", "cls", "hint_s", "streak", "lasts_s"),
    [
        (PLAIN, C.RATE_LIMITED, 8.0, 0, 8.0),
        (PLAIN, C.RATE_LIMITED, 0.0, 0, MIN_HINT_S),
        (PLAIN, C.RATE_LIMITED, 1e9, 0, 86_400.0),
        (PLAIN, C.RATE_LIMITED, None, 0, 1.0),
        (PLAIN, C.OVERLOADED, None, 3, 8.0),
        (PLAIN, C.RAMP, None, 1000, 30.0),
        (DEAF, C.RATE_LIMITED, 8.0, 0, 1.0),
        (overriding(C.RATE_LIMITED, duration_s=77.0), C.RATE_LIMITED, None, 0, 77.0),
        (PLAIN, C.AUTH, None, 0, 3600.0),
    ],
)
def test_how_long_one_failure_cools(
    rules: CooldownRules, cls: OutcomeClass, hint_s: float | None, streak: int, lasts_s: float
) -> None:
    assert immediate_s(rules, cls, hint_s=hint_s, streak=streak, chance=1.0) == lasts_s


@pytest.mark.parametrize(
    ("cls", "lasts_s"),
    [
        (C.RATE_LIMITED, 600.0),
        (C.RAMP, 600.0),
        (C.QUOTA_LONG, 3600.0),
        (C.QUOTA_MONEY, 3600.0),
        (C.AUTH, 3600.0),
        (C.SERVER_ERROR, 120.0),
        (C.STREAM_ERROR, 120.0),
        (C.OVERLOADED, 120.0),
        (C.CONFIG, 300.0),
    ],
)
def test_the_length_of_a_class(cls: OutcomeClass, lasts_s: float) -> None:
    assert class_duration_s(PLAIN, cls) == lasts_s
    assert class_duration_s(overriding(cls, duration_s=7.0), cls) == 7.0
    assert class_duration_s(CooldownRules(max_duration_s=50.0), cls) == 50.0


def test_failed_trials_wait_longer_each_time() -> None:
    rules = CooldownRules(jitter=0.0, recovery=Recovery(max_attempts=2, backoff_s=10.0))
    lengths = [retrip_s(rules, C.SERVER_ERROR, hint_s=None, level=level, chance=0.0) for level in range(1, 6)]
    assert lengths == [10.0, 20.0, 240.0, 480.0, 960.0]
    assert retrip_s(rules, C.SERVER_ERROR, hint_s=None, level=10_000, chance=0.0) == 86_400.0


def test_failed_trials_heed_a_longer_hint() -> None:
    assert retrip_s(PLAIN, C.RATE_LIMITED, hint_s=500.0, level=1, chance=0.0) == 500.0
    assert retrip_s(PLAIN, C.RATE_LIMITED, hint_s=5.0, level=1, chance=0.0) == 30.0
    assert retrip_s(DEAF, C.RATE_LIMITED, hint_s=500.0, level=1, chance=0.0) == 30.0


def test_jitter_only_adds_and_is_bounded() -> None:
    rules = CooldownRules(jitter=0.5)
    assert immediate_s(rules, C.RATE_LIMITED, hint_s=10.0, streak=0, chance=0.5) == 12.5
    assert (
        immediate_s(rules, C.RATE_LIMITED, hint_s=10_000.0, streak=0, chance=1.0) == 10_000.0 + JITTER_MAX_S
    )
    assert retrip_s(rules, C.AUTH, hint_s=None, level=1, chance=1.0) == 45.0


@pytest.mark.parametrize(
    ("cooled_s", "step_s"), [(0.0, 30.0), (0.1, 1.0), (7.0, 7.0), (30.0, 30.0), (1e6, 30.0)]
)
def test_a_step_of_the_ramp_is_no_longer_than_the_cooldown_was(cooled_s: float, step_s: float) -> None:
    assert ramp_step_s(Recovery(check_interval_s=30.0), cooled_s) == step_s


def test_a_ramp_in_steps_shorter_than_a_second_stays_so() -> None:
    assert ramp_step_s(Recovery(check_interval_s=0.5), 0.1) == 0.5
