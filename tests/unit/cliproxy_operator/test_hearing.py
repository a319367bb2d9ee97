"""What sidecars tell of providers that their namespace may not use changes nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from cliproxy_api.report import Applied, Hello, Probed, ProviderTraffic, Recovered, Traffic, Tripped, Trying
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Running
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_operator.hearing import Hearing
from cliproxy_operator.view import SidecarId
from support.reconciled import Ignoring, Reconciled

MINE, LENT, THEIRS = "shop/claude", "platform/shared", "shed/claude"


@pytest.fixture
async def world() -> Reconciled:
    made = Reconciled()
    made.provider(namespace="shop")
    made.provider(namespace="shed")
    made.provider("shared", namespace="platform", allowedNamespaces={"from": "All"})
    made.pod("app-1", "shop")
    made.pod("app-1", "shed")
    for namespace in ("platform", "shed", "shop"):
        await made.compile(namespace)
    return made


@pytest.fixture
def sidecar(world: Reconciled) -> SidecarId:
    return SidecarId("shop", "app-1")


@pytest.fixture
def hearing(world: Reconciled, sidecar: SidecarId) -> Hearing:
    ignoring: Any = Ignoring()
    made = Hearing(
        host=world.host,
        collector=world.collector,
        reconciler=world.reconciler,
        statuses=ignoring,
        publisher=world.publisher,
        leader=ignoring,
        spending=world.spending,
    )
    made.greeted(sidecar, hello())
    return made


def hello(*trying: Trying, digest: str = "") -> Hello:
    running = Running(digest=digest)
    return Hello(sidecar="app-1", namespace="shop", version="1", running=running, trying=trying)


def tripped(provider: str, by: OutcomeClass | None = OutcomeClass.RATE_LIMITED) -> Tripped:
    return Tripped(scope=Scope(provider=provider), outcome_class=by, reason="429", remaining_s=60)


def runs_what_it_should(hearing: Hearing, world: Reconciled, sidecar: SidecarId) -> None:
    digest = world.publisher.wanted_digest(sidecar.namespace, "")
    assert digest is not None
    hearing.heard(sidecar, Applied(running=Running(digest=digest)))


@pytest.mark.parametrize("by", [OutcomeClass.RATE_LIMITED, None], ids=["an-answer", "a-person"])
@pytest.mark.parametrize(("provider", "counts"), [(MINE, True), (LENT, True), (THEIRS, False)])
async def test_only_what_a_namespace_may_use_is_cooled_by_its_sidecars(
    hearing: Hearing,
    world: Reconciled,
    sidecar: SidecarId,
    *,
    provider: str,
    counts: bool,
    by: OutcomeClass | None,
) -> None:
    hearing.heard(sidecar, tripped(provider, by))

    assert bool(world.host.fleet.cooldowns(provider)) is counts


@pytest.mark.parametrize(("provider", "counts"), [(MINE, True), (LENT, True), (THEIRS, False)])
async def test_only_that_is_recovered_and_judged(
    hearing: Hearing, world: Reconciled, sidecar: SidecarId, *, provider: str, counts: bool
) -> None:
    world.host.cooldown(provider, 60, "manual")
    hearing.heard(sidecar, Recovered(provider=provider, by="somebody"))
    hearing.heard(sidecar, Probed(provider=provider, ok=False, healthy=False, latency_ms=1))

    assert bool(world.host.fleet.cooldowns(provider)) is not counts
    assert (world.host.fleet.health(provider, world.clock.utc()).healthy is False) is counts


async def test_only_that_has_traffic_from_there(
    hearing: Hearing, world: Reconciled, sidecar: SidecarId
) -> None:
    told = {name: ProviderTraffic(requests=7) for name in (MINE, LENT, THEIRS, "nobody", "")}
    hearing.heard(sidecar, Traffic(providers=told))

    counted = {name for name in told if world.collector.traffic(name) is not None}
    assert counted == {MINE, LENT}


async def test_a_stranger_holds_no_permit_back(
    hearing: Hearing, world: Reconciled, sidecar: SidecarId
) -> None:
    owner = SidecarId("shed", "web-1")
    world.host.present(owner, frozenset({THEIRS}))
    hearing.heard(owner, tripped(THEIRS))
    hearing.greeted(sidecar, hello(Trying(scope=Scope(provider=THEIRS), age_s=0)))
    world.clock.advance(61)
    world.host.fleet.tick(world.clock.utc())

    (half_open,) = world.host.fleet.cooldowns(THEIRS)
    assert half_open.trial_sidecar == "web-1"


async def test_it_is_said_once_for_each_link(
    hearing: Hearing, world: Reconciled, sidecar: SidecarId, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "cliproxy_operator.hearing")
    runs_what_it_should(hearing, world, sidecar)
    for _ in range(100):
        hearing.heard(sidecar, tripped(THEIRS))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].provider == THEIRS  # type: ignore[attr-defined]

    hearing.lost(sidecar, "closed")
    hearing.heard(sidecar, tripped(THEIRS))
    assert len(caplog.records) == 2


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
async def test_no_one_is_warned_of_who_speaks_of_what_it_had_a_moment_ago(
    hearing: Hearing,
    world: Reconciled,
    sidecar: SidecarId,
    caplog: pytest.LogCaptureFixture,
    *,
    applied: bool,
) -> None:
    """Nothing but the lent provider goes: all that is wanted runs there as it should."""
    caplog.set_level(logging.INFO, "cliproxy_operator.hearing")
    runs_what_it_should(hearing, world, sidecar)
    world.provider("shared", namespace="platform", generation=2)
    await world.compile("shop")
    if applied:  # told beside the report stream: what the sidecar said before may come later
        runs_what_it_should(hearing, world, sidecar)
    for _ in range(3):
        hearing.heard(sidecar, tripped(LENT))
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert not world.host.fleet.cooldowns(LENT)

    runs_what_it_should(hearing, world, sidecar)
    hearing.heard(sidecar, tripped(THEIRS))
    assert caplog.records[-1].levelname == "WARNING"


async def test_no_one_is_warned_of_trials_that_began_under_a_former_snapshot(
    hearing: Hearing, world: Reconciled, sidecar: SidecarId, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "cliproxy_operator.hearing")
    runs_what_it_should(hearing, world, sidecar)
    hearing.lost(sidecar, "closed")
    trying = Trying(scope=Scope(provider="platform/gone"), age_s=0)
    hearing.greeted(sidecar, hello(trying, digest="d-former"))
    assert not caplog.records

    hearing.lost(sidecar, "closed")
    hearing.greeted(sidecar, hello(trying, digest=""))
    assert [record.levelname for record in caplog.records] == ["WARNING"], "it runs nothing, and had nothing"
