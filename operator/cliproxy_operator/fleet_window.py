"""Counting over time in bounded memory: failures of a scope, and what happened in the last 24 hours.

Both count in buckets of a fixed width, so that size does not grow with traffic; an event counts until its
whole bucket is too old, that is up to one bucket longer than the window. What lies ahead, as after the wall
clock was set back, does not count: it would for as long as the clock was wrong.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from cliproxy_api.state import Evidence
from cliproxy_api.vocabulary import OutcomeClass

BUCKETS: Final = 60
"""Buckets of a window: 1 s wide for the default detection window of a minute."""
HOURS: Final = 24


class FailureWindow:
    """Failures of one scope within the policy's detection window, fleet-wide."""

    __slots__ = ("_buckets", "evidence")

    def __init__(self) -> None:
        self._buckets: dict[int, Counter[OutcomeClass]] = {}
        self.evidence = Evidence()
        """Of the failure heard last."""

    def add(
        self, outcome_class: OutcomeClass, count: int, *, window_s: float, evidence: Evidence, now: datetime
    ) -> None:
        """Count failures that are told now."""
        width_s = window_s / BUCKETS
        bucket = int(now.timestamp() / width_s)
        self._buckets.setdefault(bucket, Counter())[outcome_class] += count
        self.evidence = evidence
        self._buckets = {
            key: value for key, value in self._buckets.items() if bucket - BUCKETS <= key <= bucket
        }

    def total(self) -> int:
        """Return how many there were within the window, as of the last `add`."""
        return sum(counter.total() for counter in self._buckets.values())

    def is_over(self, *, window_s: float, now: datetime) -> bool:
        """Whether every failure is older than the window."""
        newest = max(self._buckets, default=0)
        return int(now.timestamp() / (window_s / BUCKETS)) > newest + BUCKETS

    def worst(self) -> OutcomeClass:
        """Return the class that failed most, the same one whatever the order was; there must be one."""
        totals: Counter[OutcomeClass] = sum(self._buckets.values(), Counter())
        return max(totals, key=lambda outcome_class: (totals[outcome_class], outcome_class.value))


class DayCount:
    """How often something happened in the last 24 hours, by the hour."""

    __slots__ = ("_hours",)

    def __init__(self) -> None:
        self._hours: dict[int, int] = {}

    def add(self, now: datetime, count: int = 1) -> None:
        """Count something that happens now."""
        hour = _hour(now)
        self._hours[hour] = self._hours.get(hour, 0) + count
        self._hours = {key: value for key, value in self._hours.items() if hour - HOURS < key <= hour}

    def spread(self, now: datetime, count: int) -> None:
        """Put a count of the last 24 hours, known only as a sum, evenly over them; replaces what is known."""
        each, rest = divmod(count, HOURS)
        hour = _hour(now)
        # The remainder goes into the latest hours: forgotten last.
        self._hours = {hour - back: each + (1 if back < rest else 0) for back in range(HOURS)}

    def total(self, now: datetime) -> int:
        """Return the count of the last 24 hours, this one included."""
        hour = _hour(now)
        return sum(count for key, count in self._hours.items() if hour - HOURS < key <= hour)


def _hour(now: datetime) -> int:
    return int(now.timestamp() // timedelta(hours=1).total_seconds())
