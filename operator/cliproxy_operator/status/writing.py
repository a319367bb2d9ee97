"""When a status is worth a write to the API server: each is an etcd write and an event for all watchers.

Transitions at once, counts of sidecars after a second, figures after fifteen, timestamps never by themselves.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from cliproxy_api.conditions import ConditionType
from cliproxy_api.resources.alertrule import AlertRuleStatus
from cliproxy_api.resources.common import Condition
from cliproxy_api.resources.cooldownpolicy import CooldownPolicyStatus
from cliproxy_api.resources.llmprovider_status import HealthStatus, LLMProviderStatus
from cliproxy_api.resources.proxyprofile import ProxyProfileStatus

PROGRESS_INTERVAL_S: Final = 1.0
"""Between two writes that only tell how many sidecars have synced: a roll-out is not 500 writes."""
FIGURES_INTERVAL_S: Final = 15.0
"""Between two writes that only tell figures."""

S = TypeVar("S", LLMProviderStatus, CooldownPolicyStatus, ProxyProfileStatus, AlertRuleStatus)

_PROGRESS: Final = frozenset({"sidecars", "injection", "provider_count", "providers"})
_FIGURES: Final = frozenset(
    {"health", "traffic", "quota", "cost", "consumers", "active_cooldowns", "trips_last_day"}
)
_COUNTING: Final = frozenset(
    {ConditionType.SYNCED, ConditionType.INJECTED, ConditionType.READY, ConditionType.RECONCILING}
)
"""Conditions whose messages count sidecars."""


def worth_writing(previous: S | None, new: S, *, last_write: float | None, now: float) -> float | None:
    """Return when to write `new` over `previous` (what the API server holds); None: not at all.

    Instants are monotonic seconds; at most `now` means now. `last_write` is when this object's status was
    last written by us, None if it never was. A later merge may change the answer: ask again at each.
    """
    if previous is None or _transitions(previous) != _transitions(new):
        return now
    if _progress(previous) != _progress(new):
        interval_s = PROGRESS_INTERVAL_S
    elif _figures(previous) != _figures(new):
        interval_s = FIGURES_INTERVAL_S
    else:
        return None
    return now if last_write is None else max(now, last_write + interval_s)


def _transitions(status: msgspec.Struct) -> dict[str, Any]:
    if isinstance(status, AlertRuleStatus):
        return _alerts(status)
    fields = _fields(status, lambda name: name not in _PROGRESS | _FIGURES)
    fields["conditions"] = [_said(entry, counting=True) for entry in fields["conditions"]]
    return fields


def _progress(status: msgspec.Struct) -> dict[str, Any]:
    if isinstance(status, AlertRuleStatus):
        return {}
    fields = _fields(status, lambda name: name in _PROGRESS or name == "conditions")
    fields["conditions"] = [_said(entry, counting=False) for entry in fields["conditions"]]
    return fields


def _alerts(status: AlertRuleStatus) -> dict[str, Any]:
    """Return all of an AlertRule but what moves while nothing happens: what is not known, how long calm."""
    fields = _fields(status, lambda _name: True)
    fields["conditions"] = [_said(entry, counting=False) for entry in status.conditions]
    fields["providers"] = [
        msgspec.structs.replace(one, clear_since=None, unknown=()) for one in status.providers
    ]
    return fields


def _figures(status: msgspec.Struct) -> dict[str, Any]:
    if isinstance(status, AlertRuleStatus):
        return {"providers": status.providers}
    fields = _fields(status, lambda name: name in _FIGURES)
    health = fields.get("health")
    if isinstance(health, HealthStatus):
        fields["health"] = msgspec.structs.replace(health, last_check=None, last_success=None)
    return fields


def _said(entry: Condition, *, counting: bool) -> tuple[Any, ...]:
    """Return what a condition says, without its time, and without the message if that counts."""
    silent = counting and entry.type in _COUNTING
    return (
        entry.type,
        entry.status,
        entry.reason,
        entry.observed_generation,
        None if silent else entry.message,
    )


def _fields(status: msgspec.Struct, wanted: Callable[[str], bool]) -> dict[str, Any]:
    return {name: getattr(status, name) for name in status.__struct_fields__ if wanted(name)}
