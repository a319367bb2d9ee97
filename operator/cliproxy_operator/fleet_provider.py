"""One provider's cooldowns: its scopes, the counts towards its thresholds, its trips of the last day.

The policy (`snapshot.CooldownRules`) is read here; how one scope goes on is `fleet_scope`'s, the other
providers and the sidecars are `fleet`'s.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from cliproxy_api.chance import Chance
from cliproxy_api.report import Failed, TrialSettled, TrialStarted, Tripped, Trying
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import Evidence, FleetCooldown
from cliproxy_api.trip import class_duration_s, retrip_s, trip_rule
from cliproxy_api.vocabulary import CooldownPhase, CooldownScope, OutcomeClass, RecoveryProbe, ScopeKind, Trip
from cliproxy_operator.fleet_facts import MAX_REASON_CHARS, has, keys_of, scope_order, seen_by
from cliproxy_operator.fleet_restore import Restored
from cliproxy_operator.fleet_scope import MAX_LEVEL, RETOLD, TRIAL_MAX_S, Finding, ScopeCooldown, Way
from cliproxy_operator.fleet_turn import HANDOVER, LONGEST_PERMIT, Pick, Turn
from cliproxy_operator.fleet_window import DayCount, FailureWindow
from cliproxy_operator.instants import rounded_up
from cliproxy_operator.view import SidecarId

MAX_SCOPES: Final = 512
"""Entries, and windows, of one provider; more are not taken: by then its widest scopes matter."""
MAX_MANUAL_S: Final = 30 * 86_400.0
"""Longest cooldown that a person can ask for."""

_ENDED_BY_NEW_KEY: Final = frozenset({OutcomeClass.AUTH, OutcomeClass.QUOTA_MONEY})


class ProviderCooldowns:
    """The fleet's cooldowns of one provider."""

    def __init__(
        self,
        provider: Provider,
        *,
        pick: Pick,
        chance: Chance,
        unheard: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """`unheard` says since when at the latest a sidecar that this leader has not heard may be trying."""
        self.provider = provider
        self.trips = DayCount()
        self.recovered: datetime | None = None
        """When a person last ended everything."""
        self._turn = Turn(pick)
        self._unheard = unheard
        self._chance = chance
        self._entries: dict[Scope, ScopeCooldown] = {}
        self._windows: dict[Scope, FailureWindow] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing cools or is on its way back."""
        return not self._entries

    def configure(self, provider: Provider, now: datetime) -> bool:
        """Take a newer version of the provider; return whether it ended a cooldown."""
        before, self.provider = self.provider, provider
        rules = provider.cooldown
        moved = (before.type, before.base_url, before.azure) != (
            provider.type,
            provider.base_url,
            provider.azure,
        )
        all_end = moved or not rules.enabled or rules.scope is CooldownScope.SIDECAR
        doomed = []
        for scope, entry in self._entries.items():
            mended = all_end and entry.outcome_class is not None
            new_key = entry.outcome_class in _ENDED_BY_NEW_KEY and keys_of(before, scope) != keys_of(
                provider, scope
            )
            if mended or new_key or not has(provider, scope):
                doomed.append(scope)
        if all_end:
            self._windows.clear()
        for scope in doomed:
            self._drop(scope)
        return self.share(now) or bool(doomed)

    def tripped(self, report: Tripped, sidecar: SidecarId, now: datetime) -> bool:
        """Merge a cooldown that a sidecar has begun; return whether anything changed.

        What was found before a person ended everything is over: that sidecar has only not heard of it.
        """
        self._turn.ended(sidecar, report.scope)
        if self.is_over(report, now):
            return False
        rules = self.provider.cooldown
        cap_s = rules.max_duration_s
        if report.outcome_class is None:
            cap_s = MAX_MANUAL_S
        elif trip_rule(rules, report.outcome_class) is Trip.NEVER:
            return False
        until = rounded_up(now + timedelta(seconds=min(max(report.remaining_s, 0.0), cap_s)))
        if report.until_utc is not None and abs(report.until_utc - until) <= RETOLD:
            # The instant that an earlier leader gave: rounded anew, it would be later with every leader.
            until = rounded_up(report.until_utc)
        finding = Finding(
            until=until,
            level=min(max(report.level, 0), MAX_LEVEL),
            outcome_class=report.outcome_class,
            reason=report.reason[:MAX_REASON_CHARS],
            evidence=seen_by(report.evidence, sidecar),
        )
        return self._trip(report.scope, finding, now)

    def failed(self, report: Failed, sidecar: SidecarId, now: datetime) -> bool:
        """Count failures towards the threshold, fleet-wide; return whether that tripped the scope.

        What fails while the scope cools was in flight when it began to: news of the same moment from many
        sidecars must not turn a short pause into the long wait.
        """
        entry = self._entries.get(report.scope)
        if entry is not None and entry.phase is CooldownPhase.COOLING and now < entry.until:
            return False
        rules = self.provider.cooldown
        never = trip_rule(rules, report.outcome_class) is Trip.NEVER or rules.scope is CooldownScope.SIDECAR
        if len(self._windows) >= MAX_SCOPES:
            self._forget_old_failures(now)
        if never or report.count <= 0 or not self._admissible(report.scope, self._windows):
            return False
        window = self._windows.setdefault(report.scope, FailureWindow())
        evidence = seen_by(report.evidence, sidecar)
        window.add(
            report.outcome_class, report.count, window_s=rules.detection_window_s, evidence=evidence, now=now
        )
        total = window.total()
        if total < rules.error_threshold:
            return False
        del self._windows[report.scope]
        return self._trip(report.scope, self._threshold(report.scope, window, total, now), now)

    def manual(self, duration_s: float, reason: str, now: datetime) -> bool:
        """Cool the whole provider because a person says so; return whether anything changed."""
        finding = Finding(
            until=rounded_up(now + timedelta(seconds=min(max(duration_s, 0.0), MAX_MANUAL_S))),
            level=0,
            outcome_class=None,
            reason=reason[:MAX_REASON_CHARS],
            evidence=Evidence(),
        )
        return self._trip(Scope(provider=self.provider.id), finding, now)

    def is_over(self, report: Tripped, now: datetime) -> bool:
        """Whether a person has ended what is reported since it was found."""
        age = timedelta(seconds=min(max(report.age_s, 0.0), MAX_MANUAL_S))
        return self.recovered is not None and now - age < self.recovered

    def recover(self, now: datetime) -> bool:
        """End everything at once; return whether there was anything."""
        self.recovered = now
        had = bool(self._entries)
        self._entries.clear()
        self._windows.clear()
        self._turn.rest()
        return had

    def restore(self, restored: Restored, now: datetime) -> bool:
        """Take over an entry that an earlier leader wrote, `until` unchanged; return whether it is news."""
        known = self._entries.get(restored.scope)
        if known is not None:
            return known.trip(restored.finding, now)
        if not self._admissible(restored.scope, self._entries):
            return False
        entry = ScopeCooldown.begin(restored.scope, restored.finding, since=restored.since)
        entry.resume(restored.phase, restored.share_percent, self._way())
        self._entries[restored.scope] = entry
        return True

    def started(self, report: TrialStarted, sidecar: SidecarId, now: datetime) -> bool:
        """Note that a trial is under way; return whether anything changed."""
        entry, way = self._entries.get(report.scope), self._way()
        if entry is not None and entry.start_trial(report.level, way, now):
            self._turn.began(sidecar, report.scope, now + way.trial_max)
        return self.share(now)

    def settled(self, report: TrialSettled, sidecar: SidecarId, now: datetime) -> bool:
        """Count a passed trial; return whether anything changed."""
        self._turn.ended(sidecar, report.scope)
        entry = self._entries.get(report.scope)
        if entry is None or not entry.trial_passed(report.level, self._way(), now):
            return self.share(now)
        self._turn.passed(sidecar, now)
        return self._sweep([entry], now)

    def greeted(self, sidecar: SidecarId, trying: Iterable[Trying], now: datetime) -> None:
        """Note all trials that are under way at a sidecar; `share` hands the permit on."""
        longest = self._way().trial_max
        self._turn.heard(sidecar)
        for one in trying:
            if has(self.provider, one.scope):
                age = timedelta(seconds=min(max(one.age_s, 0.0), TRIAL_MAX_S))
                self._turn.began(sidecar, one.scope, now + longest - age)

    def forget(self, sidecar: SidecarId, now: datetime) -> bool:
        """Note that a sidecar is no more, nor what it tried; return whether anything changed."""
        self._turn.heard(sidecar)
        return self.share(now)

    def probed(self, *, healthy: bool, now: datetime) -> bool:
        """Take a health check's verdict; return whether anything changed."""
        way = self._way()
        return self._sweep([one for one in self._all() if one.probed(healthy=healthy, way=way, now=now)], now)

    def came(self, now: datetime) -> bool:
        """Hand the permit on after a sidecar came; return whether anything changed."""
        self._turn.came(now)
        return self.share(now)

    def went(self, sidecar: SidecarId, now: datetime, *, linked: bool) -> bool:
        """Hand the permit on after a sidecar went, or runs the provider no more; whether anything changed."""
        self._turn.went(sidecar, now, unheard=None if linked else self._way().trial_max)
        return self.share(now)

    def advance(self, now: datetime) -> bool:
        """Move on what is due; return whether anything changed."""
        if not self._entries:
            return False
        way = self._way()
        return self._sweep([one for one in self._all() if one.advance(way, now)], now)

    def share(self, now: datetime) -> bool:
        """Move the permit on if it is time, and tell the scopes that wait for one; whether any changed."""
        way = self._way()
        waiting = [entry for entry in self._entries.values() if entry.waits_for_trial(way)]
        if not waiting:
            self._turn.rest()
            return False
        since = self._unheard()
        longest = LONGEST_PERMIT + HANDOVER + way.trial_max  # one may be trying without our ever hearing
        self._turn.advance(since + longest if since is not None else None, now)
        until = self._turn.until or now
        return any([entry.hold(self._turn.holder, until) for entry in waiting])  # noqa: C419 -- all are told

    def wake_at(self) -> datetime | None:
        """Return when `advance` has something to do."""
        return min((entry.until for entry in self._entries.values()), default=None)

    def shown(self, namespace: str | None) -> tuple[FleetCooldown, ...]:
        """Return the entries as documents for a namespace have them (None: as status has), by scope."""
        return tuple(
            self._entries[scope].shown(namespace) for scope in sorted(self._entries, key=scope_order)
        )

    def _threshold(self, scope: Scope, window: FailureWindow, total: int, now: datetime) -> Finding:
        rules = self.provider.cooldown
        outcome_class = window.worst()
        entry = self._entries.get(scope)
        if entry is None or entry.phase is CooldownPhase.COOLING:
            level = entry.level if entry is not None else 0
            duration_s = class_duration_s(rules, outcome_class)
        else:
            level = min(entry.level + 1, MAX_LEVEL)
            duration_s = retrip_s(
                rules, outcome_class, hint_s=None, level=level, chance=self._chance.random()
            )
        return Finding(
            until=rounded_up(now + timedelta(seconds=duration_s)),
            level=level,
            outcome_class=outcome_class,
            reason=f"{total} failures within {rules.detection_window_s:g} s, mostly {outcome_class}",
            evidence=window.evidence,
        )

    def _trip(self, scope: Scope, finding: Finding, now: datetime) -> bool:
        entry = self._entries.get(scope)
        if entry is None:
            if not self._admissible(scope, self._entries):
                return False
            self._entries[scope] = ScopeCooldown.begin(scope, finding, since=now)
            self.trips.add(now)
            return True
        resting = entry.phase is not CooldownPhase.COOLING
        changed = entry.trip(finding, now)
        if changed and resting:
            self.trips.add(now)
            self._turn.over(scope)
            self.share(now)
        return changed

    def _admissible(self, scope: Scope, table: dict[Scope, Any]) -> bool:
        room = scope in table or len(table) < MAX_SCOPES or scope.kind is ScopeKind.PROVIDER
        return room and has(self.provider, scope)

    def _forget_old_failures(self, now: datetime) -> None:
        """Make room: scopes that failed once, long ago, must not keep others from being counted."""
        window_s = self.provider.cooldown.detection_window_s
        self._windows = {
            scope: window
            for scope, window in self._windows.items()
            if not window.is_over(window_s=window_s, now=now)
        }

    def _way(self) -> Way:
        recovery, check = self.provider.cooldown.recovery, self.provider.health_check
        probe = recovery.probe
        if probe is RecoveryProbe.HEALTH_CHECK and not check.enabled:
            probe = RecoveryProbe.REQUEST
        return Way(
            recovery=recovery,
            probe=probe,
            trial_max=timedelta(seconds=min(self.provider.timeouts.total_s, TRIAL_MAX_S)),
            probe_wait=timedelta(seconds=check.interval_s + check.timeout_s),
        )

    def _all(self) -> list[ScopeCooldown]:
        return list(self._entries.values())

    def _sweep(self, moved: list[ScopeCooldown], now: datetime) -> bool:
        for entry in moved:
            if entry.closed:
                self._drop(entry.scope)
        return self.share(now) or bool(moved)

    def _drop(self, scope: Scope) -> None:
        # Old failures must not trip a scope that has just come back.
        self._turn.over(scope)
        self._entries.pop(scope, None)
        self._windows.pop(scope, None)
