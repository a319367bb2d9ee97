"""The way of one scope out of use and back: circuit breaker and cooldown are one machine here.

Closed passes; cooling refuses until an instant (a breaker's "open"); half-open lets one trial at a time pass;
ramp lets a share pass. The failure threshold is the breaker's part, a provider's hint the cooldown's. Which
scopes a target has, and permits, are `cooldown`'s; who was at fault is `outcome`'s; how long is `trip`'s.

                  failure: hint, at-once class, or threshold reached
        +---------------------------------------------------+
        |                                                   v
    +--------+    a failure, weighed as if closed      +---------+ <---+ a later deadline
    | closed |      (level + 1)  +-------------------> | cooling | ----+ (level stays)
    +--------+                   |                     +---------+
        ^                        |       `until` passed  |     ^  a failure, if
        | last step over         |                       v     |  not late (level + 1)
    +--------+ ------------------+                     +-----------+
    |  ramp  | <-------------------------------------- | half-open |
    +--------+   trials passed (`probe: None`: always) +-----------+

A document of the operator may put any phase in place of any other (`obey`); `close` leads home from all.

Led by the fleet (the policy shares its cooldowns and the link is attached), the moves after `until` are the
operator's and come by document. Alone (cut off for `GRACE_S`, by the policy, or the document has not
moved on for as long), time and traffic move the scope here. `due` says when; so no state lasts for ever.
The fleet's permit to try ends with the link, or with the leader, that gave it: the next one says whose it is.
"""

from dataclasses import dataclass, field, replace
from typing import assert_never

from cliproxy_api.report import Failed, Report, TrialSettled, TrialStarted, Tripped, Trying
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import CooldownRules
from cliproxy_api.trip import JITTER_MAX_S, ramp_step_s
from cliproxy_api.vocabulary import CooldownPhase, CooldownScope, RecoveryProbe
from cliproxy_sidecar.core.scope_parts import (
    GRACE_S,
    SOON_S,
    TOLERANCE_S,
    WHOLE,
    Cause,
    Entry,
    Epochs,
    Failure,
)
from cliproxy_sidecar.core.threshold import FailureCount
from cliproxy_sidecar.core.weighing import weigh


@dataclass(slots=True, eq=False)
class ScopeState:
    """One scope. `now` is monotonic seconds and never goes back."""

    scope: Scope
    rules: CooldownRules
    epochs: Epochs
    phase: CooldownPhase | None = None
    """None: closed."""
    epoch: int = 0
    """When the present phase began; attempts admitted before are late."""
    since: float = 0.0
    """Cooling began; for a closed scope: when it closed."""
    until: float = 0.0
    """Cooling: its end. Half-open: when the permit moves on. Ramp: the next step."""
    cooled_s: float = 0.0
    """How long the last cooling was, or will have been; 0: not known."""
    level: int = 0
    share_percent: int = WHOLE
    cause: Cause = Cause()  # noqa: RUF009 - frozen
    found: float = 0.0
    """When this process found the present reason to cool, or a document said that there is one."""
    own: bool = False
    """Cooling by a finding of this process that no document has acknowledged."""
    alone: bool = False
    here: bool = False
    """Half-open: trials may begin here ..."""
    here_until: float = 0.0
    """... until then, if it is the fleet's permit: whoever gave it may be gone without our hearing it."""
    trial: object | None = None
    """The permit of the trial that is under way: begun half-open, at this level."""
    began: float = 0.0
    """When that trial began."""
    passed: int = 0
    entry: Entry | None = None
    patience: float = 0.0
    """Cut off, the scope waits for the next leader until then, whatever is due before."""
    spread: float = 0.0
    """0 to 1: this sidecar's place among those that act alone at the same time."""
    count: FailureCount = field(default_factory=FailureCount)

    # ------------------------------------------------------------------ time
    def led(self, *, attached: bool) -> bool:
        """Return whether the operator moves this scope on."""
        return attached and self.shared

    @property
    def shared(self) -> bool:
        """Whether the fleet shares this cooldown: by policy, by a person's word, or since it is listed."""
        manual = self.phase is not None and self.cause.outcome_class is None
        return self.rules.scope is CooldownScope.FLEET or manual or self.entry is not None

    def due(self, *, attached: bool) -> float | None:
        """Return when the scope moves on by itself; None: only traffic or the operator moves it."""
        match self.phase:
            case None:
                return None
            case CooldownPhase.COOLING:
                overruled = self.own and self.entry is not None and attached
                return self.until if overruled else self._free_at(attached=attached)
            case CooldownPhase.HALF_OPEN:
                if not self.here or self.passed >= self.rules.recovery.trials:
                    return self._free_at(attached=attached)
                return None if self.alone else self.here_until
            case CooldownPhase.RAMP:
                return self.until if self.alone else self._free_at(attached=attached)
            case _:
                assert_never(self.phase)

    def advance(self, now: float, *, attached: bool) -> None:
        """Make the moves that are due. Each goes further round the circle, so there are few."""
        while (due := self.due(attached=attached)) is not None and due <= now:
            match self.phase:
                case CooldownPhase.COOLING if self.own and self.entry is not None and attached:
                    self.obey(self.entry)
                case CooldownPhase.COOLING if self.rules.recovery.probe is RecoveryProbe.NONE:
                    self._ramp(due, above=0)
                case CooldownPhase.COOLING:
                    self._half_open(due)
                case CooldownPhase.HALF_OPEN if self.passed >= self.rules.recovery.trials:
                    self._ramp(due, above=0)
                case CooldownPhase.HALF_OPEN if self.here:
                    self.here = False
                case CooldownPhase.HALF_OPEN:
                    self.alone = self.here = True
                case CooldownPhase.RAMP:
                    self._ramp(due, above=self.share_percent)
                case None:  # pragma: no cover - a closed scope is never due
                    return
                case _:
                    assert_never(self.phase)

    def retry_at(self, now: float) -> float | None:
        """Return when to ask again for admission; None: now (in a ramp: subject to the share)."""
        match self.phase:
            case None | CooldownPhase.RAMP:
                return None
            case CooldownPhase.COOLING:
                return self.until if self.until > now else now + SOON_S
            case CooldownPhase.HALF_OPEN:
                return None if self.here and self.trial is None else now + SOON_S
            case _:
                assert_never(self.phase)

    # -------------------------------------------------------------- attempts
    def start_trial(self, permit: object, now: float, *, attached: bool) -> tuple[Report, ...]:
        """Take the one place for a trial; told to the operator if the permit is the fleet's."""
        self.trial, self.began = permit, now
        if self.alone or not self.led(attached=attached):
            return ()
        return (TrialStarted(scope=self.scope, level=self.level),)

    def pass_trial(self, now: float, *, attached: bool) -> tuple[Report, ...]:
        """Note that a trial of the present half-open phase has passed; in another phase it proves nothing."""
        if self.phase is not CooldownPhase.HALF_OPEN:
            return ()
        self.passed += 1
        level, led = self.level, self.led(attached=attached)
        if self.passed == self.rules.recovery.trials:
            # From here the operator's time to move on counts; later passes do not give it more.
            self.until = now
        if self.passed >= self.rules.recovery.trials and (self.alone or not led):
            self._ramp(now, above=0)
        return (TrialSettled(scope=self.scope, level=level),) if led else ()

    def fail(self, failure: Failure, now: float) -> tuple[Report, ...]:
        """Take one failure that this scope is charged with; return what the operator should hear."""
        verdict = weigh(failure, self.rules, self.count, phase=self.phase, level=self.level, now=now)
        reports: tuple[Report, ...] = ()
        if verdict.counted and self.shared:
            evidence = failure.cause.evidence
            reports = (
                Failed(scope=self.scope, outcome_class=failure.outcome_class, count=1, evidence=evidence),
            )
        if verdict.lasts_s is None:
            return reports
        until = now + verdict.lasts_s
        if self.phase is CooldownPhase.COOLING:
            return self._lengthen(until, failure.cause, now)
        return reports + self._trip(until, verdict.level, failure.cause, now, failure.chance)

    def cool(self, until: float, cause: Cause, now: float, *, spread: float) -> tuple[Report, ...]:
        """Cool because a person says so. A later deadline that is known already stays."""
        match self.phase:
            case CooldownPhase.COOLING:
                return self._lengthen(until, cause, now)
            case None:
                return self._trip(until, 0, cause, now, spread)
            case CooldownPhase.HALF_OPEN | CooldownPhase.RAMP:
                return self._trip(until, self.level + 1, cause, now, spread)
            case _:
                assert_never(self.phase)

    def tripped(self, now: float) -> Tripped:
        """Return the present cooldown as a report."""
        told = self.entry if self.entry is not None and self.entry.until == self.until else None
        return Tripped(
            scope=self.scope,
            outcome_class=self.cause.outcome_class,
            reason=self.cause.reason,
            remaining_s=max(self.until - now, 0.0),
            level=self.level,
            fleet=self.shared,
            evidence=self.cause.evidence,
            age_s=round(max(now - self.found, 0.0), 3),
            until_utc=told.cooldown.until_utc if told is not None else None,
        )

    def trying(self, now: float) -> Trying | None:
        """Return the trial that is under way, if the fleet has to know of it."""
        if self.trial is None or not self.shared:
            return None
        return Trying(scope=self.scope, level=self.level, age_s=round(max(now - self.began, 0.0), 3))

    # -------------------------------------------------------------- document
    def cut_off(self, now: float) -> None:
        """Note that the link has gone: the next leader has time to come before this sidecar acts alone."""
        if self.shared:
            self.patience = now + GRACE_S
            self.here = self.here and self.alone
            self._lose_permit()

    def linked(self, now: float) -> None:
        """Note that somebody listens: whose turn it is to try is told by the document that comes first."""
        if not self.shared:
            return
        self._lose_permit()
        if self.phase is CooldownPhase.HALF_OPEN:
            self.here = self.alone = False
            self.until = max(self.until, now)

    def told(self, entry: Entry, now: float) -> None:
        """Take what a new document says; an own finding that it does not know yet stays to its deadline."""
        self.entry = entry
        if self.own and now < self.until and not self._acknowledges(entry):
            return
        self.obey(entry)

    def untold(self, now: float) -> None:
        """Note that a new document no longer lists the scope; an own finding stays to its deadline."""
        self.entry = None
        if not (self.own and now < self.until):
            self.close(now)

    def unknown(self, now: float) -> tuple[Report, ...]:
        """Note that a new leader's first document does not list the scope, which the one before did.

        That one may have died before it stood in status, and whoever found it need not be linked yet: so it
        stays to its deadline here as well, like an own finding, and the new leader is told of it.
        """
        if self.phase is not CooldownPhase.COOLING or not self.shared or now >= self.until:
            self.untold(now)
            return ()
        told = () if self.own else (self.tripped(now),)  # an own one was told when the stream began
        self.entry, self.own = None, True
        return told

    def unlisted(self) -> None:
        """Note that a document does not list the scope: whoever waits for a permit goes on alone."""
        if self.phase is CooldownPhase.HALF_OPEN and self.entry is None:
            self.alone = self.here = True

    def obey(self, entry: Entry) -> None:
        """Stand where the document says."""
        told = entry.cooldown
        if (told.phase, told.level) != (self.phase, self.level):
            trial = self.trial if told.level == self.level else None
            self._enter(told.phase)
            self.trial = trial  # a leader whose clock is behind lets it cool once more: it is still under way
        own_until = self.until if self.own and told.phase is CooldownPhase.COOLING else entry.until
        self.since, self.until = entry.since, max(entry.until, own_until)
        self.level, self.share_percent, self.cooled_s = told.level, told.share_percent, told.cooled_s
        self.cause = Cause(told.outcome_class, told.reason, told.evidence)
        self.here, self.here_until = entry.here, entry.here_until
        if not self.own:
            self.found = max(self.found, entry.since)
        self.own = self.alone = False

    def close(self, now: float) -> None:
        """Let everything pass and forget the failures; answers still on their way are late."""
        self._close(now)
        self.count.clear()

    # ----------------------------------------------------------------- moves
    def _enter(self, phase: CooldownPhase | None) -> None:
        self.phase, self.epoch = phase, self.epochs.begin()
        self.trial, self.passed = None, 0

    def _close(self, at: float) -> None:
        self._enter(None)
        self.since, self.level, self.share_percent = at, 0, WHOLE
        self.own = self.alone = self.here = False

    def _half_open(self, at: float) -> None:
        self._enter(CooldownPhase.HALF_OPEN)
        self.until = at
        self.own, self.alone, self.here = False, True, True

    def _ramp(self, at: float, *, above: int) -> None:
        share = next((step for step in self.rules.recovery.ramp_percent if step > above), None)
        if share is None:
            # Time alone forgives nothing: failures in a row go on counting.
            self._close(at)
            return
        if self.phase is not CooldownPhase.RAMP:
            self._enter(CooldownPhase.RAMP)
        self.share_percent, self.until = share, at + ramp_step_s(self.rules.recovery, self.cooled_s)
        self.own, self.alone, self.here = False, True, False

    def _trip(self, until: float, level: int, cause: Cause, now: float, spread: float) -> tuple[Report, ...]:
        self._enter(CooldownPhase.COOLING)
        self.since, self.until, self.level, self.cause, self.spread = now, until, level, cause, spread
        self.cooled_s, self.found = until - now, now
        self.own, self.alone, self.here = True, False, False
        return (self.tripped(now),)

    def _lengthen(self, until: float, cause: Cause, now: float) -> tuple[Report, ...]:
        if until <= self.until:
            return ()
        known, self.until, self.cause = self.until, until, cause
        self.found = now
        self.cooled_s = until - self.since
        if until - known <= TOLERANCE_S:
            return ()
        self.own = True
        return (self.tripped(now),)

    def _lose_permit(self) -> None:
        """Let what the last document gave end with its link, should the scope come back to it."""
        if self.entry is not None and self.entry.here:
            self.entry = replace(self.entry, here=False)

    def _acknowledges(self, entry: Entry) -> bool:
        return entry.cooldown.phase is CooldownPhase.COOLING and entry.until >= self.until - TOLERANCE_S

    def _free_at(self, *, attached: bool) -> float:
        if not self.shared:
            return self.until
        spread_s = min((self.until - self.since) * self.rules.jitter * self.spread, JITTER_MAX_S)
        until = self.until + GRACE_S if attached else max(self.until, self.patience)
        return until + max(spread_s, 0.0)
