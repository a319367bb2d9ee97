"""What active probes tell about one provider: the verdict, and the share that passed in the last 24 hours.

Thresholds are the probing sidecar's (it sends the verdict); who probes is `fleet_duty`'s. Verdicts grow old:
a provider that nobody probes any more is not unhealthy for ever.
"""

from datetime import datetime, timedelta
from typing import Final

from cliproxy_api.conditions import ConditionType, find_condition
from cliproxy_api.report import Probed
from cliproxy_api.resources.llmprovider_status import HealthStatus, LLMProviderStatus
from cliproxy_api.snapshot import HealthCheck
from cliproxy_api.vocabulary import ConditionStatus
from cliproxy_operator.fleet_window import DayCount
from cliproxy_operator.instants import read_instant
from cliproxy_operator.view import HealthView

MISSED_PROBES: Final = 3
"""So many results that should have come and did not make a verdict stale."""
MIN_STALE: Final = timedelta(minutes=2)
"""A verdict lasts at least so long: a probe moves to another sidecar within it."""
MAX_ERROR_CHARS: Final = 256


class ProviderHealth:
    """Health of one provider; begins unknown."""

    __slots__ = (
        "_error",
        "_failed",
        "_failures",
        "_last_check",
        "_last_success",
        "_passed",
        "_stale",
        "healthy",
    )

    def __init__(self) -> None:
        self.healthy: bool | None = None
        """The verdict; None: unknown."""
        self._last_check: datetime | None = None
        self._last_success: datetime | None = None
        self._failures = 0
        self._error = ""
        self._passed = DayCount()
        self._failed = DayCount()
        self._stale: datetime | None = None

    def record(self, probed: Probed, check: HealthCheck, now: datetime) -> bool:
        """Take one result; return whether the verdict changed."""
        before, self.healthy = self.healthy, probed.healthy
        self._last_check = now
        self._stale = now + stale_after(check)
        if probed.ok:
            self._last_success, self._failures, self._error = now, 0, ""
            self._passed.add(now)
        else:
            self._failures += 1
            self._error = probed.error[:MAX_ERROR_CHARS]
            self._failed.add(now)
        return before != self.healthy

    def forget(self) -> bool:
        """Drop the verdict (the figures stay); return whether there was one."""
        changed, self.healthy, self._stale = self.healthy is not None, None, None
        return changed

    def expire(self, now: datetime) -> bool:
        """Drop a stale verdict; return whether it did."""
        return self._stale is not None and now >= self._stale and self.forget()

    def expires_at(self) -> datetime | None:
        """Return when the verdict grows stale; None: there is none."""
        return self._stale

    def restore(self, status: LLMProviderStatus, check: HealthCheck, now: datetime) -> bool:
        """Take over what an earlier leader wrote; return whether that is a verdict.

        The verdict stands until it would grow stale; the last day is rebuilt as evenly as its sums allow.
        """
        healthy = find_condition(status.conditions, ConditionType.HEALTHY)
        known = healthy is not None and healthy.status is not ConditionStatus.UNKNOWN
        if known and healthy is not None and check.enabled:
            self.healthy = healthy.status is ConditionStatus.TRUE
            self._stale = now + stale_after(check)
        if status.health is not None:
            self._restore_figures(status.health, check, now)
        return self.healthy is not None

    def _restore_figures(self, status: HealthStatus, check: HealthCheck, now: datetime) -> None:
        self._last_check = read_instant(status.last_check)
        self._last_success = read_instant(status.last_success)
        self._failures = status.consecutive_failures or 0
        if status.uptime_percent is None:
            return
        failed = status.error_count or 0
        share = status.uptime_percent / 100
        day = round(timedelta(days=1).total_seconds() / check.interval_s)
        # Failures and their share give the number of probes; without failures a full day of them is assumed.
        total = round(failed / (1 - share)) if failed and share < 1 else day
        self._failed.spread(now, failed)
        self._passed.spread(now, max(total - failed, 0))

    def view(self, now: datetime) -> HealthView:
        """Return the figures as of now."""
        passed, failed = self._passed.total(now), self._failed.total(now)
        return HealthView(
            healthy=self.healthy,
            last_check_utc=self._last_check,
            last_success_utc=self._last_success,
            consecutive_failures=self._failures,
            error_count=failed,
            uptime_percent=100 * passed / (passed + failed) if passed + failed else None,
            error=self._error,
        )


def stale_after(check: HealthCheck) -> timedelta:
    """Return how long a verdict holds without another result."""
    return max(timedelta(seconds=MISSED_PROBES * check.interval_s + check.timeout_s), MIN_STALE)
