"""Weighs one failure against the policy: does it count, does it cool the scope, for how long, at which level.

The figures are `cliproxy_api.trip`'s, shared with the operator; the moves that follow are `scope_state`'s.
"""

from dataclasses import dataclass
from typing import assert_never

from cliproxy_api.snapshot import CooldownRules
from cliproxy_api.trip import class_duration_s, counts_towards_threshold, immediate_s, retrip_s, trip_rule
from cliproxy_api.vocabulary import CooldownPhase, Trip
from cliproxy_sidecar.core.scope_parts import Failure
from cliproxy_sidecar.core.threshold import FailureCount


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one failure means for a scope."""

    lasts_s: float | None = None
    """How long to cool from now; None: not by this failure."""
    level: int = 0
    counted: bool = False
    """It counted towards the threshold."""


NOTHING = Verdict()


def weigh(
    failure: Failure,
    rules: CooldownRules,
    count: FailureCount,
    *,
    phase: CooldownPhase | None,
    level: int,
    now: float,
) -> Verdict:
    """Return what a failure means for a scope in this phase; counts it where it counts.

    While cooling only an at-once class says something new: perhaps a later deadline, at the same level. In
    the other phases a late failure is news from the past. A half-open scope cools again by any class that may
    cool at all, since one call was to prove it well.
    """
    rule = trip_rule(rules, failure.outcome_class)
    if rule is Trip.NEVER:
        return NOTHING
    match phase:
        case CooldownPhase.COOLING:
            lasts_s = _first_s(failure, rules, count.streak) if rule is Trip.IMMEDIATE else None
            return Verdict(lasts_s, level)
        case None | CooldownPhase.HALF_OPEN | CooldownPhase.RAMP if failure.late:
            return NOTHING
        case CooldownPhase.HALF_OPEN:
            return Verdict(_again_s(failure, rules, level + 1), level + 1)
        case None | CooldownPhase.RAMP:
            return _weigh_in_traffic(failure, rules, count, level=None if phase is None else level, now=now)
        case _:
            assert_never(phase)


def _weigh_in_traffic(
    failure: Failure, rules: CooldownRules, count: FailureCount, *, level: int | None, now: float
) -> Verdict:
    """Weigh a failure of a closed (`level` None) or ramping scope."""
    streak = count.streak
    counts = counts_towards_threshold(rules, failure.outcome_class, hint_s=failure.hint_s)
    full = counts and count.add(now, window_s=rules.detection_window_s, threshold=rules.error_threshold)
    if trip_rule(rules, failure.outcome_class) is Trip.THRESHOLD and not full:
        return Verdict(counted=True)
    if full:
        count.clear()
    if level is not None:
        return Verdict(_again_s(failure, rules, level + 1), level + 1, counted=counts)
    lasts_s = _first_s(failure, rules, streak)
    if full:
        lasts_s = max(lasts_s, class_duration_s(rules, failure.outcome_class))
    return Verdict(lasts_s, counted=counts)


def _first_s(failure: Failure, rules: CooldownRules, streak: int) -> float:
    return immediate_s(
        rules, failure.outcome_class, hint_s=failure.hint_s, streak=streak, chance=failure.chance
    )


def _again_s(failure: Failure, rules: CooldownRules, level: int) -> float:
    return retrip_s(rules, failure.outcome_class, hint_s=failure.hint_s, level=level, chance=failure.chance)
