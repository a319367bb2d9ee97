"""Cooldowns as status writes them -> findings, so that a new leader goes on where the last one stopped.

Deadlines come back exactly as written. What cannot be read (somebody else's edit) is left out.
"""

from dataclasses import dataclass
from datetime import datetime

from cliproxy_api.resources.llmprovider_status import CooldownStatus
from cliproxy_api.resources.llmprovider_status import Evidence as EvidenceStatus
from cliproxy_api.scope import Scope
from cliproxy_api.state import Evidence
from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_operator.fleet_scope import Finding
from cliproxy_operator.instants import read_instant, rounded_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """One entry of an earlier leader."""

    scope: Scope
    finding: Finding
    since: datetime
    phase: CooldownPhase
    share_percent: int


def read_cooldown(provider_id: str, status: CooldownStatus, now: datetime) -> Restored | None:
    """Return the entry; None if its parts do not fit together.

    A half-open one has no end: it comes back with the present one, and whose trial it is has to be heard.
    """
    scope = Scope(provider=provider_id, credential=status.credential, model=status.model)
    if scope.kind is not status.scope:
        return None
    phase = status.phase or CooldownPhase.COOLING
    until = read_instant(status.until)
    if until is None:
        if phase is not CooldownPhase.HALF_OPEN:
            return None
        until = now.replace(microsecond=0)
    return Restored(
        scope=scope,
        finding=Finding(
            until=rounded_up(until),
            level=status.level or 0,
            outcome_class=status.class_,
            reason=status.reason or "",
            evidence=_evidence(status.evidence),
        ),
        since=read_instant(status.since) or now,
        phase=phase,
        share_percent=status.share_percent or 0,
    )


def _evidence(status: EvidenceStatus | None) -> Evidence:
    if status is None:
        return Evidence()
    return Evidence(status=status.status, code=status.code, header=status.header, sidecar=status.sidecar)
