"""Hosts the machines of all scopes: admits attempts, settles them, and merges what the operator says.

One scope's way is `scope_state`'s. Which target is tried is `selection`'s; what an outcome means and which
scopes it hits is `outcome`'s; sending the reports that come back from here is the caller's.

Nothing is kept for a scope that never failed, so that `admit` costs one look-up while nothing cools.
"""

from collections.abc import Iterator
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_api.report import Recovered, Report
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import Evidence, StatePush
from cliproxy_api.vocabulary import COUNTED_CLASSES, CooldownPhase, OutcomeClass
from cliproxy_sidecar.core.change import is_mended, names
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.permit import ActiveCooldown, Blocked, Permit, order
from cliproxy_sidecar.core.scope_parts import Cause, Entry, Epochs, Failure
from cliproxy_sidecar.core.scope_state import SOON_S, WHOLE, ScopeState
from cliproxy_sidecar.core.target import Target

REMEMBER_S: Final = 900.0
"""How long a closed scope is remembered, so that answers from before do not cool it: the longest attempt."""


class Cooldowns:
    """All cooldowns of one sidecar. `now` is monotonic seconds and never goes back.

    Every method that returns reports wants them sent to the operator, in that order, if a link is attached;
    what is not sent and still true is in `standing_reports`.
    """

    def __init__(self, *, sidecar: str, chance: Chance) -> None:
        self._sidecar = sidecar
        self._chance = chance
        self._attached = False
        self._providers: dict[str, Provider] = {}
        self._scopes: dict[str, dict[Scope, ScopeState]] = {}
        self._gated: set[str] = set()
        """Providers with at least one scope that is not closed."""
        self._seen: dict[Scope, Entry] = {}
        """The newest document."""
        self._epochs = Epochs()
        self.outstanding = 0
        """Permits that are not settled yet."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing cools: `admit` refuses nobody."""
        return not self._gated

    # -------------------------------------------------------------- attempts
    def admit(self, target: Target, now: float) -> Permit | Blocked:
        """Let one attempt through, or say until when not. Every permit wants `settle`, once.

        In half-open the permit is the scope's trial; `Permit.reports` then tells the operator. In a ramp a
        draw decides, so a second call may answer otherwise.
        """
        if target.provider_id in self._gated:
            return self._admit_gated(target, now)
        self.outstanding += 1
        return Permit(target, self._epochs.now)

    def peek(self, target: Target, now: float) -> Blocked | None:
        """Say what `admit` would refuse. Takes nothing; a ramp refuses nobody here: one draw decides."""
        if target.provider_id not in self._gated:
            return None
        return _refusal(self._covering(target, now), now)

    def force(self, target: Target, now: float) -> Permit:
        """Let an attempt through whatever cools: for the last resort, and to retry what just failed.

        Its success proves nothing; its failure counts as usual, but never raises a cooling scope's level.
        """
        admitted = self.admit(target, now)
        if isinstance(admitted, Permit):
            return admitted
        self.outstanding += 1
        return Permit(target, self._epochs.now)

    def settle(
        self, permit: Permit, outcome: Outcome, scopes: tuple[Scope, ...], now: float
    ) -> tuple[Report, ...]:
        """Say how an attempt ended; `scopes` are those that the outcome's fault lies with.

        A second call for the same permit changes nothing. A trial passes if the provider answered: a success,
        or a refusal of the request itself (Client, Context, TooBig, Filter with a status). Cancelled only
        gives the place back, as does a failure of another scope.
        """
        if permit.settled:
            return ()
        permit.settled = True
        self.outstanding -= 1
        states = self._scopes.get(permit.target.provider_id)
        if outcome.cls is OutcomeClass.SUCCESS:
            if not states:
                return ()
            for scope in permit.target.scopes:
                if scope in states:
                    states[scope].count.succeed()
        reports: list[Report] = []
        for trial in permit.trials:
            reports += self._settle_trial(trial, permit, outcome, now)
        if outcome.cls in COUNTED_CLASSES:
            for scope in scopes:
                reports += self._fail(scope, permit, outcome, now)
        return tuple(reports)

    # --------------------------------------------------------- configuration
    def configure(self, providers: tuple[Provider, ...], now: float) -> None:
        """Take a new snapshot's providers. State of scopes that are still there is kept.

        A changed key ends Auth and QuotaMoney cooldowns of its credential; a changed address, or a policy
        that was switched off, ends all that failures started. What the document lists is the operator's.
        """
        before, self._providers = self._providers, {provider.id: provider for provider in providers}
        for provider_id in self._scopes.keys() - self._providers.keys():
            del self._scopes[provider_id]
            self._gated.discard(provider_id)
        for provider_id, states in self._scopes.items():
            old, new = before[provider_id], self._providers[provider_id]
            for scope in [scope for scope in states if not names(new, scope)]:
                del states[scope]
            for state in states.values():
                state.rules = new.cooldown
                if is_mended(old, new, state):
                    state.close(now)
        for scope, entry in self._seen.items():
            if not names(before.get(scope.provider), scope):
                self._tell(entry, now)
        self.advance(now)

    def adopt(self, push: StatePush, now: float) -> None:
        """Take a state document; the caller has checked that it is newer than the last one.

        What it lists is taken, what it lists no longer is closed, and an own finding that it does not know
        yet stays to its deadline, the later one if both have one. An entry that did not change does nothing.
        """
        seen: dict[Scope, Entry] = {}
        for told in push.state.cooldowns:
            known = self._seen.get(told.scope)
            if known is not None and known.cooldown == told:
                seen[told.scope] = known
                continue
            entry = seen[told.scope] = Entry(
                told,
                since=now + (told.since_utc - push.sent_at_utc).total_seconds(),
                until=now + (told.until_utc - push.sent_at_utc).total_seconds(),
                here=told.phase is CooldownPhase.HALF_OPEN and told.trial_sidecar == self._sidecar,
            )
            self._tell(entry, now)
        for scope in self._seen.keys() - seen.keys():
            states = self._scopes.get(scope.provider, {})
            if scope in states:
                states[scope].untold(now)
        self._seen = seen
        self.advance(now)

    def attach(self, attached: bool, now: float) -> None:  # noqa: FBT001 - the one thing it says
        """Note whether the operator reads this sidecar's reports; if not, scopes go on alone."""
        self.advance(now)
        self._attached = attached
        self.advance(now)

    # ---------------------------------------------------------------- people
    def cooldown(self, provider_id: str, duration_s: float, reason: str, now: float) -> tuple[Report, ...]:
        """Cool a whole provider in the whole fleet because a person says so; no effect if it is unknown."""
        if provider_id not in self._providers:
            return ()
        state = self._state(Scope(provider=provider_id))
        state.advance(now, attached=self._attached)
        cause = Cause(None, reason, Evidence(sidecar=self._sidecar))
        reports = state.cool(now + duration_s, cause, now, spread=self._chance.random())
        self._note(provider_id)
        return reports

    def recover(self, provider_id: str, by: str, now: float) -> tuple[Report, ...]:
        """End all cooldowns of a provider, here at once and in the fleet by report."""
        if provider_id not in self._providers:
            return ()
        for state in self._scopes.get(provider_id, {}).values():
            state.close(now)
        self._note(provider_id)
        return (Recovered(provider=provider_id, by=by),)

    # ------------------------------------------------------------------ time
    def advance(self, now: float) -> None:
        """Move on what is due and forget what is over. `admit` does it for the scopes it looks at."""
        for provider_id, states in list(self._scopes.items()):
            rules = self._providers[provider_id].cooldown
            for scope, state in list(states.items()):
                state.advance(now, attached=self._attached)
                forgotten = state.phase is None and now - state.since > REMEMBER_S
                if forgotten and state.count.is_idle(now, rules.detection_window_s):
                    del states[scope]
            self._note(provider_id)

    def wake_at(self) -> float | None:
        """Return when the next scope moves on by itself; None: none does."""
        dues = (state.due(attached=self._attached) for state in self._cooling())
        return min((due for due in dues if due is not None), default=None)

    def active(self, now: float) -> tuple[ActiveCooldown, ...]:
        """Return every scope that is not closed, sorted by scope."""
        self.advance(now)
        return tuple(
            sorted(map(ActiveCooldown.of, self._cooling()), key=lambda cooldown: order(cooldown.scope))
        )

    def standing_reports(self, now: float) -> tuple[Report, ...]:
        """Return what the operator does not know yet: own cooldowns that no document has listed."""
        self.advance(now)
        return tuple(
            state.tripped(now)
            for state in self._cooling()
            if state.own and state.phase is CooldownPhase.COOLING and state.until > now
        )

    # --------------------------------------------------------------- details
    def _admit_gated(self, target: Target, now: float) -> Permit | Blocked:
        states = self._covering(target, now)
        refusal = _refusal(states, now)
        if refusal is not None:
            return refusal
        ramps = [state for state in states if state.phase is CooldownPhase.RAMP]
        if ramps:
            narrowest = min(ramps, key=lambda state: state.share_percent)
            share = narrowest.share_percent
            if share < WHOLE and self._chance.random() * WHOLE >= share:
                return Blocked.by([(narrowest, now + SOON_S)])
        permit = Permit(target, self._epochs.now)
        self.outstanding += 1
        trials = tuple(state for state in states if state.phase is CooldownPhase.HALF_OPEN)
        if trials:
            permit.trials = trials
            started = (trial.start_trial(permit, attached=self._attached) for trial in trials)
            permit.reports = tuple(report for reports in started for report in reports)
        return permit

    def _settle_trial(
        self, trial: ScopeState, permit: Permit, outcome: Outcome, now: float
    ) -> tuple[Report, ...]:
        if trial.trial is not permit:
            return ()
        trial.trial = None
        refused = outcome.cls is not OutcomeClass.CANCELLED and outcome.cls not in COUNTED_CLASSES
        if outcome.cls is not OutcomeClass.SUCCESS and not (refused and outcome.status is not None):
            return ()
        reports = trial.pass_trial(now, attached=self._attached)
        self._note(trial.scope.provider)
        return reports

    def _fail(self, scope: Scope, permit: Permit, outcome: Outcome, now: float) -> tuple[Report, ...]:
        if not names(self._providers.get(scope.provider), scope):
            return ()
        state = self._state(scope)
        state.advance(now, attached=self._attached)
        evidence = Evidence(
            status=outcome.status, code=outcome.code, header=outcome.header, sidecar=self._sidecar
        )
        failure = Failure(
            outcome.cls,
            Cause(outcome.cls, outcome.reason, evidence),
            hint_s=outcome.hint_s,
            late=permit.epoch < state.epoch,
            chance=self._chance.random(),
        )
        reports = state.fail(failure, now)
        self._note(scope.provider)
        return reports

    def _tell(self, entry: Entry, now: float) -> None:
        """Hand an entry to its scope, if the configuration has it; else `configure` does when it comes."""
        scope = entry.cooldown.scope
        if names(self._providers.get(scope.provider), scope):
            state = self._state(scope)
            state.spread = self._chance.random()
            state.told(entry, now)

    def _state(self, scope: Scope) -> ScopeState:
        states = self._scopes.setdefault(scope.provider, {})
        state = states.get(scope)
        if state is None:
            rules = self._providers[scope.provider].cooldown
            state = states[scope] = ScopeState(scope, rules, self._epochs)
        return state

    def _covering(self, target: Target, now: float) -> list[ScopeState]:
        states = self._scopes[target.provider_id]
        covering = [states[scope] for scope in target.scopes if scope in states]
        for state in covering:
            state.advance(now, attached=self._attached)
        return [state for state in covering if state.phase is not None]

    def _cooling(self) -> Iterator[ScopeState]:
        for provider_id in self._gated:
            for state in self._scopes[provider_id].values():
                if state.phase is not None:
                    yield state

    def _note(self, provider_id: str) -> None:
        """Bring the set of gated providers up to date."""
        states = self._scopes.get(provider_id)
        if states and any(state.phase is not None for state in states.values()):
            self._gated.add(provider_id)
        else:
            self._gated.discard(provider_id)


def _refusal(states: list[ScopeState], now: float) -> Blocked | None:
    refusing = [(state, until) for state in states if (until := state.retry_at(now)) is not None]
    return Blocked.by(refusing) if refusing else None
