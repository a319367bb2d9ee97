"""Limits that come back by the calendar: the month's in UTC, the day's in Los Angeles."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cliproxy_sidecar.core.resets import next_month_s, pacific_midnight_s

PACIFIC = ZoneInfo("America/Los_Angeles")


@pytest.mark.parametrize(
    ("now", "first"),
    [
        (datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 1, 31, tzinfo=UTC), datetime(2028, 2, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)),
    ],
)
def test_the_next_month_begins_at_midnight_utc(now: datetime, first: datetime) -> None:
    assert now + timedelta(seconds=next_month_s(now)) == first


@pytest.mark.parametrize("year", [2026, 2027, 2028, 2033])
def test_pacific_midnight_agrees_with_the_time_zone_data(year: int) -> None:
    now = datetime(year, 1, 1, tzinfo=UTC)
    while now.year == year:
        back = (now + timedelta(seconds=pacific_midnight_s(now))).astimezone(PACIFIC)
        assert (back.hour, back.minute, back.second) == (0, 0, 0)
        assert 0 < pacific_midnight_s(now) <= 25 * 3600
        now += timedelta(hours=11, minutes=30)


def test_at_midnight_the_next_one_counts() -> None:
    assert pacific_midnight_s(datetime(2026, 11, 20, 8, tzinfo=UTC)) == 86_400.0
