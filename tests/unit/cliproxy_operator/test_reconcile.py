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
