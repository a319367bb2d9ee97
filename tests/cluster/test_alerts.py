"""AlertRules on a real API server: judged, told, resolved, and not told twice by the next leader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.report import ProviderTraffic, Traffic
from cliproxy_dev.controlplane.start import ControlPlane
from support.cluster import eventually, kubectl
from support.fakesidecar import FakeSidecar
from support.operatorproc import OperatorProcess, Shop, running
from support.receivers import Receiver

pytestmark = pytest.mark.timeout(120)

Pair = tuple[OperatorProcess, Shop]


@pytest.fixture
async def pair(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> AsyncIterator[Pair]:
    async with running(control_plane, namespace, tmp_path) as pair:
        yield pair


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as receiver:
        yield receiver


def traffic(shop: Shop, *, errors: int, requests: int = 100) -> Traffic:
    figures = ProviderTraffic(requests=requests, errors=errors, latency_buckets={100: requests})
    return Traffic(providers={f"{shop.namespace}/claude": figures})


async def rule(shop: Shop, receiver: Receiver, **spec: Any) -> None:
    channel = {"name": "hook", "webhook": {"url": f"{receiver.url}/hook"}}
    await shop.apply(
        "AlertRule", "failing", {"condition": "error_rate > 5%", "notifications": [channel]} | spec
    )


async def state(shop: Shop, wanted: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        status = await shop.status("failing", "AlertRule")
        entries = status.get("providers") or [{}]
        return status if entries[0].get("state") == wanted else None

    found = await eventually(look, within_s=30, what=f"claude is {wanted}")
    assert found is not None
    return found


async def told(shop: Shop) -> list[str]:
    reasons = ("AlertPending", "AlertFiring", "AlertResolved")
    return sorted(str(event["reason"]) for event in await shop.events() if event["reason"] in reasons)


async def begun(shop: Shop, fake: FakeSidecar) -> None:
    await shop.secret()
    await shop.provider("claude")
    await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.providers)
    fake.tell(traffic(shop, errors=0))


async def test_an_outage_is_pending_fires_is_told_and_resolved(
    pair: Pair, receiver: Receiver, control_plane: ControlPlane
) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await begun(shop, fake)
        await rule(shop, receiver, duration="3s")
        await state(shop, "Inactive")

        fake.tell(traffic(shop, errors=50))
        await state(shop, "Pending")
        assert receiver.got == []
        await state(shop, "Firing")
        await receiver.until(lambda: receiver.got)

        fake.tell(traffic(shop, errors=0))
        await state(shop, "Inactive")
        await receiver.until(lambda: len(receiver.got) == 2)

        async def forgotten() -> bool:
            entry = (await shop.status("failing", "AlertRule"))["providers"][0]
            return "told" not in entry and entry["lastNotification"]["result"] == "Delivered"

        await eventually(forgotten, what="the channel knows that it is over")
        await eventually(lambda: seen_events(shop, 3), what="three Events")

    bodies = [got.json for got in receiver.got]
    assert [body["status"] for body in bodies] == ["firing", "resolved"]
    assert bodies[0]["alerts"][0]["provider"] == "claude"
    assert bodies[0]["alerts"][0]["figures"][0]["value"] == 0.5
    assert "lastedSeconds" in bodies[1]["alerts"][0]
    assert await told(shop) == ["AlertFiring", "AlertPending", "AlertResolved"]
    assert (await shop.condition("failing", "Delivering", "AlertRule"))["status"] == "True"
    assert await operator.metric("cliproxy_notifications_total", rule="failing", result="delivered") == 2
    columns = kubectl(control_plane, "-n", shop.namespace, "get", "llmalert", "failing", "--no-headers")
    assert columns.stdout.split()[:4] == ["failing", "warning", "Inactive", "0"], columns


async def seen_events(shop: Shop, count: int) -> bool:
    return len(await told(shop)) >= count


async def test_kill_9_while_firing_pages_nobody_again_and_resolves_once(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path, receiver: Receiver
) -> None:
    async with (
        running(control_plane, namespace, tmp_path) as (operator, shop),
        shop.sidecar(operator) as fake,
    ):
        await begun(shop, fake)
        await rule(shop, receiver)
        await state(shop, "Inactive")
        fake.tell(traffic(shop, errors=50))
        await receiver.until(lambda: receiver.got)

        async def noted() -> bool:
            return bool((await shop.status("failing", "AlertRule"))["providers"][0].get("told"))

        await eventually(noted, what="status says who was told")
        before = (await shop.status("failing", "AlertRule"))["providers"]
        await operator.kill()
        await fake.until(lambda: not fake.read)

        operator.process.start()
        await operator.ready()
        await fake.until(lambda: fake.read)
        fake.tell(traffic(shop, errors=50))
        await eventually(lambda: judged(operator), what="the next leader judges", within_s=30)
        writes = await operator.writes()
        lease = await operator.metric("cliproxy_operator_api_writes_total", kind="Lease")

        async def some_seconds() -> bool:
            return await operator.metric("cliproxy_operator_api_writes_total", kind="Lease") >= lease + 4

        await eventually(some_seconds, within_s=30)
        assert (await shop.status("failing", "AlertRule"))["providers"] == before
        assert len(receiver.got) == 1, "nobody is paged again"
        assert await operator.writes() - writes <= 1, "a steady alert writes nothing; figures may, once"

        fake.tell(traffic(shop, errors=0))
        await receiver.until(lambda: len(receiver.got) == 2)
        await state(shop, "Inactive")
    assert [got.json["status"] for got in receiver.got] == ["firing", "resolved"]
    assert len(set(await_ids(receiver))) == 2


def await_ids(receiver: Receiver) -> list[str]:
    return [got.json["id"] for got in receiver.got]


async def judged(operator: OperatorProcess) -> bool:
    return await operator.metric("cliproxy_alerts", rule="failing", state="firing") == 1


async def test_a_missing_secret_is_named_and_the_other_channel_works(pair: Pair, receiver: Receiver) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await begun(shop, fake)
        hook = {"name": "hook", "webhook": {"url": f"{receiver.url}/hook"}}
        signed = {
            "name": "signed",
            "webhook": {"url": f"{receiver.url}/signed", "secretRef": {"name": "late", "key": "hmac"}},
        }
        await rule(shop, receiver, notifications=[signed, hook])
        await state(shop, "Inactive")
        ready = await shop.condition("failing", "Ready", "AlertRule")
        assert (ready["status"], ready["reason"]) == ("False", "SecretNotFound")
        assert "late" in ready["message"]

        fake.tell(traffic(shop, errors=50))
        await receiver.until(lambda: receiver.got)
        assert [got.path for got in receiver.got] == ["/hook"]

        async def named() -> bool:
            condition = await shop.condition("failing", "Delivering", "AlertRule")
            return condition["status"] == "False" and "'late'" in condition["message"]

        await eventually(named, what="Delivering names the Secret")
        await shop.secret("late", hmac="planted-hmac-key")
        await receiver.until(lambda: len(receiver.got) == 2)
        assert receiver.got[1].path == "/signed"
        assert receiver.got[1].headers["x-cliproxy-signature"].startswith("sha256=")

    status = await shop.get("AlertRule", "failing")
    assert "planted-hmac-key" not in operator.log() + str(status) + str(await shop.events())


async def test_a_deleted_rule_tells_that_it_is_over(pair: Pair, receiver: Receiver) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await begun(shop, fake)
        await rule(shop, receiver)
        fake.tell(traffic(shop, errors=50))
        await receiver.until(lambda: receiver.got)
        await shop.delete("AlertRule", "failing")
        await receiver.until(lambda: len(receiver.got) == 2)
    assert receiver.got[1].json["status"] == "resolved"


async def test_a_deleted_provider_is_over_and_leaves_the_status(pair: Pair, receiver: Receiver) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await begun(shop, fake)
        await rule(shop, receiver)
        fake.tell(traffic(shop, errors=50))
        await receiver.until(lambda: receiver.got)
        await shop.delete("LLMProvider", "claude")
        await receiver.until(lambda: len(receiver.got) == 2)

        async def gone() -> bool:
            status = await shop.status("failing", "AlertRule")
            return not status.get("providers") and status.get("state") == "Inactive"

        await eventually(gone, what="the provider is out of the rule's status")
    assert [got.json["status"] for got in receiver.got] == ["firing", "resolved"]
    assert "tried again later" not in operator.log()
