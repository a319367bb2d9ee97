"""Who is looked for, where, and what a look sets in motion."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from cliproxy_operator.injected import Group
from cliproxy_operator.kinds import NAMESPACE, POD, Resource
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings import read_settings
from cliproxy_operator.store import Store
from cliproxy_operator.survey import Survey
from cliproxy_operator.tasks import Tasks
from support.manualclock import ManualClock

pytestmark = pytest.mark.looptime

ASKING = "cliproxy.io/inject=true,cliproxy.io/sidecar!=true"
SILENT = "cliproxy.io/inject!=true,cliproxy.io/inject!=false,cliproxy.io/sidecar!=true"


def pod(name: str, namespace: str = "shop", **annotations: str) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": namespace,
        "resourceVersion": "5",
        "creationTimestamp": "2026-11-20T11:00:00Z",
        "annotations": {f"cliproxy.io/{key}": value for key, value in annotations.items()},
    }
    return {"metadata": metadata, "status": {"phase": "Running"}}


class Server:
    """Lists by selector and namespace."""

    def __init__(self) -> None:
        self.pods: dict[tuple[str | None, str], list[dict[str, Any]]] = {}
        self.namespaces: dict[str, dict[str, str]] = {}
        self.lists: list[tuple[str | None, str]] = []
        self.away = False

    async def list(
        self, resource: Resource, namespace: str | None, *, fields: str, metadata_only: bool
    ) -> list[dict[str, Any]]:
        if self.away:
            raise ApiError(0, "ClientConnectorError", "no answer")
        assert metadata_only
        assert "status.phase!=Succeeded" in fields
        self.lists.append((namespace, resource.selector))
        return self.pods.get((namespace, resource.selector), [])

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any] | None:
        assert resource == NAMESPACE
        assert namespace is None
        labels = self.namespaces.get(name)
        return None if labels is None else {"metadata": {"name": name, "labels": labels}}


class World:
    """A survey and what it sees."""

    def __init__(self, **env: str) -> None:
        self.server = Server()
        self.store = Store(lambda _: None)
        self.metrics = Metrics()
        self.changes: list[frozenset[Group]] = []
        self.leads = True
        self.survey = Survey(
            kube=cast("Kube", self.server),
            store=self.store,
            settings=read_settings(env),
            clock=ManualClock(),
            metrics=self.metrics,
            may_write=lambda: self.leads,
            on_change=self.changes.append,
        )
        self.tasks = Tasks()

    def begin(self) -> None:
        self.tasks.spawn(self.survey.run(digest=lambda: "now", interval_s=30), "survey")

    def namespace(self, name: str, **labels: str) -> None:
        metadata = {
            "name": name,
            "resourceVersion": "1",
            "labels": {f"cliproxy.io/{k}": v for k, v in labels.items()},
        }
        self.store.upsert(NAMESPACE, {"metadata": metadata})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.tasks.stop()


async def test_pods_and_namespaces_that_ask_are_listed_and_nobody_else(world: World) -> None:
    world.namespace("shop", inject="true")
    world.namespace("quiet")
    world.namespace("closed", inject="false")
    world.server.pods[None, ASKING] = [
        pod("asks", "quiet"),
        pod("core", "kube-system"),
        pod("us", "cliproxy-system"),
    ]
    world.server.pods["shop", SILENT] = [pod("silent", "shop", profile="a"), pod("declines", inject="false")]
    world.store.upsert(POD, pod("fine", profile="a", injected="now"))
    world.store.upsert(POD, pod("old", profile="a", injected="then"))
    world.store.upsert(POD, pod("ended", injected="then") | {"status": {"phase": "Succeeded"}})
    world.store.upsert(POD, pod("by-hand"))
    world.begin()
    await asyncio.sleep(1)

    assert world.server.lists == [(None, ASKING), ("shop", SILENT)]
    found = {group: (one.current, one.stale, one.missing) for group, one in world.survey.groups.items()}
    assert found == {("shop", "a"): (1, 1, 1), ("quiet", ""): (0, 0, 1)}
    assert world.changes == [frozenset(found)]
    assert world.metrics.injection.labels("missing")._value.get() == 2


async def test_a_namespaced_operator_looks_at_its_own(world: World) -> None:
    other = World(CLIPROXY_NAMESPACES="a,b")
    other.server.namespaces = {"a": {"cliproxy.io/inject": "true"}, "b": {}}
    other.begin()
    await asyncio.sleep(1)
    await other.tasks.stop()

    assert other.server.lists == [("a", ASKING), ("b", ASKING), ("a", SILENT)]


async def test_equal_findings_are_no_news_and_gone_ones_are(world: World) -> None:
    world.server.pods[None, ASKING] = [pod("asks")]
    world.begin()
    await asyncio.sleep(100)
    assert world.changes == [frozenset({("shop", "")})]

    world.server.pods.clear()
    await asyncio.sleep(40)
    assert len(world.changes) == 2
    assert world.survey.groups == {}


async def test_only_the_leader_looks_and_a_refusal_is_outlived(world: World) -> None:
    world.leads = False
    world.server.pods[None, ASKING] = [pod("asks")]
    world.begin()
    await asyncio.sleep(60)
    assert world.server.lists == []

    world.leads, world.server.away = True, True
    await asyncio.sleep(20)
    assert world.survey.groups == {}
    world.server.away = False
    await asyncio.sleep(10)
    assert ("shop", "") in world.survey.groups
