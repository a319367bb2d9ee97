"""Which Kubernetes Events a change of status is worth: transitions only, never a repetition.

`apply` posts them; the regarding object is the one whose status changed.
"""

from dataclasses import dataclass
from typing import Literal

from cliproxy_api.conditions import ConditionType, Reason, clip, find_condition
from cliproxy_api.resources.alertrule import AlertRuleStatus
from cliproxy_api.resources.common import Condition
from cliproxy_api.resources.llmprovider_status import CooldownStatus, LLMProviderStatus
from cliproxy_api.vocabulary import AlertState, ConditionStatus, CooldownPhase

MAX_NOTE_CHARS = 1024
"""The API server's bound for an event's message."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event to post."""

    type: Literal["Normal", "Warning"]
    reason: str
    """One CamelCase word: CoolingDown, HalfOpen, Recovered, Misconfigured, Accepted, Unhealthy, Healthy,
    SnapshotRefused, AlertPending, AlertFiring, AlertResolved, NotificationFailed."""
    message: str


def provider_events(previous: LLMProviderStatus | None, new: LLMProviderStatus) -> tuple[Event, ...]:
    """Return what happened between two statuses of a provider; nothing for the first one if all is well."""
    before = previous or LLMProviderStatus()
    events = [*object_events(before.conditions, new.conditions), *_health(before.conditions, new.conditions)]
    return (*events, *_cooldown(before, new))


def alertrule_events(previous: AlertRuleStatus | None, new: AlertRuleStatus) -> tuple[Event, ...]:
    """Return what happened between two statuses of a rule: who began or ceased to fire, failing channels."""
    before = previous or AlertRuleStatus()
    events = [*object_events(before.conditions, new.conditions)]
    was = {one.provider: one.state for one in before.providers}
    now = {one.provider: one.state for one in new.providers}
    words = (
        (AlertState.PENDING, "Warning", "AlertPending", "the condition holds for"),
        (AlertState.FIRING, "Warning", "AlertFiring", "fires for"),
        (AlertState.INACTIVE, "Normal", "AlertResolved", "is over for"),
    )
    for state, type_, reason, told in words:
        moved = [name for name in now if now[name] is state and was.get(name) is not state]
        if state is AlertState.INACTIVE:
            moved = [name for name in moved if was.get(name) is AlertState.FIRING]
            moved += [name for name in was if name not in now and was[name] is AlertState.FIRING]
        if moved:
            events.append(_event(type_, reason, f"{told} {_named(moved)}"))  # type: ignore[arg-type]
    old = find_condition(before.conditions, ConditionType.DELIVERING)
    told_now = find_condition(new.conditions, ConditionType.DELIVERING)
    failed = told_now is not None and told_now.reason == Reason.NOTIFICATION_FAILED
    if told_now is not None and failed and (old is None or old.reason != told_now.reason):
        events.append(_event("Warning", told_now.reason, told_now.message))
    return tuple(events)


def object_events(before: tuple[Condition, ...], after: tuple[Condition, ...]) -> tuple[Event, ...]:
    """Return what happened to an object of any kind: accepted or not, refused by sidecars."""
    events = []
    old, new = find_condition(before, ConditionType.ACCEPTED), find_condition(after, ConditionType.ACCEPTED)
    if new is not None and (old is None or (old.status, old.reason) != (new.status, new.reason)):
        if new.status is ConditionStatus.FALSE:
            events.append(_event("Warning", "Misconfigured", new.message))
        elif new.reason != Reason.ACCEPTED:
            events.append(_event("Warning", new.reason, new.message))
        elif old is not None:
            events.append(_event("Normal", "Accepted", new.message))
    old, new = find_condition(before, ConditionType.SYNCED), find_condition(after, ConditionType.SYNCED)
    refused = Reason.SNAPSHOT_REFUSED
    if new is not None and new.reason == refused and (old is None or old.reason != refused):
        events.append(_event("Warning", refused, new.message))
    return tuple(events)


def _health(before: tuple[Condition, ...], after: tuple[Condition, ...]) -> list[Event]:
    old, new = find_condition(before, ConditionType.HEALTHY), find_condition(after, ConditionType.HEALTHY)
    was = old.status if old is not None else None
    if new is None or new.status is was:
        return []
    if new.status is ConditionStatus.FALSE:
        return [_event("Warning", "Unhealthy", new.message)]
    if new.status is ConditionStatus.TRUE and was is ConditionStatus.FALSE:
        return [_event("Normal", "Healthy", new.message)]
    return []


def _cooldown(before: LLMProviderStatus, after: LLMProviderStatus) -> list[Event]:
    stage, was = _stage(after), _stage(before)
    told = find_condition(after.conditions, ConditionType.AVAILABLE)
    message = told.message if told is not None else ""
    if stage in ("partly", "wholly") and stage != was and not (stage == "partly" and was == "wholly"):
        return [_event("Warning", "CoolingDown", message)]
    if stage == "waiting" and was in ("partly", "wholly"):
        return [_event("Normal", "HalfOpen", message)]
    if stage == "none" and was != "none":
        return [_event("Normal", "Recovered", f"no cooldown is left; the last was {_last(before.cooldowns)}")]
    return []


def _named(names: list[str]) -> str:
    return ", ".join(sorted(names)[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")  # noqa: PLR2004


def _stage(status: LLMProviderStatus) -> Literal["none", "waiting", "partly", "wholly"]:
    """Return how far out a provider is: something cools (partly, wholly), or only waits and ramps."""
    if not status.cooldowns:
        return "none"
    if not any(entry.phase is CooldownPhase.COOLING for entry in status.cooldowns):
        return "waiting"
    available = find_condition(status.conditions, ConditionType.AVAILABLE)
    wholly = available is not None and available.reason == Reason.COOLING_DOWN
    return "wholly" if wholly else "partly"


def _last(entries: tuple[CooldownStatus, ...]) -> str:
    entry = entries[0]
    word = entry.class_.value if entry.class_ is not None else Reason.MANUAL.value
    since = f" since {entry.since}" if entry.since is not None else ""
    return f"{word}{since}"


def _event(type_: Literal["Normal", "Warning"], reason: str, message: str) -> Event:
    return Event(type_, reason, clip(message or reason, MAX_NOTE_CHARS))
