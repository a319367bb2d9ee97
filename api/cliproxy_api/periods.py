"""Days, weeks and months in which quotas, budgets and costs are counted, in UTC: when one begins and ends.

What is counted in them is left to others.
"""

from datetime import datetime, timedelta
from typing import assert_never

from cliproxy_api.vocabulary import QuotaReset


def period_start(reset: QuotaReset, at_utc: datetime) -> datetime:
    """Return the midnight with which the period began that `at_utc` (aware, UTC) lies in."""
    midnight = at_utc.replace(hour=0, minute=0, second=0, microsecond=0)
    match reset:
        case QuotaReset.DAILY:
            return midnight
        case QuotaReset.WEEKLY:
            return midnight - timedelta(days=midnight.weekday())
        case QuotaReset.MONTHLY:
            return midnight.replace(day=1)
        case _:
            assert_never(reset)


def period_end(reset: QuotaReset, at_utc: datetime) -> datetime:
    """Return the midnight with which the period ends, that is, with which the next one begins."""
    start = period_start(reset, at_utc)
    match reset:
        case QuotaReset.DAILY:
            return start + timedelta(days=1)
        case QuotaReset.WEEKLY:
            return start + timedelta(days=7)
        case QuotaReset.MONTHLY:
            return (start + timedelta(days=31)).replace(day=1)
        case _:
            assert_never(reset)
