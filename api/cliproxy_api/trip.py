"""When a failure starts a cooldown, and how long it lasts.

Operator (fleet-wide counts) and sidecar (its own) must agree to the second, so the rules stand here once.
Scopes and hints come from the classification of the attempt; this module only weighs them against the policy.
"""

from typing import Final, assert_never

from cliproxy_api.snapshot import CooldownRules, Recovery
from cliproxy_api.vocabulary import COUNTED_CLASSES, OutcomeClass, Trip

PAUSE_BASE_S: Final = 1.0
"""First pause after an unhinted rate limit or overload (provider-signals: "1 s doubling, cap")."""
PAUSE_MAX_S: Final = 30.0
"""Upper end of an unhinted pause, as for overloads (provider-signals: "short 2-30 s")."""
PERMIT_MAX_S: Final = 60.0
"""How long a sidecar that hears nothing more may begin trials by the fleet's permit."""
JITTER_MAX_S: Final = 30.0
"""Enough to spread a fleet; an hour's wait need not grow by minutes."""
MIN_HINT_S: Final = 0.1
"""A shorter hint would only make the caller hammer."""
MIN_RAMP_STEP_S: Final = 1.0
"""A shorter step of the ramp would be over before the whole fleet has heard of it."""

_PAUSING: Final = frozenset({OutcomeClass.RATE_LIMITED, OutcomeClass.RAMP, OutcomeClass.OVERLOADED})
_AT_ONCE: Final = _PAUSING | {
    OutcomeClass.QUOTA_LONG,
    OutcomeClass.QUOTA_MONEY,
    OutcomeClass.AUTH,
    OutcomeClass.CONFIG,
}


def trip_rule(rules: CooldownRules, outcome_class: OutcomeClass) -> Trip:
    """Return when failures of this class start a cooldown under these rules.

    Never for a class that is not the provider's fault, whatever a policy's override says.
    """
    if not rules.enabled or outcome_class not in COUNTED_CLASSES:
        return Trip.NEVER
    override = rules.overrides.get(outcome_class)
    if override is not None and override.trip is not None:
        return override.trip
    return Trip.IMMEDIATE if outcome_class in _AT_ONCE else Trip.THRESHOLD


def counts_towards_threshold(
    rules: CooldownRules, outcome_class: OutcomeClass, *, hint_s: float | None
) -> bool:
    """Return whether a failure counts towards `errorThreshold`.

    Those of a Threshold class do, and those that start only a short pause since nobody said how long.
    """
    match rule := trip_rule(rules, outcome_class):
        case Trip.NEVER:
            return False
        case Trip.THRESHOLD:
            return True
        case Trip.IMMEDIATE:
            return not _is_hinted(rules, hint_s) and _pauses(rules, outcome_class)
        case _:
            assert_never(rule)


def immediate_s(
    rules: CooldownRules, outcome_class: OutcomeClass, *, hint_s: float | None, streak: int, chance: float
) -> float:
    """Return how long one failure of an at-once class cools its scope, in seconds, above 0.

    A hint is taken (clamped to the policy's `maxDuration`) if the policy honours hints. Without one, money,
    quota, auth and config wait the class's duration; a rate limit or overload pauses 1 s, doubling with
    `streak` (failures before it in a row), since the threshold decides on the long wait. `chance` (0 to 1)
    scales the jitter, which only ever adds: coming back early is what the provider punishes.
    """
    if hint_s is not None and rules.honor_provider_hints:
        return _jittered(rules, max(hint_s, MIN_HINT_S), chance)
    if _pauses(rules, outcome_class):
        return _jittered(rules, min(PAUSE_BASE_S * 2.0 ** min(streak, 16), PAUSE_MAX_S), chance)
    return class_duration_s(rules, outcome_class)


def class_duration_s(rules: CooldownRules, outcome_class: OutcomeClass) -> float:
    """Return the policy's duration for a class in seconds, clamped to `maxDuration`."""
    own = _override_s(rules, outcome_class)
    if own is None:
        match outcome_class:
            case OutcomeClass.RATE_LIMITED | OutcomeClass.RAMP:
                own = rules.rate_limit_s
            case OutcomeClass.QUOTA_LONG | OutcomeClass.QUOTA_MONEY:
                own = rules.quota_exhausted_s
            case OutcomeClass.AUTH:
                own = rules.auth_s
            case OutcomeClass.SERVER_ERROR | OutcomeClass.STREAM_ERROR | OutcomeClass.OVERLOADED:
                own = rules.error_s
            case _:
                own = rules.default_s
    return min(own, rules.max_duration_s)


def retrip_s(
    rules: CooldownRules, outcome_class: OutcomeClass, *, hint_s: float | None, level: int, chance: float
) -> float:
    """Return how long a scope cools after a failed trial, or a trip during its ramp, in seconds.

    `level` counts from 1. The first `recovery.maxAttempts` wait `recovery.backoff`, growing by the
    multiplier; then the class's own duration, growing likewise. Never above `maxDuration`, else never below
    a hint.
    """
    quick = rules.recovery.max_attempts
    if level <= quick:
        own_s = rules.recovery.backoff_s * rules.multiplier ** (level - 1)
    else:
        own_s = class_duration_s(rules, outcome_class) * rules.multiplier ** min(level - quick, 32)
    if hint_s is not None and rules.honor_provider_hints:
        own_s = max(own_s, hint_s)
    return _jittered(rules, own_s, chance)


def ramp_step_s(recovery: Recovery, cooled_s: float) -> float:
    """Return how long one step of the ramp lasts, in seconds: `recovery.checkInterval` at most.

    No longer than the cooldown itself was (`cooled_s`): who paused for a second has not been away so long
    that it must come back over minutes. 0 is "not known", and gets the policy's whole step.
    """
    if cooled_s <= 0:
        return recovery.check_interval_s
    return min(recovery.check_interval_s, max(cooled_s, MIN_RAMP_STEP_S))


def _override_s(rules: CooldownRules, outcome_class: OutcomeClass) -> float | None:
    override = rules.overrides.get(outcome_class)
    return override.duration_s if override is not None else None


def _is_hinted(rules: CooldownRules, hint_s: float | None) -> bool:
    return hint_s is not None and rules.honor_provider_hints


def _pauses(rules: CooldownRules, outcome_class: OutcomeClass) -> bool:
    return outcome_class in _PAUSING and _override_s(rules, outcome_class) is None


def _jittered(rules: CooldownRules, seconds: float, chance: float) -> float:
    return min(seconds + min(seconds * rules.jitter * chance, JITTER_MAX_S), rules.max_duration_s)
