"""Calendar instants at which providers' long limits come back.

Reading what a provider says about time belongs to `hints`; these are the limits that come without a time.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

_SUNDAY: Final = 6


def next_month_s(now_utc: datetime) -> float:
    """Return the seconds until the 1st of the next month, 00:00 UTC.

    Source: Anthropic API documentation, spend limits (read 2026-11).
    """
    first = now_utc.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return (following - now_utc).total_seconds()


def pacific_midnight_s(now_utc: datetime) -> float:
    """Return the seconds until the next midnight in Los Angeles, when Gemini's daily quotas come back.

    The daylight-saving rule in force since 2007 (second Sunday of March to first Sunday of November, at
    02:00) is written out: slim images carry no time zone data, and `zoneinfo` would fail there. Should the
    rule change, the answer is an hour off for part of the year, and the trial call finds out.
    Source: Gemini API documentation, rate limits (read 2026-11).
    """
    day = (now_utc - timedelta(hours=9)).date()
    while (midnight := _pacific_midnight(day)) <= now_utc:
        day += timedelta(days=1)
    return (midnight - now_utc).total_seconds()


def _pacific_midnight(day: date) -> datetime:
    # The clocks change at 02:00, so the midnight of a changing day still has the old offset.
    summer = _sunday(day.year, 3, 2) < day <= _sunday(day.year, 11, 1)
    return datetime(day.year, day.month, day.day, 7 if summer else 8, tzinfo=UTC)


def _sunday(year: int, month: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(_SUNDAY - first.weekday()) % 7 + 7 * (number - 1))
