"""Periods in UTC: when they begin and end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.periods import period_end, period_start
from cliproxy_api.vocabulary import QuotaReset

AT = datetime(2026, 11, 21, 13, 30, 5, 7, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("reset", "start", "end"),
    [
        (QuotaReset.DAILY, (2026, 11, 21), (2026, 11, 22)),
        (QuotaReset.WEEKLY, (2026, 11, 16), (2026, 11, 23)),
        (QuotaReset.MONTHLY, (2026, 11, 1), (2026, 12, 1)),
    ],
)
def test_a_period_has_a_first_and_a_next_midnight(
    reset: QuotaReset, start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    assert period_start(reset, AT) == datetime(*start, tzinfo=UTC)
    assert period_end(reset, AT) == datetime(*end, tzinfo=UTC)


@pytest.mark.parametrize("month", range(1, 13))
def test_months_of_any_length_end_with_the_first_of_the_next(month: int) -> None:
    end = period_end(QuotaReset.MONTHLY, datetime(2027, month, 28, tzinfo=UTC))
    assert (end.day, end.month) == (1, month % 12 + 1)


@given(
    reset=st.sampled_from(QuotaReset),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_periods_follow_each_other_without_gap(reset: QuotaReset, at: datetime) -> None:
    start, end = period_start(reset, at), period_end(reset, at)
    assert start <= at < end
    assert period_start(reset, end) == end
    assert period_end(reset, end - timedelta(microseconds=1)) == end
