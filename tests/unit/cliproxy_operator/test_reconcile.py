"""What a namespace came to: whom that is news for, and how long it took to be in force."""

from __future__ import annotations

import pytest

from support.reconciled import Reconciled

LENT = {"allowedNamespaces": {"from": "All"}}


@pytest.fixture
async def world() -> Reconciled:
    return Reconciled()


async def test_an_owner_hears_of_the_sidecars_that_its_provider_is_lent_to(world: Reconciled) -> None:
    shared = world.provider("shared", "platform", **LENT)
    await world.compile("platform")
    guest = world.pod(namespace="shop")

    assert shared in await world.compile("shop")
    assert world.reconciler.guests("shop") == {shared}
    assert shared not in await world.compile("shop")

    world.gone(guest)
    assert shared in await world.compile("shop")
    assert world.reconciler.guests("shop") == frozenset()


async def test_an_owner_hears_when_a_namespace_may_not_use_its_provider_any_more(world: Reconciled) -> None:
    shared = world.provider("shared", "platform", **LENT)
    world.pod(namespace="shop")
    await world.compile("platform")
    await world.compile("shop")

    world.provider("shared", "platform", generation=2)
    assert shared in await world.compile("shop")


def convergences(world: Reconciled) -> tuple[int, float]:
    """Return how many there were, and how long they took together."""
    samples = {
        one.name: one.value for metric in world.metrics.convergence_s.collect() for one in metric.samples
    }
    name = "cliproxy_operator_convergence_seconds"
    return int(samples[f"{name}_count"]), samples[f"{name}_sum"]


async def change(world: Reconciled, **spec: object) -> None:
    world.provider(**spec)  # type: ignore[arg-type]
    world.reconciler.changed("shop")
    await world.compile("shop")


async def test_convergence_is_the_time_until_the_last_sidecar_has_it(world: Reconciled) -> None:
    await change(world)
    sidecar, other = world.pod("app-1"), world.pod("app-2")
    world.runs(sidecar)
    world.runs(other)
    await change(world, generation=2, weight=7)
    world.clock.advance(0.5)
    world.runs(sidecar)
    world.reconciler.converged(("shop", ""))
    assert convergences(world) == (0, 0)

    world.runs(other)
    world.reconciler.converged(("shop", ""))
    assert convergences(world) == (1, 0.5)


async def test_the_time_without_any_sidecar_is_none_that_a_change_took(world: Reconciled) -> None:
    await change(world)
    world.clock.advance(3600)
    sidecar = world.pod()
    world.runs(sidecar)
    world.reconciler.converged(("shop", ""))

    assert convergences(world) == (0, 0)


async def test_nobody_is_waited_for_who_has_gone(world: Reconciled) -> None:
    await change(world)
    sidecar = world.pod()
    world.runs(sidecar)
    await change(world, generation=2, weight=7)
    world.collector.lost(sidecar, "closed")
    world.reconciler.converged(("shop", ""))
    world.clock.advance(3600)
    world.runs(sidecar)
    world.reconciler.converged(("shop", ""))

    assert convergences(world) == (0, 0)
