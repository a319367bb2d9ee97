"""Status of CooldownPolicy and ProxyProfile: accepted or not, who is concerned."""

from datetime import datetime
from typing import Final

from cliproxy_api.conditions import ConditionType, Reason, clip
from cliproxy_api.resources.cooldownpolicy import CooldownPolicyStatus
from cliproxy_api.resources.proxyprofile import (
    Injection,
    LaggingSidecar,
    ProfileSidecars,
    ProxyProfileStatus,
    UninjectedPod,
)
from cliproxy_api.vocabulary import ConditionStatus
from cliproxy_operator.instants import write_instant
from cliproxy_operator.status.common import MAX_NAMED, Conditions, Fact, accepted_fact, summary
from cliproxy_operator.validate import Diagnostic
from cliproxy_operator.view import InjectionView, Lagging, PolicyView, ProfileView, SidecarsView

MAX_PROVIDERS: Final = 50
MAX_WORST: Final = 10
MAX_MESSAGE_CHARS: Final = 512
MAX_REASON_CHARS: Final = 128


def merge_policy_status(
    previous: CooldownPolicyStatus | None,
    *,
    generation: int,
    diagnostics: tuple[Diagnostic, ...],
    view: PolicyView,
    now_utc: datetime,
) -> CooldownPolicyStatus:
    """Return a CooldownPolicy's status; as `merge_provider_status`."""
    before = previous or CooldownPolicyStatus()
    conditions = Conditions(before.conditions, generation=generation, now_utc=now_utc)
    conditions.put_configuration(accepted_fact(diagnostics, fine="valid"), None)
    return CooldownPolicyStatus(
        observed_generation=generation,
        provider_count=len(view.providers),
        providers=view.providers[:MAX_PROVIDERS],
        active_cooldowns=view.active_cooldowns,
        trips_last_day=view.trips_last_day,
        conditions=conditions.result,
    )


def merge_profile_status(
    previous: ProxyProfileStatus | None,
    *,
    generation: int,
    diagnostics: tuple[Diagnostic, ...],
    view: ProfileView,
    now_utc: datetime,
) -> ProxyProfileStatus:
    """Return a ProxyProfile's status; as `merge_provider_status`."""
    before = previous or ProxyProfileStatus()
    conditions = Conditions(before.conditions, generation=generation, now_utc=now_utc)
    accepted = accepted_fact(diagnostics, fine="valid")
    standing = view.awaited and conditions.stand(accepted, before.observed_generation)
    conditions.put_configuration(accepted, view.sidecars, standing=standing)
    injection = view.injection
    if injection is None and before.injection is not None:
        injection = InjectionView()  # stays, with zeros: 1.20 makes null of a removed object, and refuses it
    if view.surveyed:
        conditions.put_while_known(
            ConditionType.INJECTED, _injected(injection) if injection is not None else None
        )
    shown = _injection(injection) if injection is not None else None
    return ProxyProfileStatus(
        observed_generation=generation,
        sidecars=before.sidecars if standing else _sidecars(view.sidecars),
        consumers=view.consumers,
        injection=shown if view.surveyed else before.injection,
        conditions=conditions.result,
    )


def _sidecars(view: SidecarsView) -> ProfileSidecars:
    return ProfileSidecars(
        total=view.total,
        ready=view.ready,
        synced=view.synced,
        summary=summary(view),
        worst=tuple(_lagging(one) for one in view.lagging[:MAX_WORST]),
    )


def _injection(view: InjectionView) -> Injection:
    return Injection(
        current=view.current,
        stale=view.stale,
        missing=view.missing,
        summary=f"{view.current}/{view.current + view.stale + view.missing}",
        worst=tuple(
            UninjectedPod(
                pod=one.sidecar.pod,
                reason=clip(one.reason, MAX_REASON_CHARS) or None,
                message=clip(one.message, MAX_MESSAGE_CHARS) or None,
                since=write_instant(one.since_utc),
            )
            for one in view.worst[:MAX_WORST]
        ),
    )


def _injected(view: InjectionView) -> Fact:
    if not view.missing and not view.stale:
        every = "every pod that asks for a sidecar has the current one"
        message = every if view.current else "no pod asks for a sidecar at present"
        return Fact(ConditionStatus.TRUE, Reason.INJECTED, message)
    total = view.current + view.stale + view.missing
    message = f"of {total} pods that ask for a sidecar {view.missing} have none and {view.stale} an old one"
    named = [f"{one.sidecar.pod}: {one.message}" for one in view.worst[:MAX_NAMED]]
    reason = Reason.NOT_INJECTED if view.missing else Reason.OUTDATED_SIDECAR
    return Fact(ConditionStatus.FALSE, reason, "; ".join([message, *named]))


def _lagging(one: Lagging) -> LaggingSidecar:
    return LaggingSidecar(
        pod=one.sidecar.pod,
        reason=clip(one.reason, MAX_REASON_CHARS) or None,
        message=clip(one.message, MAX_MESSAGE_CHARS) or None,
        since=write_instant(one.since_utc),
    )
