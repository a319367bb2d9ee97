"""LLMProvider's status: conditions, phase, cooldowns, health, traffic, sidecars.

The one word and its reason are `phase`'s, cooldowns are `cooldowns`', numbers are `figures`'.
"""

from datetime import datetime

from cliproxy_api.conditions import ConditionType, Reason
from cliproxy_api.resources.llmprovider_status import MAX_COOLDOWNS, LLMProviderStatus
from cliproxy_api.vocabulary import ConditionStatus
from cliproxy_operator.instants import write_instant
from cliproxy_operator.status.common import Conditions, Fact, accepted_fact, sidecar_counts
from cliproxy_operator.status.cooldowns import (
    Outage,
    cooldown_statuses,
    outage,
    sentence,
)
from cliproxy_operator.status.figures import health_status, traffic_status
from cliproxy_operator.status.phase import judge
from cliproxy_operator.validate import Diagnostic
from cliproxy_operator.view import ProviderView


def merge_provider_status(
    previous: LLMProviderStatus | None,
    *,
    generation: int,
    enabled: bool,
    diagnostics: tuple[Diagnostic, ...],
    view: ProviderView,
    now_utc: datetime,
) -> LLMProviderStatus:
    """Return a provider's status.

    `previous` gives `lastTransitionTime`s and keeps figures that have hardly changed. Without it (None)
    everything is new. Idempotent: fed its own result at the same view it returns an equal value (but Unknown
    once sidecars have been silent too long).
    """
    before = previous or LLMProviderStatus()
    out = outage(view)
    verdict = judge(previous, enabled=enabled, diagnostics=diagnostics, view=view, out=out, now_utc=now_utc)
    conditions = Conditions(before.conditions, generation=generation, now_utc=now_utc)
    accepted = accepted_fact(diagnostics, fine=_fine(enabled=enabled))
    standing = view.awaited and conditions.stand(accepted, before.observed_generation)
    conditions.put_configuration(accepted, view.sidecars, standing=standing)
    in_force = enabled and accepted.status is ConditionStatus.TRUE
    conditions.put(ConditionType.HEALTHY, _healthy(view, in_force=in_force))
    conditions.put(ConditionType.AVAILABLE, _available(view, out, accepted, enabled=enabled))
    until = out.until
    return LLMProviderStatus(
        observed_generation=generation,
        phase=verdict.phase,
        reason=verdict.reason or None,
        in_cooldown=out.any_out,
        cooldown_until=write_instant(until) if until is not None else None,
        cooldowns=cooldown_statuses(out.entries),
        last_recovered_time=(
            before.last_recovered_time
            if view.recovered_utc is None
            else write_instant(view.recovered_utc.replace(microsecond=0))  # what comes after it counts
        ),
        health=health_status(view.health, before.health),
        traffic=before.traffic if view.awaited else traffic_status(view.traffic, before.traffic),
        quota=view.quota,
        cost=view.cost,
        sidecars=before.sidecars if standing else sidecar_counts(view.sidecars),
        conditions=conditions.result,
    )


def _fine(*, enabled: bool) -> str:
    return "valid, and what it names exists" if enabled else "valid, but disabled by spec.enabled"


def _healthy(view: ProviderView, *, in_force: bool) -> Fact:
    health = view.health
    why = f": {health.error}" if health.error else ""
    match health.healthy if in_force else None:
        case True if health.consecutive_failures and health.last_success_utc is None:
            return Fact(ConditionStatus.UNKNOWN, Reason.PROBE_FAILED, f"no probe has passed yet{why}")
        case True:
            return Fact(ConditionStatus.TRUE, Reason.PROBE_PASSED, "probes pass")
        case False:
            return Fact(ConditionStatus.FALSE, Reason.PROBE_FAILED, f"probes fail{why}")
        case _:
            message = "no probe has told yet, or spec.healthCheck.enabled is false"
            return Fact(ConditionStatus.UNKNOWN, Reason.NOT_PROBED, message if in_force else "not in force")


def _available(view: ProviderView, out: Outage, accepted: Fact, *, enabled: bool) -> Fact:
    if not enabled:
        return Fact(ConditionStatus.FALSE, Reason.DISABLED, "disabled by spec.enabled")
    if accepted.status is ConditionStatus.FALSE:
        return Fact(ConditionStatus.FALSE, accepted.reason, accepted.message)
    if out.out_everywhere:
        return Fact(ConditionStatus.FALSE, Reason.COOLING_DOWN, _told(out))
    if view.health.healthy is False:
        return Fact(ConditionStatus.FALSE, Reason.PROBE_FAILED, "probes fail, so requests go elsewhere")
    if out.worst is None:
        return Fact(ConditionStatus.TRUE, Reason.AVAILABLE, "requests can go there")
    reason = Reason.PARTLY_COOLING if out.any_out else Reason.RECOVERING
    return Fact(ConditionStatus.TRUE, reason, _told(out))


def _told(out: Outage) -> str:
    told = "; ".join(sentence(entry) for entry in out.entries[:3])
    more = len(out.entries) - 3
    hidden = len(out.entries) - MAX_COOLDOWNS
    if more > 0:
        told += f"; and {more} more" + (f", {hidden} of them not listed in status" if hidden > 0 else "")
    return told
