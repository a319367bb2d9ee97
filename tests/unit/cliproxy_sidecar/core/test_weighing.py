import pytest

from cliproxy_api.snapshot import ClassOverride, CooldownRules
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, Trip
from cliproxy_sidecar.core.scope_parts import Cause, Failure
from cliproxy_sidecar.core.threshold import FailureCount
from cliproxy_sidecar.core.weighing import NOTHING, Verdict, weigh
from support.cooling import PLAIN, rules

RATE, SERVER, AUTH = OutcomeClass.RATE_LIMITED, OutcomeClass.SERVER_ERROR, OutcomeClass.AUTH
COOLING, HALF_OPEN, RAMP = CooldownPhase.COOLING, CooldownPhase.HALF_OPEN, CooldownPhase.RAMP
EAGER = rules(error_threshold=1)
RARELY_SERVER = rules(overrides={SERVER: ClassOverride(trip=Trip.NEVER)})


@pytest.mark.parametrize(
    ("phase", "cls", "hint_s", "policy", "verdict"),
    [
        (None, RATE, 8.0, PLAIN, Verdict(8.0, 0)),
        (None, RATE, None, PLAIN, Verdict(1.0, 0, counted=True)),
        (None, RATE, None, EAGER, Verdict(600.0, 0, counted=True)),
        (None, AUTH, None, PLAIN, Verdict(3600.0, 0)),
        (None, SERVER, None, PLAIN, Verdict(counted=True)),
        (None, SERVER, None, EAGER, Verdict(120.0, 0, counted=True)),
        (None, SERVER, None, RARELY_SERVER, NOTHING),
        (COOLING, RATE, 8.0, PLAIN, Verdict(8.0, 3)),
        (COOLING, SERVER, None, EAGER, Verdict(None, 3)),
        (HALF_OPEN, RATE, 8.0, PLAIN, Verdict(1200.0, 4)),
        (HALF_OPEN, SERVER, None, PLAIN, Verdict(240.0, 4)),
        (HALF_OPEN, SERVER, None, RARELY_SERVER, NOTHING),
        (RAMP, SERVER, None, PLAIN, Verdict(counted=True)),
        (RAMP, SERVER, None, EAGER, Verdict(240.0, 4, counted=True)),
        (RAMP, AUTH, None, PLAIN, Verdict(7200.0, 4)),
    ],
)
def test_what_a_failure_means(
    phase: CooldownPhase | None,
    cls: OutcomeClass,
    hint_s: float | None,
    policy: CooldownRules,
    verdict: Verdict,
) -> None:
    failure = Failure(cls, Cause(cls), hint_s=hint_s, late=False, chance=0.0)
    level = 0 if phase is None else 3
    weighed = weigh(failure, policy, FailureCount(), phase=phase, level=level, now=0.0)
    assert weighed == verdict


@pytest.mark.parametrize("phase", [None, HALF_OPEN, RAMP])
def test_a_late_failure_means_nothing(phase: CooldownPhase | None) -> None:
    failure = Failure(RATE, Cause(RATE), hint_s=60.0, late=True, chance=0.0)
    assert weigh(failure, PLAIN, FailureCount(), phase=phase, level=0, now=0.0) == NOTHING


def test_a_late_failure_may_make_a_cooldown_longer() -> None:
    failure = Failure(RATE, Cause(RATE), hint_s=60.0, late=True, chance=0.0)
    assert weigh(failure, PLAIN, FailureCount(), phase=COOLING, level=2, now=0.0) == Verdict(60.0, 2)


def test_a_full_window_begins_anew() -> None:
    count, policy = FailureCount(), rules(error_threshold=2)
    failure = Failure(SERVER, Cause(SERVER), hint_s=None, late=False, chance=0.0)
    trips = [
        weigh(failure, policy, count, phase=None, level=0, now=float(now)).lasts_s is not None
        for now in range(6)
    ]
    assert trips == [False, True] * 3


def test_chance_makes_it_longer_never_shorter() -> None:
    failure = Failure(RATE, Cause(RATE), hint_s=10.0, late=False, chance=1.0)
    verdict = weigh(failure, rules(jitter=0.1), FailureCount(), phase=None, level=0, now=0.0)
    assert verdict.lasts_s == 11.0
