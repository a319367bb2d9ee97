"""What sidecars tell of providers that their namespace may not use changes nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from cliproxy_api.report import Hello, Probed, ProviderTraffic, Recovered, Traffic, Tripped, Trying
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


def hello(*trying: Trying) -> Hello:
    return Hello(sidecar="app-1", namespace="shop", version="1", running=Running(), trying=trying)


def tripped(provider: str, by: OutcomeClass | None = OutcomeClass.RATE_LIMITED) -> Tripped:
    return Tripped(scope=Scope(provider=provider), outcome_class=by, reason="429", remaining_s=60)


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
    hearing: Hearing, sidecar: SidecarId, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "cliproxy_operator.hearing")
    for _ in range(100):
        hearing.heard(sidecar, tripped(THEIRS))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].provider == THEIRS  # type: ignore[attr-defined]

    hearing.lost(sidecar, "closed")
    hearing.heard(sidecar, tripped(THEIRS))
    assert len(caplog.records) == 2
