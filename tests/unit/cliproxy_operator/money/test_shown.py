"""Quota, cost and consumers in status: steady, and good enough to begin with after a restart."""

from datetime import UTC, datetime, timedelta

import msgspec

from cliproxy_api.resources.llmprovider_status import CostStatus, DayCost, LLMProviderStatus, QuotaStatus
from cliproxy_api.resources.proxyprofile import ConsumerSpent, ProxyProfileStatus
from cliproxy_api.snapshot import Consumer, Pricing, Provider, Quota
from cliproxy_api.vocabulary import QuotaReset, QuotaUnit
from cliproxy_operator.money.figures import Figures
from cliproxy_operator.money.shown import (
    consumers_status,
    cost_status,
    quota_status,
    restore_consumers,
    restore_provider,
)
from cliproxy_operator.money.totals import Totals
from support import build

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ID = "team-a/alpha"
OWNER = ("provider", ID)
WEB = ("consumer", "team-a/gateway/web")
DOLLAR = 10**9
QUOTA = Quota(limit=1000, unit=QuotaUnit.TOKENS, reset=QuotaReset.DAILY)


def totals_of(**figures: int) -> Totals:
    totals = Totals(NOON)
    for owner in (OWNER, WEB):
        for reset in QuotaReset:
            totals.restore(owner, reset, Figures(**figures), NOON)
    return totals


def provider(*, priced: bool = True) -> Provider:
    one = build.built(name="alpha").provider
    price = Pricing(input=1, output=1) if priced else None
    models = tuple(msgspec.structs.replace(model, pricing=price) for model in one.models)
    return msgspec.structs.replace(one, models=models)


def test_costs_are_told_with_their_day_and_stand_still_for_a_hundredth() -> None:
    shown = cost_status(totals_of(nano_usd=100 * DOLLAR), provider(), ID, None, NOON)
    assert shown == CostStatus(day="2026-11-21", today="100.00", this_month="100.00")
    assert cost_status(totals_of(nano_usd=101 * DOLLAR), provider(), ID, shown, NOON) == shown
    moved = cost_status(totals_of(nano_usd=101 * DOLLAR + 10), provider(), ID, shown, NOON)
    assert moved is not None
    assert moved.today == "101.00"
    tomorrow = cost_status(totals_of(nano_usd=100 * DOLLAR), provider(), ID, shown, NOON + timedelta(days=1))
    assert tomorrow == CostStatus(
        day="2026-11-22",
        today="0.00",
        this_month="100.00",
        days=(DayCost(day="2026-11-21", cost="100.00"),),
    )


def test_without_prices_and_costs_nothing_is_told() -> None:
    assert cost_status(Totals(NOON), provider(priced=False), ID, None, NOON) is None
    assert cost_status(Totals(NOON), provider(), ID, None, NOON) == CostStatus(
        day="2026-11-21", today="0.00", this_month="0.00"
    )


def test_a_quota_tells_what_is_left_and_shows_at_once_that_it_is_used_up() -> None:
    shown = quota_status(totals_of(tokens=995), QUOTA, ID, None, NOON)
    assert shown == QuotaStatus(used="995", remaining="5", resets_at="2026-11-22T00:00:00Z")
    assert quota_status(totals_of(tokens=999), QUOTA, ID, shown, NOON) == shown
    assert quota_status(totals_of(tokens=1000), QUOTA, ID, shown, NOON) == QuotaStatus(
        used="1000", remaining="0", resets_at="2026-11-22T00:00:00Z"
    )
    larger = msgspec.structs.replace(QUOTA, limit=2000)
    changed = quota_status(totals_of(tokens=995), larger, ID, shown, NOON)
    assert changed is not None
    assert changed.remaining == "1005"
    assert quota_status(totals_of(tokens=995), None, ID, shown, NOON) is None


def test_what_status_tells_is_what_a_new_leader_begins_with() -> None:
    money = Quota(limit=50 * DOLLAR, unit=QuotaUnit.USD, reset=QuotaReset.WEEKLY)
    old = totals_of(nano_usd=12 * DOLLAR + 345_678_000)
    status = LLMProviderStatus(
        cost=cost_status(old, provider(), ID, None, NOON), quota=quota_status(old, money, ID, None, NOON)
    )
    new = Totals(NOON)
    restore_provider(new, ID, money, status, NOON)
    assert [new.used(OWNER, reset, NOON).nano_usd for reset in QuotaReset] == [12_345_678_000] * 3
    later = Totals(NOON)
    restore_provider(later, ID, money, status, NOON + timedelta(days=2))
    at = NOON + timedelta(days=2)
    assert [later.used(OWNER, reset, at).nano_usd for reset in QuotaReset] == [0, 0, 12_345_678_000]


def test_somebody_elses_words_in_status_are_passed_over() -> None:
    status = LLMProviderStatus(
        cost=CostStatus(day="2026-13-99", today="a lot", this_month="-1"),
        quota=QuotaStatus(used="many", resets_at="soon"),
    )
    totals = Totals(NOON)
    restore_provider(totals, ID, QUOTA, status, NOON)
    assert totals.used(OWNER, QuotaReset.DAILY, NOON) == Figures()


def test_consumers_are_told_and_restored() -> None:
    members = (Consumer(name="web"), Consumer(name="idle"))
    shown = consumers_status(totals_of(nano_usd=DOLLAR), "team-a", "gateway", members, None, NOON)
    expected = ConsumerSpent(name="web", day="2026-11-21", today="1.00", this_week="1.00", this_month="1.00")
    assert shown == (expected,)
    status = ProxyProfileStatus(consumers=shown)
    assert consumers_status(
        totals_of(nano_usd=DOLLAR + 1000), "team-a", "gateway", members, status, NOON
    ) == (expected,)
    new = Totals(NOON)
    restore_consumers(new, "team-a", "gateway", status, NOON)
    assert [new.used(WEB, reset, NOON).nano_usd for reset in QuotaReset] == [DOLLAR] * 3
