"""Cooldowns as a provider's status lists them, and how much of the provider they take out.

Deadlines are written as the fleet has them, so that the next leader reads back what this one knew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from cliproxy_api.conditions import Reason, clip
from cliproxy_api.resources.llmprovider_status import MAX_COOLDOWNS, CooldownStatus
from cliproxy_api.resources.llmprovider_status import Evidence as EvidenceStatus
from cliproxy_api.state import Evidence, FleetCooldown
from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_operator.instants import write_instant
from cliproxy_operator.view import ProviderView

MAX_REASON_CHARS = 256
MAX_EVIDENCE_CHARS = 128
_OUT = (CooldownPhase.COOLING, CooldownPhase.HALF_OPEN)
_WORST_FIRST = {CooldownPhase.COOLING: 0, CooldownPhase.HALF_OPEN: 1, CooldownPhase.RAMP: 2}


@dataclass(frozen=True, slots=True)
class Outage:
    """What cooldowns do to a provider now."""

    entries: tuple[FleetCooldown, ...]
    """All of them, worst first."""
    out_everywhere: bool
    """Whether no target of the provider may be used by anybody."""

    @property
    def worst(self) -> FleetCooldown | None:
        """The entry that is told first."""
        return self.entries[0] if self.entries else None

    @property
    def any_out(self) -> bool:
        """Whether anything sits out, for anybody."""
        return any(entry.phase in _OUT for entry in self.entries)

    @property
    def until(self) -> datetime | None:
        """When the latest cooling ends; None: nothing cools (a trial or a ramp may be under way)."""
        cooling = [entry.until_utc for entry in self.entries if entry.phase is CooldownPhase.COOLING]
        return max(cooling, default=None)


def outage(view: ProviderView) -> Outage:
    """Weigh a provider's cooldowns against its targets."""
    entries = tuple(sorted((*view.cooldowns, *view.local_cooldowns), key=_badness))
    return Outage(entries=entries, out_everywhere=_covers_all(view))


def cooldown_statuses(entries: Iterable[FleetCooldown]) -> tuple[CooldownStatus, ...]:
    """Return the worst 50 as status lists them."""
    return tuple(_status(entry) for entry in list(entries)[:MAX_COOLDOWNS])


def reason_word(entry: FleetCooldown) -> str:
    """Return why in one CamelCase word: the class of failure, or Manual."""
    return entry.outcome_class.value if entry.outcome_class is not None else Reason.MANUAL.value


def sentence(entry: FleetCooldown) -> str:
    """Return one entry for people: what, until when, why."""
    parts = [
        part
        for part in (_part("credential", entry.scope.credential), _part("model", entry.scope.model))
        if part
    ]
    what = " with ".join(parts[::-1]) or "everything"
    match entry.phase:
        case CooldownPhase.COOLING:
            how = f"cools until {write_instant(entry.until_utc)}"
        case CooldownPhase.HALF_OPEN:
            how = "has cooled and waits for a trial to pass"
        case CooldownPhase.RAMP:
            how = f"gets {entry.share_percent} % of its traffic again"
        case _:
            assert_never(entry.phase)
    reason = clip(entry.reason, MAX_REASON_CHARS)
    return f"{what} {how} ({reason_word(entry)}{': ' + reason if reason else ''})"


def _covers_all(view: ProviderView) -> bool:
    # By parts, not scope by scope: ten thousand targets and hundreds of scopes would take seconds.
    out = {(entry.scope.credential, entry.scope.model) for entry in view.cooldowns if entry.phase in _OUT}
    provider = view.provider
    if not out or provider is None:
        return False
    if (None, None) in out:
        return True
    # A provider without keys is one target per model.
    names = [credential.name for credential in provider.credentials] or [""]
    credentials = [name for name in names if (name, None) not in out]
    models = [one.upstream_name for one in provider.models if (None, one.upstream_name) not in out]
    return all((name, model) in out for name in credentials for model in models)


def _badness(entry: FleetCooldown) -> tuple[int, int, float, str, str]:
    scope = entry.scope
    parts = (scope.credential is not None) + (scope.model is not None)
    # The widest scope first, then the one that lasts longest.
    return (
        _WORST_FIRST[entry.phase],
        parts,
        -entry.until_utc.timestamp(),
        scope.credential or "",
        scope.model or "",
    )


def _status(entry: FleetCooldown) -> CooldownStatus:
    half_open = entry.phase is CooldownPhase.HALF_OPEN
    return CooldownStatus(
        scope=entry.scope.kind,
        credential=entry.scope.credential,
        model=entry.scope.model,
        class_=entry.outcome_class,
        phase=entry.phase,
        reason=clip(entry.reason, MAX_REASON_CHARS) or None,
        since=write_instant(entry.since_utc),
        # When a permit moves from sidecar to sidecar is nobody's news.
        until=None if half_open else write_instant(entry.until_utc),
        level=entry.level or None,
        share_percent=entry.share_percent if entry.phase is CooldownPhase.RAMP else None,
        evidence=_evidence(entry.evidence),
    )


def _evidence(evidence: Evidence) -> EvidenceStatus | None:
    status = evidence.status
    shown = EvidenceStatus(
        status=status if status is not None and 100 <= status <= 599 else None,  # noqa: PLR2004 -- HTTP's range
        code=clip(evidence.code or "", MAX_EVIDENCE_CHARS) or None,
        header=clip(evidence.header or "", MAX_EVIDENCE_CHARS) or None,
        sidecar=evidence.sidecar or None,
    )
    return shown if shown != EvidenceStatus() else None


def _part(name: str, value: str | None) -> str:
    return f"{name} {value}" if value is not None else ""
