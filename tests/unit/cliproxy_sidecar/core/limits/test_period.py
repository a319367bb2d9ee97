"""A period's figure: the fleet's word, what was used since, what is reserved; all gone with the period."""

from datetime import UTC, datetime, timedelta

from cliproxy_api.vocabulary import QuotaReset
from cliproxy_sidecar.core.limits.period import Period, Wall

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


def a_day() -> tuple[Period, Wall]:
    wall = Wall(1000.0, NOON)
    return Period(QuotaReset.DAILY, wall, 1000.0), wall


def used_once(period: Period, amount: int, now: float) -> None:
    period.reserve(1)
    period.settle(1, amount, now)


def test_what_is_reserved_counts_until_it_is_settled() -> None:
    period, _ = a_day()
    period.reserve(50)
    assert period.used(1000.0) == 50
    period.settle(50, 20, 1001.0)
    assert period.used(1001.0) == 20


def test_the_operators_figure_holds_what_it_was_told() -> None:
    period, _ = a_day()
    used_once(period, 10, 1001.0)
    period.report()
    used_once(period, 5, 1002.0)
    period.tell(100, MIDNIGHT, 1003.0)
    assert period.used(1003.0) == 105
    assert period.since_told(1003.0) == 5


def test_the_next_period_begins_at_nothing_and_the_last_ones_word_is_passed_over() -> None:
    period, wall = a_day()
    used_once(period, 10, 1001.0)
    assert period.ends(1001.0) == 1000.0 + 12 * 3600
    tomorrow = 1000.0 + 12 * 3600 + 1
    assert period.used(tomorrow) == 0
    assert period.ends_utc == MIDNIGHT + timedelta(days=1)
    period.tell(999, MIDNIGHT, tomorrow)
    assert period.used(tomorrow) == 0
    wall.set(tomorrow, NOON)
    assert period.ends(tomorrow) == tomorrow + 36 * 3600


def test_a_request_counts_in_the_period_in_which_it_ends() -> None:
    period, _ = a_day()
    period.reserve(7)
    tomorrow = 1000.0 + 13 * 3600
    assert period.used(tomorrow) == 7
    period.settle(7, 3, tomorrow)
    assert period.used(tomorrow) == 3
