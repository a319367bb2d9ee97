"""Figures as status shows them: coarse, and standing still while they hardly change.

A figure is rounded to two significant digits and keeps its former value until it has moved by a fifth of it;
what reaches or leaves 0 always shows. Exact figures are in `/metrics`.
"""

from cliproxy_api.percentile import average_ms, percentile_ms
from cliproxy_api.report import ProviderTraffic
from cliproxy_api.resources.llmprovider_status import HealthStatus, TrafficStatus
from cliproxy_operator.instants import write_instant
from cliproxy_operator.view import HealthView

CHANGE_SHARE = 0.2
"""Smaller changes are not shown."""
UPTIME_STEP_PERCENT = 0.5
"""The same for uptime, in points: 99.9 or 99.7 is the same news."""
P95 = 0.95
DECADE = 10


def coarse(value: float | None, before: int | None) -> int | None:
    """Return the figure to show; `before` is what is shown now."""
    if value is None:
        return None
    rounded = two_digits(value)
    if before is None or 0 in (rounded, before):
        return rounded
    return before if abs(rounded - before) < CHANGE_SHARE * before else rounded


def two_digits(value: float) -> int:
    """Return the number, at least 0, rounded to two significant digits; whole numbers below 100 exactly."""
    number = max(round(value), 0)
    step = 1
    while number >= DECADE * DECADE * step:
        step *= DECADE
    return (number + step // 2) // step * step


def traffic_status(view: ProviderTraffic | None, before: TrafficStatus | None) -> TrafficStatus | None:
    """Return the traffic of the last minute; None while nobody has reported any."""
    if view is None:
        return None
    old = before or TrafficStatus()
    return TrafficStatus(
        requests_last_minute=coarse(view.requests, old.requests_last_minute),
        errors_last_minute=coarse(view.errors, old.errors_last_minute),
        average_latency_ms=coarse(average_ms(view), old.average_latency_ms),
        p95_latency_ms=coarse(percentile_ms(view.latency_buckets, P95), old.p95_latency_ms),
        tokens_last_minute=coarse(view.tokens, old.tokens_last_minute),
    )


def health_status(view: HealthView, before: HealthStatus | None) -> HealthStatus | None:
    """Return what probes told; None while none has ended."""
    if view.last_check_utc is None:
        return None
    old = before or HealthStatus()
    return HealthStatus(
        last_check=write_instant(view.last_check_utc),
        last_success=write_instant(view.last_success_utc) if view.last_success_utc is not None else None,
        consecutive_failures=coarse(view.consecutive_failures, old.consecutive_failures),
        error_count=coarse(view.error_count, old.error_count),
        uptime_percent=_uptime(view.uptime_percent, old.uptime_percent),
    )


def _uptime(value: float | None, before: float | None) -> float | None:
    if value is None:
        return None
    rounded = round(value, 1)
    at_an_end = rounded in (0.0, 100.0)
    return before if before is not None and not at_an_end and _is_near(rounded, before) else rounded


def _is_near(value: float, before: float) -> bool:
    return abs(value - before) < UPTIME_STEP_PERCENT
