"""AlertRule's status: conditions, where the alert stands for each provider, how channels took it.

The states are `alerts`'; here they are counted, listed and put beside the conditions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from cliproxy_api.conditions import ConditionType, Reason
from cliproxy_api.resources.alertrule import AlertRuleStatus, ChannelStatus
from cliproxy_api.vocabulary import AlertState, ConditionStatus, Delivery
from cliproxy_operator.alerts.restoring import channel_statuses, provider_alerts, state_counts
from cliproxy_operator.alerts.rule import RuleAlerts
from cliproxy_operator.status.common import MAX_NAMED, Conditions, Fact, accepted_fact
from cliproxy_operator.validate import Diagnostic

_MISSING = (Reason.SECRET_NOT_FOUND.value, Reason.SECRET_KEY_NOT_FOUND.value)


@dataclass(frozen=True, slots=True)
class Export:
    """How exporting a rule stands."""

    name: str | None
    """The PrometheusRule that is in place."""
    fact: Fact | None
    """Condition Exported; None: nothing is asked for."""


def merge_alertrule_status(
    previous: AlertRuleStatus | None,
    *,
    generation: int,
    diagnostics: tuple[Diagnostic, ...],
    alerts: RuleAlerts | None,
    export: Export | None = None,
    now_utc: datetime,
) -> AlertRuleStatus:
    """Return an AlertRule's status; as `merge_provider_status`.

    `alerts` None: not judged yet (or never accepted); what an earlier leader wrote stands. So with `export`.
    """
    before = previous or AlertRuleStatus()
    found = before if alerts is None else _judged(before, alerts)
    conditions = Conditions(before.conditions, generation=generation, now_utc=now_utc)
    accepted = accepted_fact(diagnostics, fine="valid")
    conditions.put_configuration(accepted, None)
    missing = [one for one in diagnostics if one.reason in _MISSING]
    if missing and accepted.status is ConditionStatus.TRUE:
        told = "; ".join(str(one) for one in missing[:MAX_NAMED])
        conditions.put(ConditionType.READY, Fact(ConditionStatus.FALSE, missing[0].reason, told))
        conditions.put_while_true(ConditionType.STALLED, Fact(ConditionStatus.TRUE, missing[0].reason, told))
    conditions.put(ConditionType.DELIVERING, _delivering(found.channels))
    if export is not None:
        found = msgspec.structs.replace(found, exported=export.name)
        conditions.put_while_known(ConditionType.EXPORTED, export.fact)
    return msgspec.structs.replace(found, observed_generation=generation, conditions=conditions.result)


def _judged(before: AlertRuleStatus, alerts: RuleAlerts) -> AlertRuleStatus:
    firing, pending = state_counts(alerts.entries.values())
    worst = AlertState.FIRING if firing else AlertState.PENDING if pending else AlertState.INACTIVE
    return msgspec.structs.replace(
        before,
        state=worst,
        firing=firing,
        pending=pending,
        providers=provider_alerts(alerts),
        channels=channel_statuses(alerts),
    )


def _delivering(channels: Iterable[ChannelStatus]) -> Fact:
    known = [one for one in channels if one.result is not None]
    failed = [one for one in known if one.result is Delivery.FAILED]
    if failed:
        told = "; ".join(f"{one.name}: {one.message} (since {one.at})" for one in failed[:MAX_NAMED])
        return Fact(ConditionStatus.FALSE, Reason.NOTIFICATION_FAILED, told)
    if known:
        notes = "".join(f"; {one.name}: {one.message}" for one in known if one.message)
        told = f"every channel took its last notification{notes}"
        return Fact(ConditionStatus.TRUE, Reason.DELIVERED, told)
    return Fact(ConditionStatus.UNKNOWN, Reason.NOTHING_TOLD, "there was nothing to tell yet")
