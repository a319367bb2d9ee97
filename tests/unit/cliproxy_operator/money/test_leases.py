"""What sidecars are told: in steps, at once at the limit, anew with each period."""

from datetime import UTC, datetime, timedelta

import pytest

from cliproxy_api.report import Used, UsedEntry
from cliproxy_api.snapshot import Budget, Consumer, Quota, RateLimit
from cliproxy_api.state import Amount, FleetState
from cliproxy_api.vocabulary import QuotaReset, QuotaUnit
from cliproxy_operator.money.leases import UNHEARD, Leases, leases, steady_sharers, with_leases
from cliproxy_operator.money.totals import Group, Totals
from cliproxy_operator.view import SidecarId
from support import build

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
PROVIDER = build.built(
    name="alpha",
    quota=Quota(limit=1000, unit=QuotaUnit.TOKENS, reset=QuotaReset.DAILY),
    rate_limit=RateLimit(requests_per_minute=60),
).provider
FREE = build.built(name="beta").provider
PROVIDERS = {one.id: one for one in (PROVIDER, FREE)}
NONE = Leases()
GROUP = Group("gateway", frozenset({PROVIDER.id}), frozenset({"web"}))
CONSUMERS = {
    "gateway": (
        Consumer(name="web", rate_limit=RateLimit(max_concurrent=5), budget=Budget(daily=500, monthly=900)),
        Consumer(name="batch"),
    )
}


def told(totals: Totals, before: Leases = NONE, at: datetime = NOON) -> Leases:
    return leases("team-a", PROVIDERS, CONSUMERS, totals, before, at, sidecars=lambda _: 5)


def use(totals: Totals, amount: int, pod: str = "one", at: datetime = NOON) -> None:
    entry = UsedEntry(
        day=at.date().isoformat(),
        provider=PROVIDER.id,
        model="gpt-4o",
        consumer="web",
        requests=1,
        tokens=amount,
        nano_usd=amount,
    )
    totals.hear(SidecarId("team-a", pod), GROUP, Used(boot="b", age_s=1.0, entries=(entry,)), at)


def leader() -> Totals:
    return Totals(NOON - timedelta(hours=1))


def test_only_what_has_limits_is_told_of() -> None:
    assert told(leader()).budgets == told(leader()).sharers == told(leader()).consumer_sharers == {}
    totals = leader()
    use(totals, 7, "one")
    use(totals, 7, "two")
    first = told(totals)
    assert first.sharers == {PROVIDER.id: 2}
    assert first.consumer_sharers == {"gateway/web": 2}
    assert first.quotas == {PROVIDER.id: Amount(used=14, until_utc=MIDNIGHT)}
    spent = first.budgets["gateway/web"]
    assert spent.day == Amount(used=14, until_utc=MIDNIGHT)
    assert spent.week is None
    assert spent.month == Amount(used=14, until_utc=datetime(2026, 12, 1, tzinfo=UTC))
    assert with_leases(FleetState(), Leases()) == FleetState()
    assert with_leases(FleetState(), first).quotas == first.quotas


@pytest.mark.parametrize(("used", "shown"), [(9, 0), (10, 10), (999, 999), (1500, 1500)])
def test_figures_move_in_steps_and_at_once_at_the_limit(used: int, shown: int) -> None:
    totals = leader()
    before = told(totals)
    use(totals, used)
    assert told(totals, before).quotas[PROVIDER.id].used == shown


def test_close_to_the_limit_steps_are_small_and_beyond_it_nothing_moves() -> None:
    totals = leader()
    use(totals, 995)
    near = told(totals)
    use(totals, 996)
    nearer = told(totals, near)
    assert nearer.quotas[PROVIDER.id].used == 996
    use(totals, 1000)
    reached = told(totals, nearer)
    assert reached.quotas[PROVIDER.id].used == 1000
    use(totals, 2000)
    assert told(totals, reached).quotas == reached.quotas


def test_the_next_day_begins_at_nothing() -> None:
    totals = leader()
    use(totals, 1000)
    tomorrow = NOON + timedelta(days=1)
    after = told(totals, told(totals), tomorrow)
    assert after.quotas[PROVIDER.id] == Amount(used=0, until_utc=MIDNIGHT + timedelta(days=1))
    month = after.budgets["gateway/web"].month
    assert month is not None
    assert month.used == 1000


@pytest.mark.parametrize(
    ("before", "count", "shared"), [(None, 0, 1), (None, 7, 7), (3, 4, 4), (10, 8, 10), (10, 7, 7), (1, 0, 1)]
)
def test_sharers_grow_at_once_and_shrink_when_it_is_worth_it(
    before: int | None, count: int, shared: int
) -> None:
    assert steady_sharers(before, count) == shared


def test_a_new_leader_counts_who_could_be_active_until_it_has_heard() -> None:
    totals = Totals(NOON)
    first = told(totals)
    assert first.sharers == {PROVIDER.id: 5}
    assert first.consumer_sharers == {"gateway/web": 5}
    use(totals, 7)
    assert told(totals, first).sharers == {PROVIDER.id: 5}
    assert told(totals, first, NOON + UNHEARD).sharers == {}
