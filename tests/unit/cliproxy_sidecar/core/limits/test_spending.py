"""Figures by day and key: cumulative, bounded, told once unless all is asked for."""

from datetime import UTC, datetime, timedelta

from cliproxy_api.report import Used, UsedEntry
from cliproxy_sidecar.core.limits.spending import MAX_ENTRIES, MAX_KEYS, OTHER, Key, Spending

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY: Key = ("team/alpha", "gpt-4o", "web")


def entry(day: str, requests: int, nano_usd: int, estimated: int = 0) -> UsedEntry:
    return UsedEntry(
        day=day,
        provider="team/alpha",
        model="gpt-4o",
        consumer="web",
        requests=requests,
        tokens=10 * requests,
        nano_usd=nano_usd,
        estimated_nano_usd=estimated,
    )


def test_figures_are_cumulative_and_told_when_they_change() -> None:
    spending = Spending()
    assert spending.reports("b", 1.0) == ()
    spending.add(KEY, 10, 5, NOON, estimated=False)
    assert spending.reports("b", 1.0) == (Used(boot="b", age_s=1.0, entries=(entry("2026-11-30", 1, 5),)),)
    assert spending.reports("b", 2.0) == ()
    spending.add(KEY, 10, 7, NOON, estimated=True)
    assert spending.reports("b", 3.0)[0].entries == (entry("2026-11-30", 2, 12, 7),)
    (standing,) = spending.standing("b", 4.0)
    assert (standing.standing, standing.entries) == (True, (entry("2026-11-30", 2, 12, 7),))


def test_a_day_that_ends_untold_is_told_the_next() -> None:
    spending = Spending()
    spending.add(KEY, 10, 5, NOON, estimated=False)
    spending.at(NOON + timedelta(days=1))
    spending.add(KEY, 10, 6, NOON + timedelta(days=1), estimated=False)
    (told,) = spending.reports("b", 1.0)
    assert told.entries == (entry("2026-11-30", 1, 5), entry("2026-12-01", 1, 6))


def test_a_month_is_its_days_together() -> None:
    spending = Spending()
    spending.add(KEY, 10, 5, NOON - timedelta(days=1), estimated=False)
    spending.add(KEY, 10, 6, NOON, estimated=False)
    ((key, figures),) = spending.month()
    assert (key, figures.requests, figures.nano_usd) == (KEY, 2, 11)
    assert spending.today[KEY].nano_usd == 6
    spending.at(NOON + timedelta(days=1))
    assert list(spending.month()) == []


def test_keys_are_bounded_and_sums_stay_right() -> None:
    spending = Spending()
    for number in range(MAX_KEYS + 5):
        spending.add(("team/alpha", f"m{number}", ""), 1, 1, NOON, estimated=False)
    assert len(spending.today) == MAX_KEYS + 1
    assert spending.today[OTHER, OTHER, OTHER].requests == 5
    lines = spending.reports("b", 1.0)
    assert max(len(line.entries) for line in lines) == MAX_ENTRIES
    assert sum(one.requests for line in lines for one in line.entries) == MAX_KEYS + 5
