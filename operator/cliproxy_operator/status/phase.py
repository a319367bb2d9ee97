"""A provider's state in one word, and why in another: what `kubectl get` shows.

The worst true thing wins: Disabled, Misconfigured, CoolingDown, Unhealthy, Unknown, Degraded, Healthy.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cliproxy_api.conditions import ConditionType, Reason, find_condition
from cliproxy_api.report import ProviderTraffic
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.vocabulary import ConditionStatus, ProviderPhase
from cliproxy_operator.instants import read_instant
from cliproxy_operator.status.cooldowns import Outage, reason_word
from cliproxy_operator.validate import Diagnostic, Severity
from cliproxy_operator.view import ProviderView

SILENCE: Final = timedelta(seconds=60)
"""So long the last known phase stands while no sidecar is connected: a new leader needs a moment."""
MIN_REQUESTS: Final = 10
"""Fewer requests in a minute say nothing about an error rate."""
BAD_SHARE: Final = 0.25
"""Errors above this share degrade a provider ..."""
GOOD_SHARE: Final = 0.1
"""... until they are below this one, so that it does not flap."""

KNOWN: Final = (ProviderPhase.HEALTHY, ProviderPhase.DEGRADED)
"""What sidecars have told, and stands while they are silent for a moment."""
_HEARD: Final = (*KNOWN, ProviderPhase.COOLING_DOWN, ProviderPhase.UNHEALTHY)
"""What is said only of a provider that some sidecar runs."""
_KEYS_MISSING: Final = (Reason.SECRET_NOT_FOUND.value, Reason.SECRET_KEY_NOT_FOUND.value)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Phase and reason; no reason for Healthy."""

    phase: ProviderPhase
    reason: str | None = None


def judge(
    previous: LLMProviderStatus | None,
    *,
    enabled: bool,
    diagnostics: tuple[Diagnostic, ...],
    view: ProviderView,
    out: Outage,
    now_utc: datetime,
) -> Verdict:
    """Return the phase of a provider."""
    refused = first(diagnostics, Severity.ERROR)
    if not enabled:
        return Verdict(ProviderPhase.DISABLED, Reason.DISABLED)
    if refused is not None:
        return Verdict(ProviderPhase.MISCONFIGURED, refused.reason)
    if out.out_everywhere and out.worst is not None:
        return Verdict(ProviderPhase.COOLING_DOWN, reason_word(out.worst))
    if view.health.healthy is False:
        return Verdict(ProviderPhase.UNHEALTHY, Reason.PROBE_FAILED)
    before = previous.phase if previous is not None and view.awaited else None
    if not view.reported and before not in _HEARD:
        return _unheard(previous, view, now_utc)
    if previous is not None and before in KNOWN and out.worst is None:
        degraded = previous.reason  # some sidecars' figures are not all sidecars'
    else:
        degraded = _degradation(previous, diagnostics, view, out)
    return Verdict(ProviderPhase.DEGRADED, degraded) if degraded else Verdict(ProviderPhase.HEALTHY)


def first(diagnostics: Iterable[Diagnostic], severity: Severity) -> Diagnostic | None:
    """Return the first diagnostic of this severity."""
    return next((one for one in diagnostics if one.severity is severity), None)


def _unheard(previous: LLMProviderStatus | None, view: ProviderView, now: datetime) -> Verdict:
    if not view.sidecars.total:
        return Verdict(ProviderPhase.UNKNOWN, Reason.NO_SIDECARS)
    synced = find_condition(previous.conditions, ConditionType.SYNCED) if previous is not None else None
    if previous is None or previous.phase is None or synced is None:
        return Verdict(ProviderPhase.UNKNOWN, Reason.NOT_CONNECTED)
    since = read_instant(synced.last_transition_time)
    silent = synced.status is not ConditionStatus.TRUE and (since is None or now - since > SILENCE)
    if view.silent_s is not None:  # they may run what they should, and nobody can tell
        silent = silent or view.silent_s > SILENCE.total_seconds()
    if silent or previous.phase not in KNOWN:
        return Verdict(ProviderPhase.UNKNOWN, Reason.NOT_CONNECTED)
    return Verdict(previous.phase, previous.reason)


def _degradation(
    previous: LLMProviderStatus | None, diagnostics: tuple[Diagnostic, ...], view: ProviderView, out: Outage
) -> str | None:
    if out.any_out and out.worst is not None:
        return reason_word(out.worst)
    if out.worst is not None:
        return Reason.RECOVERING
    missing = next((one for one in diagnostics if one.reason in _KEYS_MISSING), None)
    if missing is not None:
        return missing.reason
    if view.health.consecutive_failures and view.health.last_success_utc is None:
        # Never seen to answer: not yet unhealthy by its threshold, but nothing to call healthy.
        return Reason.PROBE_FAILED
    was_bad = previous is not None and previous.reason == Reason.ERROR_RATE
    return Reason.ERROR_RATE if _is_failing(view.traffic, was_bad=was_bad) else None


def _is_failing(traffic: ProviderTraffic | None, *, was_bad: bool) -> bool:
    if traffic is None or traffic.requests < MIN_REQUESTS:
        return False
    return traffic.errors / traffic.requests > (GOOD_SHARE if was_bad else BAD_SHARE)
