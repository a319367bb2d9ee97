"""Whose status is judged, and when nothing can be said of it yet."""

from __future__ import annotations

from typing import Any

import pytest

from cliproxy_api.conditions import ConditionType, find_condition
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_operator.inputs import ObjectKey
from cliproxy_operator.statuses import Statuses
from cliproxy_operator.tasks import Tasks
from support.reconciled import Ignoring, Reconciled


class Leads:
    def may_write(self) -> bool:
        return True


class Written:
    """A writer that remembers."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.last: Any = None

    async def status(self, key: ObjectKey, raw: Any, status: LLMProviderStatus) -> bool:
        self.last = status
        accepted = find_condition(status.conditions, ConditionType.ACCEPTED)
        assert accepted is not None
        self.accepted.append(accepted.status.value)
        return True

    async def post(self, *_: Any) -> None:
        pass

    def forget(self, key: ObjectKey) -> None:
        pass


@pytest.fixture
async def world() -> Reconciled:
    return Reconciled()


@pytest.fixture
async def written() -> Written:
    return Written()


@pytest.fixture
async def statuses(world: Reconciled, written: Written) -> Statuses:
    ignoring: Any = Ignoring()
    return Statuses(
        store=world.store,
        gatherer=world.gatherer,
        reconciler=world.reconciler,
        collector=world.collector,
        host=world.host,
        spending=world.spending,
        leader=Leads(),  # type: ignore[arg-type]
        writer=written,  # type: ignore[arg-type]
        manual=ignoring,
        keeper=None,
        alerting=ignoring,
        exporter=ignoring,
        survey=ignoring,
        adoptions=world.adoptions,
        clock=world.clock,
        metrics=world.metrics,
        tasks=Tasks(),
    )


async def test_nothing_is_said_of_an_object_by_what_had_its_name_before(
    world: Reconciled, statuses: Statuses, written: Written
) -> None:
    key = world.provider(uid="u1")
    await world.compile()
    await statuses._work(key)
    assert written.accepted == ["True"]

    world.provider(uid="u2", baseURL="http://169.254.169.254/latest")
    await statuses._work(key)
    assert statuses.now(key) is None
    assert written.accepted == ["True"]

    assert key in await world.compile()
    await statuses._work(key)
    assert written.accepted == ["True", "False"]


async def test_a_sweep_of_a_namespace_looks_at_what_is_lent_to_it(
    world: Reconciled, statuses: Statuses
) -> None:
    shared = world.provider("shared", "platform", allowedNamespaces={"from": "All"})
    own = world.provider("own", "shop")
    for namespace in ("platform", "shop"):
        await world.compile(namespace)
    await statuses._sweep("shop")

    assert set(statuses.queue._due_s) == {own, shared}


async def test_what_no_sidecar_upholds_any_more_becomes_unknown_by_itself(
    world: Reconciled, statuses: Statuses, written: Written
) -> None:
    """They run what they should, as far as is known, and nothing else happens: all links are cut."""
    key = world.provider()
    sidecar = world.pod()
    await world.compile()
    world.runs(sidecar)
    await statuses._work(key)
    world.holds(key, written.last)
    assert (written.last.phase, written.last.sidecars.summary) == ("Healthy", "1/1")

    world.collector.lost(sidecar, "timeout: nothing was heard")
    await statuses._work(key)
    assert statuses.now(key).phase == "Healthy"  # type: ignore[union-attr]
    due_s = statuses.queue._due_s[key] - world.clock.now()
    assert 60 < due_s < 65

    world.clock.advance(due_s)
    await statuses._work(key)
    assert (written.last.phase, written.last.reason) == ("Unknown", "NotConnected")

    world.holds(key, written.last)
    world.runs(sidecar)
    await statuses._work(key)
    assert written.last.phase == "Healthy"


async def test_a_days_trips_are_forgotten_by_themselves(
    world: Reconciled, statuses: Statuses, written: Written
) -> None:
    provider, key = world.provider(), world.policy(default=True)
    await world.compile()
    assert world.host.cooldown(provider.id, 60, "manual")
    await statuses._work(key)
    assert written.last.trips_last_day == 1
    assert statuses.queue._due_s[key] - world.clock.now() <= 3600

    world.clock.advance(25 * 3600)
    statuses.queue._due_s.clear()
    await statuses._work(key)
    assert written.last.trips_last_day == 0
    assert key not in statuses.queue._due_s
