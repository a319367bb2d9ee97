"""Beginning to lead: half of it is not enough."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cliproxy_operator import activation
from cliproxy_operator.activation import Activation
from cliproxy_operator.kube import ApiError
from cliproxy_operator.leader import Standing
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.publish import Endpoint
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.transport import Peer
from cliproxy_operator.view import SidecarId
from cliproxy_operator.wire.trouble import LinkError
from support.cluster import eventually
from support.ears import Ears
from support.reconciled import Ignoring, Reconciled


class Listed:
    """Resources that have all been listed."""

    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.synced.set()


class Fragile:
    """A host of which the first calls fail by a defect; knows when it was called."""

    def __init__(self, failures: int = 1) -> None:
        self.failures = failures
        self.calls_s: list[float] = []

    def expect(self, _sidecars: object) -> None:
        self.calls_s.append(asyncio.get_running_loop().time())
        if len(self.calls_s) <= self.failures:
            raise ZeroDivisionError

    def reset(self) -> None:
        pass


class Nobody:
    """A network in which no sidecar answers; knows whose were asked."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    @asynccontextmanager
    async def reports(self, peer: Peer, _epoch: int) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.add(peer.namespace)
        raise LinkError("connect", "nobody is there")
        yield

    def forget(self, _peer: Peer) -> None:
        pass


def made(world: Reconciled, tasks: Tasks, metrics: Metrics, *, host: Any = None) -> Activation:
    """Return the activation of a replica that has listed everything and does not lead yet."""
    world.publisher.deactivate()
    ignoring: Any = Ignoring()
    return Activation(
        resync=Listed(),  # type: ignore[arg-type]
        gatherer=world.gatherer,
        reconciler=world.reconciler,
        publisher=world.publisher,
        collector=world.collector,
        host=host or world.host,
        statuses=ignoring,
        alerting=ignoring,
        exporter=ignoring,
        pki=None,
        keeper=None,
        metrics=metrics,
        tasks=tasks,
    )


def two_namespaces(world: Reconciled, tasks: Tasks) -> Nobody:
    """Have a sidecar each in shop, which needs a Secret, and in shed; returns the network."""
    network: Any = Nobody()
    world.publisher._transport, world.publisher._tasks = network, tasks
    world.publisher.listen(Ears())
    world.provider(credentials=[{"name": "main", "secretRef": {"name": "keys", "key": "key"}}])
    world.provider(namespace="shed")
    for namespace in ("shop", "shed"):
        sidecar = world.pod("app-1", namespace)
        world.publisher.set_endpoint(sidecar, Endpoint(sidecar, "p1", "127.0.0.1", ""))
    return network  # type: ignore[no-any-return]


async def published(world: Reconciled) -> bool:
    return world.publisher.wanted_digest("shop", "") is not None


async def test_a_beginning_that_a_defect_ends_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "AGAIN_S", 0)
    world, tasks, metrics = Reconciled(), Tasks(), Metrics()
    world.provider()
    made(world, tasks, metrics, host=Fragile()).stands(Standing.LEADING, 7)
    try:
        await eventually(lambda: published(world), what="a snapshot")
    finally:
        await tasks.stop()

    assert world.publisher.epoch == 7
    assert metrics.loop_failures.labels("activation")._value.get() == 1


@pytest.mark.looptime
async def test_the_pauses_between_beginnings_grow() -> None:
    """Each makes all links anew."""
    world, tasks, host = Reconciled(), Tasks(), Fragile(8)
    made(world, tasks, Metrics(), host=host).stands(Standing.LEADING, 7)
    await asyncio.sleep(600)
    await tasks.stop()

    pauses_s = [round(later - before) for before, later in itertools.pairwise(host.calls_s)]
    assert pauses_s == [1, 2, 4, 8, 16, 30, 30, 30]


async def test_sidecars_of_a_namespace_that_begins_late_are_linked_once_it_is_published() -> None:
    """What they tell as a link begins is told once, and counts only for what their namespace may use."""
    world, tasks = Reconciled(), Tasks()
    network = two_namespaces(world, tasks)
    world.kube.refusals["secrets"] = ApiError(503, "Unavailable", "away")

    async def asked(*namespaces: str) -> bool:
        return network.asked >= set(namespaces)

    made(world, tasks, Metrics()).stands(Standing.LEADING, 7)
    try:
        await eventually(lambda: asked("shed"), what="a link to shed's")
        world.pod("app-1", "shop", uid="p2")
        again = SidecarId("shop", "app-1")
        world.publisher.set_endpoint(again, Endpoint(again, "p2", "127.0.0.1", ""))
        for _ in range(10):
            await asyncio.sleep(0)
        assert network.asked == {"shed"}
        assert not world.reconciler.queue.idle(), "it is worked on again by itself"

        world.kube.refusals.clear()
        await world.compile("shop")
        await eventually(lambda: asked("shop", "shed"), what="a link to shop's")
    finally:
        await tasks.stop()


async def test_the_next_leadership_waits_for_nobody_of_the_last() -> None:
    world, tasks = Reconciled(), Tasks()
    network = two_namespaces(world, tasks)
    world.publisher.activate(8, late={"shop", "shed"})
    world.publisher.activate(9)
    for _ in range(10):
        await asyncio.sleep(0)
    assert network.asked == {"shop", "shed"}
    await tasks.stop()


async def test_one_namespace_that_cannot_be_published_breaks_no_link_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activation, "AGAIN_S", 0)
    world, tasks, metrics = Reconciled(), Tasks(), Metrics()
    world.provider()
    world.provider(namespace="shed")
    publish = world.publisher.publish_snapshots

    def fragile(namespace: str, *rest: Any) -> frozenset[str]:
        if namespace == "shed":
            raise ZeroDivisionError
        return publish(namespace, *rest)

    monkeypatch.setattr(world.publisher, "publish_snapshots", fragile)
    made(world, tasks, metrics).stands(Standing.LEADING, 7)
    try:
        await eventually(lambda: published(world), what="a snapshot")
        for _ in range(10):
            await asyncio.sleep(0)
    finally:
        await tasks.stop()

    assert metrics.loop_failures.labels("activation")._value.get() == 1, "it has begun once"
    assert not world.reconciler.queue.idle(), "it is tried again by itself"
