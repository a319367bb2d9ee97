"""One scope's way out of use and back, as the fleet decides it.

           trip                 until                trials passed              last step over
  (closed) ────> COOLING ──────────────> HALF_OPEN ───────────────> RAMP 10..100 % ──────────> (closed)
                  ^  │ until, no probe       │  ^ another sidecar's turn        │ ^ next step
                  │  └───────────────────────│──┴───────────> RAMP              └─┘
                  └── trip ──────────────────┴──────────────────┘

Every phase has an `until`; left alone a scope closes in bounded time: a permit that nobody uses for
`PATIENCE` means that nobody asks for the scope, and the ramp lets a small share try. `fleet_provider` keeps
a provider's scopes and knows its policy; whose turn it is to try is `fleet_turn`'s.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self, assert_never

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Recovery
from cliproxy_api.state import Evidence, FleetCooldown
from cliproxy_api.trip import ramp_step_s
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, RecoveryProbe
from cliproxy_operator.view import SidecarId

RETOLD: Final = timedelta(seconds=2)
"""A trip this close to the known end is the same one, told again over a slow link."""
PATIENCE: Final = timedelta(seconds=600)
"""How long a permit may go unused by everybody before the ramp begins without a trial."""
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
    closed: bool = False
    _cooling_since: datetime
    """When the last cooling began; `since` is when the first did."""
    _cooled_until: datetime
    _step: int = 0
    _passed: int = 0
    _waiting_since: datetime

    @classmethod
    def begin(cls, scope: Scope, finding: Finding, *, since: datetime) -> Self:
        """Return a scope that cools from now on."""
        until = finding.until
        entry = cls(
            scope=scope,
            since=since,
            until=until,
            _cooling_since=since,
            _cooled_until=until,
            _waiting_since=until,
        )
        entry._cool(finding, level=finding.level)
        return entry

    def trip(self, finding: Finding, now: datetime) -> bool:
        """Merge one more reason to cool; return whether anything changed. The later end wins."""
        if self.phase is CooldownPhase.COOLING:
            return self._trip_while_cooling(finding)
        if finding.level > self.level:
            self._cooling_since = now
            self._cool(finding, level=finding.level)
            return True
        if finding.until > max(self._cooled_until + RETOLD, now):
            # Not the old news: the provider itself asks for more time. Earlier trials do not count any more.
            self._cooling_since = now
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
                    self.phase, self._waiting_since = CooldownPhase.HALF_OPEN, now
                    self._wait(way, now)
            case CooldownPhase.HALF_OPEN:
                return self._wait(way, now)
            case CooldownPhase.RAMP:
                self._ramp(way, self._step + 1, now)
            case _:
                assert_never(self.phase)
        return True

    def waits_for_trial(self, way: Way) -> bool:
        """Whether a permit is wanted here; `fleet_turn` says whose it is."""
        return self.phase is CooldownPhase.HALF_OPEN and way.probe is RecoveryProbe.REQUEST

    def hold(self, holder: SidecarId | None, until: datetime) -> bool:
        """Take note of who has the permit, and how long; return whether that is new."""
        before = (self.holder, self.until)
        self.holder, self.until = holder, until
        return before != (holder, until)

    def start_trial(self, level: int, way: Way, now: datetime) -> bool:
        """Note that the permit is in use; return whether it is one of this level."""
        if not self.waits_for_trial(way) or level != self.level:
            return False
        self._waiting_since = now
        return True

    def trial_passed(self, level: int, way: Way, now: datetime) -> bool:
        """Count a passed trial; late answers (another level, another phase) do not count."""
        if self.phase is not CooldownPhase.HALF_OPEN or level != self.level:
            return False
        self._passed += 1
        if self._passed >= way.recovery.trials:
            self._ramp(way, 0, now)
        return True

    def probed(self, *, healthy: bool, way: Way, now: datetime) -> bool:
        """Take a health check's verdict, if this is what the scope waits for."""
        if self.phase is not CooldownPhase.HALF_OPEN or way.probe is not RecoveryProbe.HEALTH_CHECK:
            return False
        self._waiting_since = now
        if healthy:
            self._ramp(way, 0, now)
        return healthy

    def resume(self, phase: CooldownPhase, share_percent: int, way: Way) -> None:
        """Continue where an earlier leader was; `until` stays. How many trials passed is not known."""
        ramp = way.recovery.ramp_percent
        if phase is CooldownPhase.HALF_OPEN and way.probe is not RecoveryProbe.NONE:
            self.phase = phase
        elif phase is CooldownPhase.RAMP and ramp:
            later = (number for number, share in enumerate(ramp) if share >= share_percent)
            self.phase, self._step = phase, next(later, len(ramp) - 1)
            self.share_percent = ramp[self._step]
            self._cooling_since = self._cooled_until  # how long it cooled is not written: not known

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
            cooled_s=self._cooled_s(),
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
        self._step = self._passed = 0
        self._waiting_since = finding.until

    def _wait(self, way: Way, now: datetime) -> bool:
        """Half-open: return whether anything moved. Permits are not moved here."""
        if now >= self._waiting_since + PATIENCE:
            self._ramp(way, 0, now)
        elif way.probe is RecoveryProbe.REQUEST:
            return False
        else:
            self.holder = None
            self.until = now + way.probe_wait
        return True

    def _ramp(self, way: Way, step: int, now: datetime) -> None:
        steps = way.recovery.ramp_percent
        self.holder = None
        self.closed = step >= len(steps)
        if not self.closed:
            self.phase = CooldownPhase.RAMP
            self._step, self.share_percent = step, steps[step]
            self.until = now + timedelta(seconds=ramp_step_s(way.recovery, self._cooled_s()))

    def _cooled_s(self) -> float:
        return max(0.0, round((self._cooled_until - self._cooling_since).total_seconds(), 3))
