"""Beginning to lead: half of it is not enough."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cliproxy_operator import activation
from cliproxy_operator.activation import Activation
from cliproxy_operator.leader import Standing
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.tasks import Tasks
from support.cluster import eventually
from support.reconciled import Ignoring, Reconciled


class Listed:
    """Resources that have all been listed."""

    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.synced.set()


class Fragile:
    """A host of which the first call fails by a defect."""

    def __init__(self) -> None:
        self.calls = 0

    def expect(self, _sidecars: object) -> None:
        self.calls += 1
        if self.calls == 1:
            raise ZeroDivisionError

    def reset(self) -> None:
        pass


async def published(world: Reconciled) -> bool:
    return world.publisher.wanted_digest("shop", "") is not None


async def test_a_beginning_that_a_defect_ends_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "AGAIN_S", 0)
    world, tasks, metrics = Reconciled(), Tasks(), Metrics()
    world.provider()
    world.publisher.deactivate()
    ignoring: Any = Ignoring()
    made = Activation(
        resync=Listed(),  # type: ignore[arg-type]
        gatherer=world.gatherer,
        reconciler=world.reconciler,
        publisher=world.publisher,
        collector=world.collector,
        host=Fragile(),  # type: ignore[arg-type]
        statuses=ignoring,
        alerting=ignoring,
        exporter=ignoring,
        pki=None,
        keeper=None,
        metrics=metrics,
        tasks=tasks,
    )
    made.stands(Standing.LEADING, 7)
    try:
        await eventually(lambda: published(world), what="a snapshot")
    finally:
        await tasks.stop()

    assert world.publisher.epoch == 7
    assert metrics.loop_failures.labels("activation")._value.get() == 1
