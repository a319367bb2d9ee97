"""One scope's way out of use and back, as the fleet decides it.

           trip                 until                trials passed              last step over
  (closed) ────> COOLING ──────────────> HALF_OPEN ───────────────> RAMP 10..100 % ──────────> (closed)
                  ^  │ until, no probe       │  ^ permit unused: next sidecar   │ ^ next step
                  │  └───────────────────────│──┴───────────> RAMP              └─┘
                  └── trip ──────────────────┴──────────────────┘

Every phase has an `until`; left alone a scope closes in bounded time: a permit that nobody uses for
`PATIENCE_S` means that nobody asks for the scope, and the ramp lets a small share try. `fleet_provider` keeps
a provider's scopes and knows its policy.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self, assert_never

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Recovery
from cliproxy_api.state import Evidence, FleetCooldown
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, RecoveryProbe
from cliproxy_operator.view import SidecarId

RETOLD: Final = timedelta(seconds=2)
"""A trip this close to the known end is the same one, told again over a slow link."""
PERMIT: Final = timedelta(seconds=5)
"""How long a sidecar may leave the permit for a trial unused while others could have it."""
PERMIT_ALONE: Final = timedelta(seconds=60)
"""The same when there is no other: nothing is gained by telling it more often."""
HANDOVER: Final = timedelta(seconds=1)
"""Between taking the permit back and giving it to another: time for "a trial has started" to arrive."""
PATIENCE_S: Final = 600.0
TRIAL_MAX_S: Final = 120.0
"""A trial that takes longer no longer keeps the permit."""
MAX_LEVEL: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A reason to cool a scope."""

    until: datetime
    """Whole seconds: what is written to status is what is in memory."""
    level: int
    outcome_class: OutcomeClass | None
    reason: str
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What the way back depends on besides the scope itself."""

    recovery: Recovery
    probe: RecoveryProbe
    """The policy's, or Request if it asks for health checks and the provider has none."""
    trial_max: timedelta
    probe_wait: timedelta
    """Longest time between two results of the health check."""
    pick: Callable[[frozenset[SidecarId]], SidecarId | None]
    """Which sidecar may try next, besides these; None: there is no other."""


@dataclass(slots=True, eq=False, kw_only=True)
class ScopeCooldown:
    """One entry of the fleet's state; `closed` says that it may be dropped."""

    scope: Scope
    since: datetime
    until: datetime
    """Cooling: its end. Half-open: when the permit moves on. Ramp: the next step."""
    level: int = 0
    phase: CooldownPhase = CooldownPhase.COOLING
    outcome_class: OutcomeClass | None = None
    reason: str = ""
    evidence: Evidence = field(default_factory=Evidence)
    share_percent: int = 0
    holder: SidecarId | None = None
    """Half-open: who may send a trial."""
    in_trial: bool = False
    """Half-open: whether the holder says that it has sent one."""
    closed: bool = False
    _cooled_until: datetime
    _step: int = 0
    _passed: int = 0
    _tried: frozenset[SidecarId] = frozenset()
    _waiting_since: datetime

    @classmethod
    def begin(cls, scope: Scope, finding: Finding, *, since: datetime) -> Self:
        """Return a scope that cools from now on."""
        until = finding.until
        entry = cls(scope=scope, since=since, until=until, _cooled_until=until, _waiting_since=until)
        entry._cool(finding, level=finding.level)
        return entry

    def trip(self, finding: Finding, now: datetime) -> bool:
        """Merge one more reason to cool; return whether anything changed. The later end wins."""
        if self.phase is CooldownPhase.COOLING:
            return self._trip_while_cooling(finding)
        if finding.level > self.level:
            self._cool(finding, level=finding.level)
            return True
        if finding.until > max(self._cooled_until + RETOLD, now):
            # Not the old news: the provider itself asks for more time. Earlier trials do not count any more.
            self._cool(finding, level=min(self.level + 1, MAX_LEVEL))
            return True
        return False

    def advance(self, way: Way, now: datetime) -> bool:
        """Move on if it is time; return whether anything changed. At most one step, however late."""
        if now < self.until:
            return False
        match self.phase:
            case CooldownPhase.COOLING:
                if way.probe is RecoveryProbe.NONE:
                    self._ramp(way, 0, now)
                else:
                    self._half_open(way, now)
            case CooldownPhase.HALF_OPEN:
                self._hand_on(way, now)
            case CooldownPhase.RAMP:
                self._ramp(way, self._step + 1, now)
            case _:
                assert_never(self.phase)
        return True

    def trial_started(self, sidecar: SidecarId, level: int, way: Way, now: datetime) -> bool:
        """Note that the permit is in use; return whether anything changed."""
        ours = (
            self.phase is CooldownPhase.HALF_OPEN and level == self.level and self.holder in (None, sidecar)
        )
        if not ours or way.probe is not RecoveryProbe.REQUEST:
            return False
        self.holder, self.in_trial = sidecar, True
        self._waiting_since = now
        self.until = now + way.trial_max
        return True

    def trial_passed(self, level: int, way: Way, now: datetime) -> bool:
        """Count a passed trial; late answers (another level, another phase) do not count."""
        if self.phase is not CooldownPhase.HALF_OPEN or level != self.level:
            return False
        self._passed += 1
        self.in_trial = False
        if self._passed >= way.recovery.trials:
            self._ramp(way, 0, now)
        else:
            self.until = now + PERMIT
        return True

    def probed(self, *, healthy: bool, way: Way, now: datetime) -> bool:
        """Take a health check's verdict, if this is what the scope waits for."""
        if self.phase is not CooldownPhase.HALF_OPEN or way.probe is not RecoveryProbe.HEALTH_CHECK:
            return False
        self._waiting_since = now
        if healthy:
            self._ramp(way, 0, now)
        return healthy

    def sidecars_changed(self, way: Way, now: datetime, *, gone: SidecarId | None = None) -> bool:
        """Give the permit on if its holder has gone, or if nobody held it; return whether it changed."""
        if self.phase is not CooldownPhase.HALF_OPEN or way.probe is not RecoveryProbe.REQUEST:
            return False
        if gone is not None:
            self._tried -= {gone}
            if self.holder != gone:
                return False
            self.holder, self.in_trial = None, False
        elif self.holder is not None:
            # A newcomer need not wait for what was meant for a lonely sidecar.
            early = now + PERMIT
            if self.in_trial or self.until <= early:
                return False
            self.until = early
            return True
        elif self.until <= now + HANDOVER:
            return False
        self._give(way, now)
        return True

    def resume(self, phase: CooldownPhase, share_percent: int, ramp: tuple[int, ...]) -> None:
        """Continue where an earlier leader was; `until` stays. A trial begins anew."""
        if phase is CooldownPhase.RAMP and ramp:
            later = (number for number, share in enumerate(ramp) if share >= share_percent)
            self.phase, self._step = phase, next(later, len(ramp) - 1)
            self.share_percent = ramp[self._step]

    def shown(self, namespace: str | None) -> FleetCooldown:
        """Return the entry as documents have it; sidecars of other namespaces are named in full."""
        return FleetCooldown(
            scope=self.scope,
            phase=self.phase,
            outcome_class=self.outcome_class,
            reason=self.reason,
            since_utc=self.since,
            until_utc=self.until,
            level=self.level,
            share_percent=self.share_percent,
            trial_sidecar=self.holder.seen_from(namespace) if self.holder is not None else None,
            evidence=self.evidence,
        )

    def _trip_while_cooling(self, finding: Finding) -> bool:
        if finding.level <= self.level and finding.until <= self.until + RETOLD:
            return False
        self.level = max(self.level, finding.level)
        if finding.until > self.until:
            self._cool(finding, level=self.level)
        return True

    def _cool(self, finding: Finding, *, level: int) -> None:
        self.phase = CooldownPhase.COOLING
        self.until = self._cooled_until = finding.until
        self.level = level
        self.outcome_class = finding.outcome_class
        self.reason = finding.reason
        self.evidence = finding.evidence
        self.share_percent = 0
        self.holder = None
        self.in_trial = False
        self._step = self._passed = 0
        self._tried = frozenset()
        self._waiting_since = finding.until

    def _half_open(self, way: Way, now: datetime) -> None:
        self.phase = CooldownPhase.HALF_OPEN
        self._waiting_since = now
        self._hand_on(way, now)

    def _hand_on(self, way: Way, now: datetime) -> None:
        if now >= self._waiting_since + timedelta(seconds=PATIENCE_S):
            self._ramp(way, 0, now)
        elif way.probe is not RecoveryProbe.REQUEST:
            self.holder, self.in_trial = None, False
            self.until = now + way.probe_wait
        elif self.holder is not None and way.pick(frozenset({self.holder})) is not None:
            self.holder, self.in_trial = None, False
            self.until = now + HANDOVER
        else:
            self._give(way, now)

    def _give(self, way: Way, now: datetime) -> None:
        chosen = way.pick(self._tried)
        if chosen is None:
            # Everybody has had it: from the beginning.
            self._tried = frozenset()
            chosen = way.pick(self._tried)
        self.holder, self.in_trial = chosen, False
        alone = chosen is None or way.pick(frozenset({chosen})) is None
        self.until = now + (PERMIT_ALONE if alone else PERMIT)
        if chosen is not None:
            self._tried |= {chosen}

    def _ramp(self, way: Way, step: int, now: datetime) -> None:
        steps = way.recovery.ramp_percent
        self.holder, self.in_trial = None, False
        self.closed = step >= len(steps)
        if not self.closed:
            self.phase = CooldownPhase.RAMP
            self._step, self.share_percent = step, steps[step]
            self.until = now + timedelta(seconds=way.recovery.check_interval_s)
