"""Who may pass while something of a provider cools: refusals, trials, and the draw of a ramp.

Looks only at scopes that are not closed; what a permit's end means is `cooldown`'s.
"""

from collections.abc import Sequence

from cliproxy_api.chance import Chance
from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_sidecar.core.permit import Blocked, Permit
from cliproxy_sidecar.core.scope_parts import SOON_S, WHOLE
from cliproxy_sidecar.core.scope_state import ScopeState
from cliproxy_sidecar.core.scope_store import ScopeStore
from cliproxy_sidecar.core.target import Target


def admit_gated(scopes: ScopeStore, chance: Chance, target: Target, now: float) -> Permit | Blocked:
    """Admit an attempt if all scopes that cover the target let it; it is the trial of the half-open ones."""
    states = scopes.covering(target, now)
    refused = refusal(states, now) or _draw(states, chance, now)
    if refused is not None:
        return refused
    permit = Permit(target, scopes.epochs.now)
    trials = tuple(state for state in states if state.phase is CooldownPhase.HALF_OPEN)
    if trials:
        permit.trials = trials
        started = (trial.start_trial(permit, now, attached=scopes.attached) for trial in trials)
        permit.reports = tuple(report for reports in started for report in reports)
    return permit


def refusal(states: Sequence[ScopeState], now: float) -> Blocked | None:
    """Return the refusal of all scopes that refuse by their phase; None if none does."""
    refusing = [(state, until) for state in states if (until := state.retry_at(now)) is not None]
    return Blocked.by(refusing) if refusing else None


def _draw(states: Sequence[ScopeState], chance: Chance, now: float) -> Blocked | None:
    """Refuse what goes beyond the share of a ramp; of several ramps the smallest share counts."""
    ramps = [state for state in states if state.phase is CooldownPhase.RAMP and state.share_percent < WHOLE]
    if not ramps:
        return None
    smallest = min(ramps, key=lambda state: state.share_percent)
    passes = chance.random() * WHOLE < smallest.share_percent
    return None if passes else Blocked.by([(smallest, now + SOON_S)])
