"""What `cooldown` hands out: leave to try, a refusal, a view of what cools."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from cliproxy_api.report import Report
from cliproxy_api.scope import Scope
from cliproxy_api.state import Evidence, FleetCooldown
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass
from cliproxy_sidecar.core.scope_state import ScopeState
from cliproxy_sidecar.core.target import Target

if TYPE_CHECKING:
    from cliproxy_sidecar.core.limits.gates import Passage

_HOPELESS = frozenset({OutcomeClass.AUTH, OutcomeClass.QUOTA_MONEY, OutcomeClass.CONFIG})
"""What waiting does not mend: trying it all the same would surely fail."""


# A Struct, not a dataclass: one is made per attempt.
class Permit(msgspec.Struct, eq=False):
    """Leave for one attempt; settled exactly once, whatever happens to the attempt."""

    target: Target
    epoch: int
    """The newest change of any scope at admission: later changes make its answer late."""
    trials: tuple[ScopeState, ...] = ()
    """Half-open scopes whose trial this attempt is."""
    reports: tuple[Report, ...] = ()
    """To be sent to the operator now: the trial has begun."""
    settled: bool = False
    passage: "Passage | None" = None
    """Its way through the provider's own limits, if it has any."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why and until when a target may not be tried."""

    until: float
    """When asking again makes sense; monotonic seconds. A guess while a trial or the operator decides."""
    scope: Scope
    phase: CooldownPhase
    outcome_class: OutcomeClass | None
    reason: str
    rank: int = 0
    """How bad it would be to try all the same: 0 may work, 1 a person forbade it, 2 hopeless, 3 our own limit
    forbids it."""

    @classmethod
    def by(cls, states: Sequence[tuple[ScopeState, float]]) -> "Blocked":
        """Return one refusal for all scopes (at least one) that refuse, each with its instant."""
        latest, until = max(states, key=lambda pair: pair[1])
        return cls(
            until=until,
            scope=latest.scope,
            phase=latest.phase or CooldownPhase.COOLING,
            outcome_class=latest.cause.outcome_class,
            reason=latest.cause.reason,
            rank=max(_rank(state.cause.outcome_class) for state, _ in states),
        )


@dataclass(frozen=True, slots=True)
class ActiveCooldown:
    """One scope that is not closed, for people and metrics; monotonic seconds."""

    scope: Scope
    phase: CooldownPhase
    outcome_class: OutcomeClass | None
    """None: a person asked for it."""
    reason: str
    since: float
    until: float
    level: int
    share_percent: int
    """What passes: 0 while cooling and half-open."""
    evidence: Evidence
    fleet: bool
    """Whether the fleet shares it."""
    told: FleetCooldown | None
    """The document's words for it, if its deadline is the document's: the same instants for everybody."""

    @classmethod
    def of(cls, state: ScopeState) -> "ActiveCooldown":
        """Return the view of a scope that is not closed."""
        phase, entry = state.phase or CooldownPhase.RAMP, state.entry
        return cls(
            scope=state.scope,
            phase=phase,
            outcome_class=state.cause.outcome_class,
            reason=state.cause.reason,
            since=state.since,
            until=state.until,
            level=state.level,
            share_percent=state.share_percent if phase is CooldownPhase.RAMP else 0,
            evidence=state.cause.evidence,
            fleet=state.shared,
            told=entry.cooldown if entry is not None and entry.until == state.until else None,
        )


def order(scope: Scope) -> tuple[str, str, str]:
    """Return a sort key: a provider's widest scope comes first."""
    return (scope.provider, scope.credential or "", scope.model or "")


def _rank(outcome_class: OutcomeClass | None) -> int:
    if outcome_class is None:
        return 1
    return 2 if outcome_class in _HOPELESS else 0
