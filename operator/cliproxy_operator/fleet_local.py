"""Cooldowns that a policy (`scope: Sidecar`) keeps to one sidecar each: heard, shown in status, never shared.

They end with their time or with their sidecar's link; what comes after cooling the sidecar alone knows.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cliproxy_api.report import Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import FleetCooldown
from cliproxy_api.vocabulary import CooldownPhase, CooldownScope
from cliproxy_operator.fleet_facts import MAX_REASON_CHARS, seen_by
from cliproxy_operator.fleet_scope import MAX_LEVEL
from cliproxy_operator.instants import rounded_up
from cliproxy_operator.view import SidecarId

MAX_PER_SIDECAR: Final = 64


class LocalCooldowns:
    """All sidecars' own cooldowns."""

    def __init__(self) -> None:
        self._entries: dict[SidecarId, dict[Scope, FleetCooldown]] = {}

    def put(self, sidecar: SidecarId, cooldown: FleetCooldown) -> None:
        """Note a cooldown, in place of what the sidecar told of the scope before."""
        own = self._entries.setdefault(sidecar, {})
        if cooldown.scope in own or len(own) < MAX_PER_SIDECAR:
            own[cooldown.scope] = cooldown

    def gone(self, sidecar: SidecarId) -> None:
        """Forget a sidecar's."""
        self._entries.pop(sidecar, None)

    def drop(self, provider_id: str) -> None:
        """Forget a provider's."""
        self._keep(lambda cooldown: cooldown.scope.provider != provider_id)

    def expire(self, now: datetime) -> None:
        """Forget what is over."""
        self._keep(lambda cooldown: now < cooldown.until_utc)

    def wake_at(self) -> datetime | None:
        """Return when the next one is over."""
        return min(
            (one.until_utc for own in self._entries.values() for one in own.values()),
            default=None,
        )

    def of(self, provider_id: str) -> tuple[FleetCooldown, ...]:
        """Return a provider's, sorted by end, the last to end first."""
        own = [
            one for own in self._entries.values() for one in own.values() if one.scope.provider == provider_id
        ]
        return tuple(sorted(own, key=lambda one: (one.until_utc, one.evidence.sidecar or ""), reverse=True))

    def _keep(self, wanted: Callable[[FleetCooldown], bool]) -> None:
        kept = {
            sidecar: {scope: one for scope, one in own.items() if wanted(one)}
            for sidecar, own in self._entries.items()
        }
        self._entries = {sidecar: own for sidecar, own in kept.items() if own}


def is_own(report: Tripped, provider: Provider) -> bool:
    """Whether the sidecar keeps this cooldown to itself; a person's word is always for the fleet."""
    by_policy = provider.cooldown.scope is CooldownScope.SIDECAR and report.outcome_class is not None
    return not report.fleet or by_policy


def own(report: Tripped, sidecar: SidecarId, provider: Provider, now: datetime) -> FleetCooldown:
    """Return a sidecar's own cooldown as status shows it."""
    remaining_s = min(max(report.remaining_s, 0.0), provider.cooldown.max_duration_s)
    return FleetCooldown(
        scope=report.scope,
        phase=CooldownPhase.COOLING,
        outcome_class=report.outcome_class,
        reason=report.reason[:MAX_REASON_CHARS],
        since_utc=now,
        until_utc=rounded_up(now + timedelta(seconds=remaining_s)),
        level=min(max(report.level, 0), MAX_LEVEL),
        evidence=seen_by(report.evidence, sidecar),
    )
