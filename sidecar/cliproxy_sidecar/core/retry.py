"""Outcome and attempts so far to: the same provider again, the next target, or the end.

Pure weighing of one request's budget. Which target comes next is `selection`'s; what the outcome means for
later requests is `cooldown`'s.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from cliproxy_api.snapshot import Retries
from cliproxy_api.trip import PAUSE_BASE_S
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.outcome import Outcome, Retry

MAX_BACKOFF_S: Final = 10.0
"""A caller waits; longer pauses are cooldown's matter."""


class GiveUpReason(StrEnum):
    """Why no further attempt is made."""

    SETTLED = "settled"
    """There is nothing to mend: it succeeded, or the caller went away."""
    REQUEST = "request"
    """The request itself is at fault; it would fail again."""
    STARTED = "started"
    """Content has gone to the caller."""
    ATTEMPTS = "attempts"
    """The request's attempts are used up."""
    DEADLINE = "deadline"
    """The request's time is used up."""
    BUDGET = "budget"
    """All requests together have used up their further attempts (`retry_budget`)."""
    NO_ALTERNATIVE = "no_alternative"
    """This target will not do, and there is no other."""


@dataclass(frozen=True, slots=True)
class RetrySame:
    """Ask the same target again."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Failover:
    """Ask another target, at once."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Answer the caller with what there is."""

    reason: GiveUpReason


@dataclass(frozen=True, slots=True)
class Budget:
    """What one request has used and may use."""

    attempts_at_provider: int
    """Including the one that has just ended."""
    attempts_total: int
    max_attempts: int
    retries: Retries
    """The provider's."""
    left_s: float
    """Until the request's deadline."""
    max_wait_s: float = 5.0
    """Longest wait for a rate limit to pass (`maxWait` of the provider's policy)."""
    started: bool = False
    """Content has gone to the caller: nothing can be taken back."""


_SETTLED: Final = frozenset({OutcomeClass.SUCCESS, OutcomeClass.CANCELLED})
_OF_THE_REQUEST: Final = frozenset(
    {OutcomeClass.CLIENT, OutcomeClass.CONTEXT, OutcomeClass.TOO_BIG, OutcomeClass.FILTER}
)

Decision = RetrySame | Failover | GiveUp
FAILOVER: Final = Failover()


def decide(outcome: Outcome, budget: Budget, *, alternatives: bool, chance: float) -> Decision:
    """Decide what follows one attempt; total over all classes.

    `alternatives`: whether another target could be chosen now. `chance` (0 to 1) spreads the delays.
    Money, quotas, keys and wrong configuration are never tried again with the same credential.
    """
    end = _end(outcome, budget)
    if end is not None:
        return GiveUp(end)
    delay_s = _delay_s(outcome, budget, alternatives=alternatives, chance=chance)
    if delay_s is not None and delay_s < budget.left_s:
        return RetrySame(delay_s)
    if alternatives:
        return FAILOVER
    return GiveUp(GiveUpReason.NO_ALTERNATIVE if delay_s is None else GiveUpReason.DEADLINE)


def _end(outcome: Outcome, budget: Budget) -> GiveUpReason | None:
    """Return why nothing may follow whoever might be asked; the first reason counts."""
    ends = (
        (outcome.cls in _SETTLED, GiveUpReason.SETTLED),
        (budget.started, GiveUpReason.STARTED),
        (outcome.cls in _OF_THE_REQUEST and outcome.retry is Retry.NONE, GiveUpReason.REQUEST),
        (budget.attempts_total >= budget.max_attempts, GiveUpReason.ATTEMPTS),
        (budget.left_s <= 0, GiveUpReason.DEADLINE),
    )
    return next((reason for holds, reason in ends if holds), None)


def _delay_s(outcome: Outcome, budget: Budget, *, alternatives: bool, chance: float) -> float | None:
    """Return after which time the same target may be asked again; None: not at all."""
    if budget.attempts_at_provider >= budget.retries.attempts:
        return None
    delay_s = _backoff_s(budget, chance)
    match outcome.cls:
        case OutcomeClass.RATE_LIMITED | OutcomeClass.RAMP:
            delay_s += PAUSE_BASE_S if outcome.hint_s is None else outcome.hint_s
            allowed = not alternatives and delay_s <= budget.max_wait_s
        case OutcomeClass.OVERLOADED:
            asked_to_wait = outcome.hint_s is not None and outcome.hint_s > delay_s
            allowed = budget.attempts_at_provider == 1 and not asked_to_wait
        case OutcomeClass.SERVER_ERROR | OutcomeClass.CLIENT | OutcomeClass.CONTEXT | OutcomeClass.TOO_BIG:
            allowed = outcome.retry is Retry.SAME
        case OutcomeClass.STREAM_ERROR:
            allowed = not alternatives
        case OutcomeClass.QUOTA_LONG | OutcomeClass.QUOTA_MONEY | OutcomeClass.AUTH | OutcomeClass.CONFIG:
            allowed = False
        case OutcomeClass.FILTER | OutcomeClass.SUCCESS | OutcomeClass.CANCELLED:
            allowed = False
        case _:
            assert_never(outcome.cls)
    return delay_s if allowed else None


def _backoff_s(budget: Budget, chance: float) -> float:
    """Return the pause before the next attempt: doubling, half of it by chance."""
    doubled_s = budget.retries.backoff_s * 2.0 ** min(budget.attempts_at_provider - 1, 16)
    return min(doubled_s, MAX_BACKOFF_S) * (0.5 + 0.5 * chance)
