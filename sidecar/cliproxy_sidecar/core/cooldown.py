"""All cooldowns of a sidecar: admits attempts, settles them, and merges what the operator and people say.

One scope's way is `scope_state`'s, keeping them is `scope_store`'s. Which target is tried is `selection`'s;
what an outcome means is `outcome`'s, which scopes it hits `scopes`'s; sending the reports that come back from
here is the caller's.

Nothing is kept for a scope that never failed, so `admit` costs one look-up while nothing cools.
"""

from datetime import datetime
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_api.report import Recovered, Report, Trying
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import Evidence, FleetCooldown, StatePush
from cliproxy_api.trip import PERMIT_MAX_S
from cliproxy_api.vocabulary import COUNTED_CLASSES, CooldownPhase, OutcomeClass
from cliproxy_sidecar.core.admission import admit_gated, refusal
from cliproxy_sidecar.core.change import names
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.permit import ActiveCooldown, Blocked, Permit, order
from cliproxy_sidecar.core.scope_parts import Cause, Entry, Failure
from cliproxy_sidecar.core.scope_store import ScopeStore
from cliproxy_sidecar.core.target import Target

_SUCCESS: Final = OutcomeClass.SUCCESS
LATE_S: Final = 0.25
"""More than a document may take in a fleet that works; each smaller correction would only cost work."""


class Cooldowns:
    """Which targets may be tried. `now` is monotonic seconds and never goes back.

    Reports that a method returns want to be sent to the operator, in that order, if a link is attached; what
    was not sent and is still true is in `standing_reports`.
    """

    def __init__(self, *, sidecar: str, chance: Chance) -> None:
        self._sidecar = sidecar
        self._chance = chance
        self._scopes = ScopeStore()
        self.gated: Final = self._scopes.gated
        """Ids of the providers of which something cools."""
        self._epochs = self._scopes.epochs
        self._seen: dict[Scope, Entry] = {}
        """The newest document."""
        self._recovered: dict[str, datetime] = {}
        """When a person ended all of a provider's cooldowns, as the newest document has it."""
        self._told_epoch = -1
        """The leader whose document that was."""
        self._led = False
        """Whether a document has come since the link last broke."""
        self.outstanding = 0
        """Permits that are not settled yet."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing cools: `admit` refuses nobody."""
        return not self.gated

    # -------------------------------------------------------------- attempts
    def admit(self, target: Target, now: float) -> Permit | Blocked:
        """Let one attempt through, or say until when not. Every permit wants `settle`, once.

        In half-open the permit is the scope's trial; `Permit.reports` then tells the operator. In a ramp a
        draw decides, so a second call may answer otherwise.
        """
        if target.provider_id in self.gated:
            admitted = admit_gated(self._scopes, self._chance, target, now)
            self.outstanding += isinstance(admitted, Permit)
            return admitted
        self.outstanding += 1
        return Permit(target, self._epochs.now)

    def peek(self, target: Target, now: float) -> Blocked | None:
        """Say what `admit` would refuse. Takes nothing; a ramp refuses nobody here: one draw decides."""
        if target.provider_id not in self.gated:
            return None
        return refusal(self._scopes.covering(target, now), now)

    def force(self, target: Target, now: float) -> Permit:
        """Let an attempt through whatever cools: for the last resort, and to retry what has just failed.

        Where `admit` would refuse, a success proves nothing; a failure counts like any other.
        """
        admitted = self.admit(target, now)
        if isinstance(admitted, Permit):
            return admitted
        self.outstanding += 1
        return Permit(target, self._epochs.now)

    def answered(self, permit: Permit, now: float) -> tuple[Report, ...]:
        """Note that good content has begun to come: a trial need not wait for the end of a long stream.

        The permit still wants `settle`; what fails from here on is late for the scopes that were on trial.
        """
        return tuple(self._pass(permit, now)) if permit.trials else ()

    def settle(
        self, permit: Permit, outcome: Outcome, scopes: tuple[Scope, ...], now: float
    ) -> tuple[Report, ...]:
        """Say how an attempt ended; `scopes` are those that its fault lies with.

        A second call for the same permit changes nothing. A trial passes if the provider answered: a success,
        or a refusal of the request itself (Client, Context, TooBig, Filter with a status). Cancelled only
        gives the place back, as does a failure of another scope.
        """
        if permit.settled:
            return ()
        permit.settled = True
        self.outstanding -= 1
        if outcome.cls is _SUCCESS:
            states = self._scopes.of_provider(permit.target.provider_id)
            if not states:
                return ()
            for scope in permit.target.scopes:
                if scope in states:
                    states[scope].count.succeed()
        reports: list[Report] = []
        if permit.trials and _proves(outcome):
            reports += self._pass(permit, now)
        for trial in permit.trials:
            if trial.trial is permit:
                trial.trial = None
        if outcome.cls in COUNTED_CLASSES:
            for scope in scopes:
                reports += self._fail(scope, permit, outcome, now)
        return tuple(reports)

    # ------------------------------------------------- configuration and fleet
    def configure(self, providers: tuple[Provider, ...], now: float) -> None:
        """Take a new snapshot's providers. State of scopes that are still there is kept.

        A changed key ends Auth and QuotaMoney cooldowns of its credential; a changed address, or a policy
        that was switched off, ends all that failures started. What the document lists is the operator's.
        """
        before = self._scopes.providers
        self._scopes.configure(providers, now)
        for scope, entry in self._seen.items():
            if not names(before.get(scope.provider), scope):
                self._tell(entry, now)
        self.advance(now)

    def adopt(self, push: StatePush, now: float) -> tuple[Report, ...]:
        """Take a state document; the caller has checked that it is newer than the last one.

        What it lists is taken, what it lists no longer is closed, and an own finding that it does not know
        yet stays to its deadline, the later one if both have one. So does what another leader's document has
        listed, when this is the first of a new one: it is told of what it may not know. An entry that did not
        change does nothing.
        An instant that did not change stays where it was: the way of a document takes time, and a new leader
        may have another clock. Only if the same leader's newer document shows that the one before was late by
        more than `LATE_S` (this process was paused, with it in its socket), the deadline is put right.
        """
        self._end_recovered(push, now)
        self._led = True
        seen: dict[Scope, Entry] = {}
        same_leader, self._told_epoch = push.position.epoch == self._told_epoch, push.position.epoch
        reports: list[Report] = []
        for told in push.state.cooldowns:
            known = self._seen.get(told.scope)
            until = now + (told.until_utc - push.sent_at_utc).total_seconds()
            late = same_leader and known is not None and self._was_late(known, told, until)
            if known is not None and known.cooldown == told and not late and not self._is_given_back(known):
                seen[told.scope] = known
                continue
            here = told.phase is CooldownPhase.HALF_OPEN and told.trial_sidecar == self._sidecar
            since = now + (told.since_utc - push.sent_at_utc).total_seconds()
            if known is not None and not late:
                since = known.since if known.cooldown.since_utc == told.since_utc else since
                until = known.until if known.cooldown.until_utc == told.until_utc else until
            here_until = min(until, now + PERMIT_MAX_S)
            entry = Entry(told, since=since, until=until, here=here, here_until=here_until)
            seen[told.scope] = entry
            self._tell(entry, now)
        for scope in self._seen.keys() - seen.keys():
            state = self._scopes.known(scope)
            if state is None:
                continue
            if same_leader:
                state.untold(now)
            else:
                reports += state.unknown(now)
        self._seen = seen
        for state in self._scopes.cooling():
            if state.scope not in seen:
                state.unlisted()
        self.advance(now)
        return tuple(reports)

    def _end_recovered(self, push: StatePush, now: float) -> None:
        """Close what was found before a person ended it; what the document lists all the same comes next."""
        for provider_id, at_utc in push.state.recovered.items():
            if self._recovered.get(provider_id) == at_utc:
                continue
            at = now + (at_utc - push.sent_at_utc).total_seconds()
            for state in self._scopes.of_provider(provider_id).values():
                if state.phase is not None and state.found < at:
                    state.close(now)
            self._scopes.note(provider_id)
        self._recovered = push.state.recovered

    def led_anew(self, now: float) -> None:
        """Hold what this sidecar has found for unknown again: another leader leads.

        The one before acknowledged it in a document, and may have died before it stood in status. So it is
        told again, and a document of the new leader that does not list it yet does not end it.
        """
        self.advance(now)
        for state in self._scopes.cooling():
            mine = state.cause.evidence.sidecar == self._sidecar
            if mine and state.phase is CooldownPhase.COOLING and now < state.until:
                state.own = True

    def attach(self, attached: bool, now: float) -> None:  # noqa: FBT001 - the one thing it says
        """Note whether the operator reads this sidecar's reports; if not, scopes go on alone in the end.

        Whoever begins to read is told of the trials that are under way (`trying`), and no other begins before
        its first document: so it can know of all. A link that breaks before it has brought a document gives
        no more patience: else one that breaks again and again would let nobody try for ever.
        """
        self.advance(now)
        self._scopes.attached = attached
        if attached:
            for state in self._scopes.cooling():
                state.linked(now)
        elif self._led:
            self._led = False
            for state in self._scopes.cooling():
                state.cut_off(now)
        self.advance(now)

    # ---------------------------------------------------------------- people
    def cooldown(self, provider_id: str, duration_s: float, reason: str, now: float) -> tuple[Report, ...]:
        """Cool a whole provider in the whole fleet because a person says so; no effect if it is unknown.

        A later end that is known already stays.
        """
        state = self._scopes.state(Scope(provider=provider_id))
        if state is None:
            return ()
        state.advance(now, attached=self._scopes.attached)
        cause = Cause(None, reason, Evidence(sidecar=self._sidecar))
        reports = state.cool(now + duration_s, cause, now, spread=self._chance.random())
        self._scopes.note(provider_id)
        return reports

    def recover(self, provider_id: str, by: str, now: float) -> tuple[Report, ...]:
        """End all cooldowns of a provider, here at once and in the fleet by report."""
        if provider_id not in self._scopes.providers:
            return ()
        for state in self._scopes.of_provider(provider_id).values():
            state.close(now)
        self._scopes.note(provider_id)
        return (Recovered(provider=provider_id, by=by),)

    # ------------------------------------------------------------------ time
    def advance(self, now: float) -> None:
        """Move on what is due and forget what is over. `admit` does it for the scopes it looks at."""
        self._scopes.advance(now)

    def wake_at(self) -> float | None:
        """Return when the next scope moves on by itself; None: none does."""
        dues = (state.due(attached=self._scopes.attached) for state in self._scopes.cooling())
        return min((due for due in dues if due is not None), default=None)

    def active(self, now: float) -> tuple[ActiveCooldown, ...]:
        """Return every scope that is not closed, sorted by scope."""
        self.advance(now)
        views = map(ActiveCooldown.of, self._scopes.cooling())
        return tuple(sorted(views, key=lambda cooldown: order(cooldown.scope)))

    def standing_reports(self, now: float) -> tuple[Report, ...]:
        """Return what the operator does not know yet: own cooldowns that no document has listed."""
        self.advance(now)
        return tuple(
            state.tripped(now) for state in self._scopes.cooling() if state.own and now < state.until
        )

    def trying(self, now: float) -> tuple[Trying, ...]:
        """Return the trials that are under way and concern the fleet, whoever permitted them."""
        told = (state.trying(now) for state in self._scopes.cooling())
        return tuple(one for one in told if one is not None)

    # --------------------------------------------------------------- details
    def _pass(self, permit: Permit, now: float) -> list[Report]:
        """Let the trials pass that this permit still is, and give their places back."""
        reports: list[Report] = []
        for trial in permit.trials:
            if trial.trial is permit:
                trial.trial = None
                reports += trial.pass_trial(now, attached=self._scopes.attached)
        self._scopes.note(permit.target.provider_id)
        return reports

    def _fail(self, scope: Scope, permit: Permit, outcome: Outcome, now: float) -> tuple[Report, ...]:
        state = self._scopes.state(scope)
        if state is None:
            return ()
        state.advance(now, attached=self._scopes.attached)
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
        self._scopes.note(scope.provider)
        return reports

    def _was_late(self, known: Entry, told: FleetCooldown, until: float) -> bool:
        """Return whether the document that told this deadline first came so late that its cooldown ends late.

        Only of a scope that follows that deadline now: a person may have ended it, or this sidecar gone on.
        """
        if known.cooldown.until_utc != told.until_utc or until >= known.until - LATE_S:
            return False
        state = self._scopes.known(told.scope)
        if state is None or told.phase is not CooldownPhase.COOLING:
            return False
        return state.phase is CooldownPhase.COOLING and state.until == known.until

    def _is_given_back(self, known: Entry) -> bool:
        """Return whether a document says again that the permit is here, which ended with the last link."""
        state = self._scopes.known(known.cooldown.scope)
        half_open = state is not None and state.phase is CooldownPhase.HALF_OPEN
        return known.here and state is not None and half_open and not state.here

    def _tell(self, entry: Entry, now: float) -> None:
        """Hand an entry to its scope, if the configuration has it; else `configure` does when it comes."""
        state = self._scopes.state(entry.cooldown.scope)
        if state is not None:
            state.spread = self._chance.random()
            state.told(entry, now)


def _proves(outcome: Outcome) -> bool:
    """Return whether the provider has answered and found no fault with itself."""
    if outcome.cls is OutcomeClass.SUCCESS:
        return True
    innocent = outcome.cls is not OutcomeClass.CANCELLED and outcome.cls not in COUNTED_CLASSES
    return innocent and outcome.status is not None
