"""The host of the alerts: who is told when, what a failing channel does, and what a leader change leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cliproxy_api.report import ProviderTraffic, Traffic
from cliproxy_api.snapshot import Running
from cliproxy_operator.adopting import Adoptions
from cliproxy_operator.alerting import Alerting
from cliproxy_operator.alerts.message import Message
from cliproxy_operator.collect import Collector
from cliproxy_operator.compile import compile_namespace
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.inputs import AddressRules, Kind, ObjectKey
from cliproxy_operator.kinds import ALERT_RULE, PROVIDER
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.notify.outcome import Delivered, Later, Never, Outcome
from cliproxy_operator.reconcile import Result
from cliproxy_operator.spending import Spending
from cliproxy_operator.store import Store
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.vault import Vault
from cliproxy_operator.view import SidecarId
from support.manualclock import ManualClock
from support.objects import NAMESPACE, metadata

SIDECAR = SidecarId(NAMESPACE, "app-1")
KEY = ObjectKey(Kind.ALERT_RULE, NAMESPACE, "failing")


@dataclass
class FakeChannels:
    """Keeps what was sent; answers by channel, forever "hangs" where a test says so."""

    answers: dict[str, Outcome] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    sent: list[Message] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)

    async def deliver(self, message: Message, channel: Any, secrets: Any) -> Outcome:
        self.tried.append(channel.name)
        if channel.name in self.hanging:
            await asyncio.Event().wait()
        answer = self.answers.get(channel.name, Delivered())
        if isinstance(answer, Delivered):
            self.sent.append(message)
        return answer


class FakeReconciler:
    """Compiles when a test says so."""

    def __init__(self, gatherer: Gatherer) -> None:
        self._gatherer = gatherer
        self.active = True
        self.results: dict[str, Result] = {}

    def compile(self) -> None:
        inputs = self._gatherer.inputs(NAMESPACE)
        self.results[NAMESPACE] = Result.of(compile_namespace(inputs), inputs)


class World:
    """One namespace with a provider, a sidecar and a rule; `pass_` lets time go by."""

    def __init__(self, tasks: Tasks) -> None:
        self.clock = ManualClock()
        self.leads = True
        self.store = Store(lambda _change: None)
        self.vault = Vault(lambda _namespaces: None, digest_key=b"key")
        self.gatherer = Gatherer(
            store=self.store,
            vault=self.vault,
            kube=None,
            addresses=AddressRules(),  # type: ignore[arg-type]
        )
        self.reconciler = FakeReconciler(self.gatherer)
        self.collector = Collector(clock=self.clock, wanted=lambda _namespace, _profile: None)
        self.spending = Spending(
            clock=self.clock,
            on_leases=lambda: None,
            on_day=lambda: None,
            on_parts=lambda _: None,
            sidecars=lambda _owner: 0,
        )
        self.metrics = Metrics()
        self.channels = FakeChannels()
        self.changed: list[ObjectKey] = []
        self.version = 1
        self.alerting = Alerting(
            store=self.store,
            gatherer=self.gatherer,
            reconciler=self.reconciler,  # type: ignore[arg-type]
            collector=self.collector,
            spending=self.spending,
            vault=self.vault,
            adoptions=Adoptions(),
            channels=self.channels,  # type: ignore[arg-type]
            may_write=lambda: self.leads,
            clock=self.clock,
            metrics=self.metrics,
            tasks=tasks,
            on_change=self.changed.append,
        )
        tasks.spawn(self.alerting.queue.run(), "notify")
        self.provider()
        self.collector.seen(SIDECAR, profile="", ready=True)
        self.collector.linked(SIDECAR, Running())

    def provider(self, **spec: Any) -> None:
        plain = {"type": "openai_compatible", "baseURL": "http://127.0.0.1:1", "models": [{"name": "m"}]}
        self._put(PROVIDER, "claude", {**plain, **spec})

    def rule(self, *names: str, **spec: Any) -> None:
        hooks = [{"name": name, "webhook": {"url": "http://127.0.0.1:9"}} for name in names or ("hook",)]
        self._put(ALERT_RULE, "failing", {"condition": "error_rate > 5%", "notifications": hooks, **spec})

    def _put(self, resource: Any, name: str, spec: dict[str, Any]) -> None:
        self.version += 1
        more = {"resourceVersion": str(self.version), "generation": self.version}
        self.store.upsert(resource, {"metadata": metadata(name, **more), "spec": spec})
        self.reconciler.compile()

    def errors(self, errors: int) -> None:
        figures = ProviderTraffic(requests=100, errors=errors)
        self.collector.heard_traffic(SIDECAR, Traffic(providers={f"{NAMESPACE}/claude": figures}))

    async def pass_(self, seconds: float = 2.0, step: float = 2.0) -> None:
        """Let time go by, looking every two seconds."""
        for _ in range(int(seconds / step)):
            self.clock.advance(step)
            self.alerting.look()
            for _ in range(10):
                await asyncio.sleep(0)

    def count(self, result: str) -> float:
        found = 0.0
        for metric in self.metrics.notifications.collect():
            found += sum(
                one.value
                for one in metric.samples
                if one.labels.get("result") == result and one.name.endswith("_total")
            )
        return found


@pytest.fixture
async def world() -> AsyncIterator[World]:
    tasks = Tasks()
    yield World(tasks)
    await tasks.stop()


async def test_it_tells_that_it_fires_and_that_it_is_over(world: World) -> None:
    world.rule()
    world.errors(50)
    await world.pass_(4)
    assert [message.fires for message in world.channels.sent] == [True]
    world.errors(0)
    await world.pass_(20)
    assert [message.fires for message in world.channels.sent] == [True, False]
    assert set(world.changed) == {KEY}


async def test_a_channel_that_hangs_delays_no_other(world: World) -> None:
    world.channels.hanging = {"slow"}
    world.rule("slow", "fast")
    world.errors(50)
    await world.pass_(4)
    world.errors(0)
    await world.pass_(20)
    assert [message.channel for message in world.channels.sent] == ["fast", "fast"]
    assert world.channels.tried.count("slow") == 1, "one message at a time"


async def test_a_failing_channel_is_tried_ever_more_slowly_and_then_told(world: World) -> None:
    world.channels.answers = {"hook": Later("answered 500")}
    world.rule()
    world.errors(50)
    await world.pass_(600)
    tries = len(world.channels.tried)
    assert 6 <= tries <= 14
    assert world.count("retried") == tries
    alerts = world.alerting.alerts(KEY)
    assert alerts is not None
    assert alerts.channels["hook"].message == "answered 500"
    del world.channels.answers["hook"]
    await world.pass_(320)
    assert len(world.channels.sent) == 1


async def test_what_is_over_before_it_could_be_told_is_never_told(world: World) -> None:
    world.channels.answers = {"hook": Later("answered 500")}
    world.rule()
    world.errors(50)
    await world.pass_(60)
    world.errors(0)
    await world.pass_(4)
    del world.channels.answers["hook"]
    await world.pass_(600)
    assert world.channels.sent == []


async def test_retry_after_is_respected(world: World) -> None:
    world.channels.answers = {"hook": Later("answered 429", 120.0)}
    world.rule()
    world.errors(50)
    await world.pass_(120)
    assert len(world.channels.tried) == 1
    await world.pass_(10)
    assert len(world.channels.tried) == 2


async def test_what_only_a_person_can_mend_waits_for_a_change(world: World) -> None:
    world.channels.answers = {"hook": Never("answered 404")}
    world.rule()
    world.errors(50)
    await world.pass_(600)
    assert len(world.channels.tried) == 1
    assert world.count("failed") == 1
    del world.channels.answers["hook"]
    world.rule(severity="critical")
    await world.pass_(4)
    assert len(world.channels.sent) == 1


async def test_only_the_leader_tells(world: World) -> None:
    world.rule()
    world.errors(50)
    world.leads = False
    await world.pass_(60)
    assert world.channels.tried == []
    world.leads = True
    await world.pass_(4)
    assert len(world.channels.sent) == 1


async def test_a_leader_that_has_not_heard_its_sidecars_judges_nothing_for_ten_seconds(world: World) -> None:
    world.rule(condition="requests_per_minute < 1")
    world.collector.lost(SIDECAR, "no link yet")
    await world.pass_(10)
    assert world.alerting.alerts(KEY) is None
    await world.pass_(4)
    assert world.alerting.alerts(KEY) is not None


async def test_a_rule_that_becomes_invalid_goes_on_as_it_was(world: World) -> None:
    world.rule()
    world.errors(50)
    await world.pass_(4)
    world.rule(condition="error_rat > 5%")
    await world.pass_(4)
    world.errors(0)
    await world.pass_(20)
    assert [message.fires for message in world.channels.sent] == [True, False]


async def test_a_disabled_provider_is_for_no_rule(world: World) -> None:
    world.rule()
    world.errors(50)
    await world.pass_(4)
    world.provider(enabled=False)
    await world.pass_(20)
    assert [message.fires for message in world.channels.sent] == [True, False]


async def test_a_misconfigured_provider_is_judged(world: World) -> None:
    world.rule(condition='provider_health == "unhealthy"')
    world.version += 1
    broken = {
        "metadata": metadata("claude", resourceVersion=str(world.version), generation=world.version),
        "spec": {"type": "openai"},
        "status": {"phase": "Misconfigured"},
    }
    world.store.upsert(PROVIDER, broken)
    world.reconciler.compile()
    await world.pass_(4)
    assert [message.fires for message in world.channels.sent] == [True]


async def test_sidecars_that_lag_behind_are_counted_for_who_asks(world: World) -> None:
    world.rule(condition="sidecars_unsynced > 0")
    await world.pass_(4)
    assert [message.fires for message in world.channels.sent] == [True]


async def test_a_selector_leaves_others_out(world: World) -> None:
    world.rule(providerSelector={"matchLabels": {"tier": "gold"}})
    world.errors(50)
    await world.pass_(10)
    alerts = world.alerting.alerts(KEY)
    assert alerts is not None
    assert alerts.entries == {}


async def test_a_deleted_rule_leaves_no_figures(world: World) -> None:
    world.rule()
    world.errors(50)
    await world.pass_(4)
    assert b'cliproxy_alerts{namespace="team",rule="failing"' in world.metrics.text()
    assert b"cliproxy_notifications_total{" in world.metrics.text()
    world.store.remove(ALERT_RULE, NAMESPACE, "failing", version=world.version + 1)
    world.reconciler.compile()
    await world.pass_(20)
    assert [message.fires for message in world.channels.sent] == [True, False]
    assert b"cliproxy_alerts{" not in world.metrics.text()
    assert b"cliproxy_notifications_total{" not in world.metrics.text()
    assert world.alerting._rulings == {}
