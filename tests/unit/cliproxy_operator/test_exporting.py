"""PrometheusRules of AlertRules: written when they are another, and again under a rule made anew."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cliproxy_operator.compile import compile_namespace
from cliproxy_operator.exporting import Exporter
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.inputs import AddressRules, Kind, ObjectKey
from cliproxy_operator.kinds import ALERT_RULE, Resource
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.reconcile import Result
from cliproxy_operator.store import Store
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.vault import Vault
from support.manualclock import ManualClock
from support.objects import NAMESPACE, metadata

KEY = ObjectKey(Kind.ALERT_RULE, NAMESPACE, "failing")
NAME = "cliproxy-failing"
SPEC = {
    "condition": "error_rate > 5%",
    "notifications": [{"name": "hook", "webhook": {"url": "http://127.0.0.1:9"}}],
    "export": "PrometheusRule",
}


class RuleKube:
    """Holds PrometheusRules; `collect` is the garbage collector."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes = 0

    async def serves(self, _resource: Resource) -> bool:
        return True

    async def get(self, _resource: Resource, _namespace: str, name: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.objects.get(name))

    async def apply(
        self, _resource: Resource, _namespace: str, name: str, body: dict[str, Any], *, manager: str
    ) -> None:
        assert manager
        self.writes += 1
        self.objects[name] = copy.deepcopy(body)

    def collect(self, uid: str) -> None:
        """Remove what only the object of that uid owns."""
        self.objects = {name: one for name, one in self.objects.items() if self.owners(name) != {uid}}

    def owners(self, name: str) -> set[str]:
        return {one["uid"] for one in self.objects[name]["metadata"]["ownerReferences"]}


class FakeReconciler:
    """Knows what was compiled last."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}


class World:
    """One namespace with one rule at most."""

    def __init__(self, tasks: Tasks) -> None:
        self.clock, self.kube, self.reconciler = ManualClock(), RuleKube(), FakeReconciler()
        self.store = Store(lambda _change: None)
        self.gatherer = Gatherer(
            store=self.store,
            vault=Vault(lambda _namespaces: None, digest_key=b"key"),
            kube=None,  # type: ignore[arg-type] -- no Service is looked for
            addresses=AddressRules(),
        )
        self.version = 1
        self.exporter = Exporter(
            kube=self.kube,  # type: ignore[arg-type]
            store=self.store,
            gatherer=self.gatherer,
            reconciler=self.reconciler,  # type: ignore[arg-type]
            clock=self.clock,
            metrics=Metrics(),
            tasks=tasks,
            may_write=lambda: True,
            on_change=lambda _key: None,
        )
        tasks.spawn(self.exporter.queue.run(), "export")

    def rule(self, uid: str) -> None:
        """Make the rule, or make it anew."""
        self.version += 1
        more = {"resourceVersion": str(self.version), "uid": uid}
        self.store.upsert(ALERT_RULE, {"metadata": metadata("failing", **more), "spec": SPEC})
        self._compile()

    def no_rule(self) -> None:
        self.version += 1
        self.store.remove(ALERT_RULE, NAMESPACE, "failing", version=self.version)
        self._compile()

    async def look(self) -> str:
        """Let it look at the rule; returns the status of condition Exported."""
        assert await self.exporter.queue.worked(KEY, within_s=10)
        export = self.exporter.export(KEY)
        assert export is not None
        assert export.fact is not None
        return export.fact.status

    def _compile(self) -> None:
        inputs = self.gatherer.inputs(NAMESPACE)
        self.reconciler.results[NAMESPACE] = Result.of(compile_namespace(inputs), inputs)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    tasks = Tasks()
    yield World(tasks)
    await tasks.stop()


async def test_what_is_in_place_is_written_once_in_a_leadership(world: World) -> None:
    world.rule("uid-1")
    assert [await world.look(), await world.look()] == ["True", "True"]
    assert (world.kube.writes, world.kube.owners(NAME)) == (1, {"uid-1"})
    world.exporter.reset()
    assert await world.look() == "True"
    assert world.kube.writes == 2


async def test_a_rule_made_anew_has_its_export_again(world: World) -> None:
    world.rule("uid-1")
    await world.look()
    world.no_rule()
    world.kube.collect("uid-1")
    assert world.kube.objects == {}
    world.rule("uid-2")
    assert await world.look() == "True"
    assert world.kube.owners(NAME) == {"uid-2"}


async def test_an_export_that_outlives_its_rule_for_a_moment_gets_the_new_owner(world: World) -> None:
    world.rule("uid-1")
    await world.look()
    world.no_rule()
    world.rule("uid-2")
    await world.look()
    world.kube.collect("uid-1")
    assert world.kube.owners(NAME) == {"uid-2"}
