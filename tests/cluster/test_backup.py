"""A control plane is lost and another one takes its place: backup, restore, and an operator that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.report import ProviderTraffic, Traffic, Used, UsedEntry
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_operator.clock import Clock
from support.cluster import eventually, install_crds
from support.commandline import Ran, run
from support.fakesidecar import FakeSidecar
from support.operatorproc import OperatorProcess, Shop, running
from support.receivers import Receiver

pytestmark = pytest.mark.timeout(600)
MODEL = "claude-sonnet-4-5"
KINDS = (("LLMProvider", "claude"), ("ProxyProfile", "gateway"), ("AlertRule", "failing"))
PASSPHRASE = "planted backup passphrase"
GATEWAY: dict[str, Any] = {
    "consumers": [
        {
            "name": "web",
            "keySecretRef": {"name": "callers", "key": "web"},
            "budget": {"monthly": "5", "onExceeded": "Block"},
        }
    ]
}


@pytest.fixture
async def second(namespace: str, tmp_path: Path) -> AsyncIterator[ControlPlane]:
    """Another control plane, with nothing in it but our CRDs and the operator's own namespace."""
    async with ControlPlane(tmp_path / "second") as plane:
        await install_crds(plane)
        async with plane.api() as api:
            await api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        yield plane


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as receiver:
        yield receiver


async def cliproxy(plane: ControlPlane, *argv: str) -> Ran:
    """Run the command line beside the test's own servers."""
    return await asyncio.to_thread(run, *argv, kubeconfig=plane.kubeconfig)


def used(shop: Shop, *, tokens: int) -> Used:
    entry = UsedEntry(
        day=Clock().utc().strftime("%Y-%m-%d"),
        provider=f"{shop.namespace}/claude",
        model=MODEL,
        consumer="web",
        requests=3,
        tokens=tokens,
        nano_usd=4 * 10**9,
    )
    return Used(boot="b1", age_s=0.0, entries=(entry,))


def errors(shop: Shop) -> Traffic:
    figures = ProviderTraffic(requests=100, errors=50, latency_buckets={100: 100})
    return Traffic(providers={f"{shop.namespace}/claude": figures})


async def settle(shop: Shop, receiver: Receiver) -> None:
    """Create one object of each kind, with Secrets."""
    await shop.secret(key="sk-planted-provider")
    await shop.secret("callers", web="sk-planted-caller")
    prices = [{"name": MODEL, "pricing": {"input": "3", "output": "15"}}]
    quota = {"limit": 1000, "unit": "tokens", "reset": "monthly"}
    await shop.apply("CooldownPolicy", "calm", {"default": True})
    await shop.provider("claude", models=prices, quota=quota)
    await shop.apply("ProxyProfile", "gateway", GATEWAY)
    channel = {"name": "hook", "webhook": {"url": f"{receiver.url}/hook"}}
    await shop.apply("AlertRule", "failing", {"condition": "error_rate > 5%", "notifications": [channel]})


async def lived(shop: Shop) -> dict[str, Any] | None:
    """Return what counts of the statuses, once all of it is there."""
    provider = await shop.status("claude")
    profile = await shop.status("gateway", "ProxyProfile")
    alerts = (await shop.status("failing", "AlertRule")).get("providers") or [{}]
    cooldowns = [(one["scope"], one["until"], one["phase"]) for one in provider.get("cooldowns") or []]
    quota, cost = provider.get("quota") or {}, provider.get("cost") or {}
    spent = [(one["name"], one["thisMonth"]) for one in profile.get("consumers") or []]
    alert = alerts[0]
    found = {
        "cooldowns": cooldowns,
        "quota": quota.get("used"),
        "cost": cost.get("thisMonth"),
        "spent": spent,
        "alert": (alert.get("state"), alert.get("firedAt"), alert.get("told")),
    }
    there = cooldowns and quota.get("used") == "900" and cost and spent and alert.get("told")
    return found if there else None


async def live(shop: Shop, operator: OperatorProcess, receiver: Receiver) -> dict[str, Any]:
    """Let it cool, spend and page; return what it remembers."""
    async with shop.sidecar(operator, profile="gateway") as fake:
        await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.profile.consumers)
        await fake.until(lambda: fake.read)
        fake.tell(used(shop, tokens=900))
        fake.tell(errors(shop))
        await shop.annotate("LLMProvider", "claude", cooldown="20m")
        await receiver.until(lambda: receiver.got)
        found = await eventually(lambda: lived(shop), within_s=40, what="all of its state")
        assert found is not None
        return found


async def versions(shop: Shop) -> dict[str, str]:
    objects = [await shop.get(*one) for one in (*KINDS, ("CooldownPolicy", "calm"))]
    return {one["kind"]: str(one["metadata"]["resourceVersion"]) for one in objects}


@pytest.mark.usefixtures("crds")
async def test_a_new_control_plane_goes_on_where_the_lost_one_stopped(
    control_plane: ControlPlane, second: ControlPlane, namespace: str, tmp_path: Path, receiver: Receiver
) -> None:
    shelf, phrase = tmp_path / "shelf", tmp_path / "phrase"
    phrase.write_text(PASSPHRASE)
    sealed = ("--passphrase-file", str(phrase))
    async with running(control_plane, namespace, tmp_path) as (operator, shop):
        await settle(shop, receiver)
        before = await live(shop, operator, receiver)
        made = await cliproxy(
            control_plane,
            "backup",
            "create",
            "-n",
            namespace,
            "--output",
            str(shelf),
            "--include-secrets",
            *sealed,
        )
        assert made.code == 0, made.err
    (path,) = shelf.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"planted" not in path.read_bytes()
    whole = await cliproxy(second, "backup", "verify", str(path), *sealed)
    assert whole.code == 0, whole.out + whole.err
    pages = len(receiver.got)

    restore = ("restore", str(path), *sealed, "-o", "json")
    async with running(second, namespace, tmp_path) as (operator, shop):
        rehearsed = await cliproxy(second, *restore, "--dry-run")
        done = await cliproxy(second, *restore)
        assert done.code == 0, done.out + done.err
        assert {one["did"] for one in done.json} == {"created"}
        assert [one["state"] for one in done.json if one["kind"] == "LLMProvider"] == ["restored"]
        assert rehearsed.json == done.json

        async with shop.sidecar(operator, profile="gateway") as fake:
            await goes_on(shop, fake, before)
            fake.tell(errors(shop))
            await eventually(lambda: judged(operator), within_s=30, what="the new operator judges")
            await renewals(operator, 4)
            assert await lived(shop) == before
            assert len(receiver.got) == pages, "nobody is paged again"

            stand = await versions(shop)
            again = await cliproxy(second, *restore)
            assert {(one["did"], one["state"]) for one in again.json} <= {
                ("unchanged", "known"),
                ("unchanged", "-"),
            }, again.out
            assert await versions(shop) == stand, "the second time changes nothing"
        await shop.annotate("LLMProvider", "claude", recover="now")
        await eventually(lambda: recovered(shop), what="recovered by hand")
        await operator.kill()
        operator.process.start()
        await operator.ready()
        assert await recovered(shop), "a later leader does not take the old state over again"


async def goes_on(shop: Shop, fake: FakeSidecar, before: dict[str, Any]) -> None:
    """Wait until the new operator remembers all of it, and its sidecar was told."""
    provider = f"{shop.namespace}/claude"
    found = await eventually(lambda: lived(shop), within_s=40, what="the state in the new cluster")
    assert found == before

    def told() -> bool:
        state = fake.state.state if fake.state is not None else None
        if state is None or provider not in state.quotas or not state.cooldowns:
            return False
        month = state.budgets["gateway/web"].month
        return state.quotas[provider].used == 900 and month is not None and month.used == 4 * 10**9

    await fake.until(told)
    for kind, name in KINDS:
        assert (await shop.status(name, kind))["restoredFrom"]


async def judged(operator: OperatorProcess) -> bool:
    return await operator.metric("cliproxy_alerts", rule="failing", state="firing") == 1


async def recovered(shop: Shop) -> bool:
    return not (await shop.status("claude")).get("cooldowns")


async def renewals(operator: OperatorProcess, count: int) -> None:
    """Let so many renewals of the lease pass: some seconds by the operator's own clock."""
    name = "cliproxy_operator_api_writes_total"
    before = await operator.metric(name, kind="Lease")

    async def passed() -> bool:
        return await operator.metric(name, kind="Lease") >= before + count

    await eventually(passed, within_s=30, what="time passes")
