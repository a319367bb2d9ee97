"""Figures by day and key: cumulative, bounded, told once unless all is asked for."""

from datetime import UTC, datetime, timedelta

from cliproxy_api.report import Used, UsedEntry
from cliproxy_sidecar.core.limits.spending import MAX_ENTRIES, MAX_KEYS, OTHER, Key, Spending
from cliproxy_sidecar.core.usage import Usage

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY: Key = ("team/alpha", "gpt-4o", "web")
TEN = Usage(input=6, output=4)
ROUGHLY_TEN = Usage(input=6, output=4, estimated=True)


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
        input=6 * requests,
        output=4 * requests,
    )


def test_figures_are_cumulative_and_told_when_they_change() -> None:
    spending = Spending()
    assert spending.reports("b", 1.0) == ()
    spending.add(KEY, TEN, 5, NOON)
    assert spending.reports("b", 1.0) == (Used(boot="b", age_s=1.0, entries=(entry("2026-11-30", 1, 5),)),)
    assert spending.reports("b", 2.0) == ()
    spending.add(KEY, ROUGHLY_TEN, 7, NOON)
    assert spending.reports("b", 3.0)[0].entries == (entry("2026-11-30", 2, 12, 7),)
    (standing,) = spending.standing("b", 4.0)
    assert (standing.standing, standing.entries) == (True, (entry("2026-11-30", 2, 12, 7),))


def test_a_day_that_ends_untold_is_told_the_next() -> None:
    spending = Spending()
    spending.add(KEY, TEN, 5, NOON)
    spending.at(NOON + timedelta(days=1))
    spending.add(KEY, TEN, 6, NOON + timedelta(days=1))
    (told,) = spending.reports("b", 1.0)
    assert told.entries == (entry("2026-11-30", 1, 5), entry("2026-12-01", 1, 6))


def test_a_month_is_its_days_together() -> None:
    spending = Spending()
    spending.add(KEY, TEN, 5, NOON - timedelta(days=1))
    spending.add(KEY, TEN, 6, NOON)
    ((key, figures),) = spending.month()
    assert (key, figures.requests, figures.nano_usd) == (KEY, 2, 11)
    assert spending.today[KEY].nano_usd == 6
    spending.at(NOON + timedelta(days=1))
    assert list(spending.month()) == []


def test_keys_are_bounded_and_sums_stay_right() -> None:
    spending = Spending()
    for number in range(MAX_KEYS + 5):
        spending.add(("team/alpha", f"m{number}", ""), Usage(input=1), 1, NOON)
    assert len(spending.today) == MAX_KEYS + 1
    assert spending.today[OTHER, OTHER, OTHER].requests == 5
    lines = spending.reports("b", 1.0)
    assert max(len(line.entries) for line in lines) == MAX_ENTRIES
    assert sum(one.requests for line in lines for one in line.entries) == MAX_KEYS + 5


def test_buckets_are_told_apart_and_what_was_reused_beside_them() -> None:
    spending = Spending()
    spending.add(KEY, Usage(input=1, cached_input=2, cache_write=3, output=4, reasoning=5), 9, NOON)
    spending.reuse(KEY, 7, NOON)
    (told,) = spending.reports("b", 1.0)
    assert told.entries == (
        UsedEntry(
            day="2026-11-30",
            provider="team/alpha",
            model="gpt-4o",
            consumer="web",
            requests=1,
            tokens=15,
            nano_usd=9,
            input=1,
            cached_input=2,
            cache_write=3,
            output=4,
            reasoning=5,
            reused=1,
            saved_nano_usd=7,
        ),
    )
