"""The host of the sums: what it has pushed, when, and what a new day means."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cliproxy_api.report import Used, UsedEntry
from cliproxy_api.snapshot import Budget, Consumer, Profile, Quota, RateLimit, Snapshot
from cliproxy_api.vocabulary import QuotaUnit
from cliproxy_operator import spending as module
from cliproxy_operator.clock import Clock
from cliproxy_operator.compile import Compiled
from cliproxy_operator.spending import Spending
from cliproxy_operator.view import SidecarId
from support import build

PROVIDER = build.built(
    name="alpha", quota=Quota(limit=10, unit=QuotaUnit.REQUESTS), rate_limit=RateLimit(max_concurrent=4)
).provider


class Settable(Clock):
    """A clock that is told the date."""

    moment = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def utc(self) -> datetime:
        return self.moment


def compiled() -> Compiled:
    return Compiled(
        snapshots={},
        diagnostics={},
        providers={PROVIDER.id: PROVIDER},
        policy_users={},
        missing_profiles=frozenset(),
    )


def used(requests: int) -> Used:
    entry = UsedEntry(day="2026-11-21", provider=PROVIDER.id, model="gpt-4o", requests=requests)
    return Used(boot="b", age_s=0.0, entries=(entry,))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE_S", 0.005)


async def test_changed_leases_are_pushed_and_a_new_day_is_noticed(quick: None) -> None:
    clock, pushed, days = Settable(), asyncio.Event(), asyncio.Event()
    host = Spending(
        clock=clock, on_leases=pushed.set, on_day=days.set, on_parts=lambda _: None, sidecars=lambda _: 1
    )
    host.configure("team-a", compiled())
    running = asyncio.ensure_future(host.run())
    try:
        host.hear(SidecarId("team-a", "one"), "", frozenset({PROVIDER.id}), used(10))
        async with asyncio.timeout(5):
            await pushed.wait()
        assert host.leases("team-a").quotas[PROVIDER.id].used == 10
        assert not days.is_set()
        pushed.clear()
        clock.moment += timedelta(days=12)
        async with asyncio.timeout(5):
            await days.wait()
            await pushed.wait()
        assert host.leases("team-a").quotas[PROVIDER.id].used == 0
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_namespace_that_is_gone_is_told_nothing() -> None:
    host = Spending(
        clock=Settable(),
        on_leases=lambda: None,
        on_day=lambda: None,
        on_parts=lambda _: None,
        sidecars=lambda _: 1,
    )
    host.configure("team-a", compiled())
    assert host.leases("team-a").quotas
    host.drop("team-a")
    assert not host.leases("team-a").quotas
    host.reset()
    assert not host.leases("team-a").quotas


def test_the_fullest_budget_counts() -> None:
    clock = Settable()
    host = Spending(
        clock=clock,
        on_leases=lambda: None,
        on_day=lambda: None,
        on_parts=lambda _: None,
        sidecars=lambda _: 1,
    )
    assert host.budget_used("team-a", "gold") is None
    members = (
        Consumer(name="ann", budget=Budget(daily=1000, monthly=4000)),
        Consumer(name="bob", budget=Budget(weekly=1000)),
        Consumer(name="cay"),
    )
    snapshot = Snapshot(namespace="team-a", profile=Profile(consumers=members))
    host.configure("team-a", replace(compiled(), snapshots={"gold": snapshot}))
    assert host.budget_used("team-a", "gold") == 0.0
    assert host.budget_used("team-a", "plain") is None
    for sidecar, consumer, nano_usd in (("one", "ann", 500), ("two", "bob", 700), ("two", "cay", 9000)):
        entry = UsedEntry(
            day="2026-11-21", provider=PROVIDER.id, model="gpt-4o", consumer=consumer, nano_usd=nano_usd
        )
        report = Used(boot="b", age_s=0.0, entries=(entry,))
        host.hear(SidecarId("team-a", sidecar), "gold", frozenset({PROVIDER.id}), report)
    assert host.budget_used("team-a", "gold") == 0.7
