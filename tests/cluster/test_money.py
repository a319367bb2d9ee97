"""What the fleet uses, on the real API server: told to sidecars, kept in status, known after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.report import Used, UsedEntry
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_operator.clock import Clock
from support.cluster import eventually
from support.fakesidecar import FakeSidecar
from support.operatorproc import Shop, running

pytestmark = pytest.mark.timeout(120)
MODEL = "claude-sonnet-4-5"
DOLLAR = 10**9
GATEWAY: dict[str, Any] = {
    "consumers": [
        {
            "name": "web",
            "keySecretRef": {"name": "callers", "key": "web"},
            "budget": {"daily": "5", "onExceeded": "Block"},
        }
    ]
}


def used(shop: Shop, *, dollars: int, tokens: int, age_s: float, standing: bool = False) -> Used:
    entry = UsedEntry(
        day=Clock().utc().strftime("%Y-%m-%d"),
        provider=f"{shop.namespace}/claude",
        model=MODEL,
        consumer="web",
        requests=3,
        tokens=tokens,
        nano_usd=dollars * DOLLAR,
        input=tokens,
    )
    return Used(boot="b1", age_s=age_s, standing=standing, entries=(entry,))


def quota_told(fake: FakeSidecar, provider: str) -> int | None:
    amount = fake.state.state.quotas.get(provider) if fake.state is not None else None
    return amount.used if amount is not None else None


async def test_costs_and_quotas_are_shared_and_survive_the_operator(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    async def spent(shop: Shop) -> bool:
        status = await shop.status("claude")
        return (status.get("cost") or {}).get("today") == "4.00"

    async def shown(shop: Shop) -> bool:
        consumers = (await shop.status("gateway", "ProxyProfile")).get("consumers") or []
        return [(one["name"], one["today"]) for one in consumers] == [("web", "4.00")]

    async with running(control_plane, namespace, tmp_path) as (operator, shop):
        provider = f"{shop.namespace}/claude"
        await shop.secret(key="sk-planted-provider")
        await shop.secret("callers", web="sk-planted-caller")
        prices = [{"name": MODEL, "pricing": {"input": "3", "output": "15"}}]
        await shop.provider("claude", models=prices, quota={"limit": 1000, "unit": "tokens"})
        await shop.apply("ProxyProfile", "gateway", GATEWAY)
        async with shop.sidecar(operator, profile="gateway") as fake:
            await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.profile.consumers)
            assert fake.snapshot is not None
            assert "sk-planted-caller" in fake.snapshot.secrets.values()
            await fake.until(lambda: fake.read)
            fake.tell(used(shop, dollars=4, tokens=900, age_s=0.0))
            await fake.until(lambda: quota_told(fake, provider) == 900)
            await eventually(lambda: spent(shop), what="the cost in status", within_s=30)
            await eventually(lambda: shown(shop), what="the consumer in status", within_s=30)
            budget = fake.state.state.budgets["gateway/web"] if fake.state is not None else None
            assert budget is not None
            assert budget.day is not None
            assert budget.day.used == 4 * DOLLAR
            path = f"/v0/operations/costs?namespace={shop.namespace}"
            assert (await operator.get(path))[0] == 401
            code, costs = await operator.get(path, token=control_plane.token)
            assert code == 200
            assert costs["today"]["by_provider"][provider]["cost_usd"] == 4.0
            report = costs["report"]
            assert (report["this_month_usd"], report["by_model"][0]["input_tokens"]) == (4.0, 900)
            assert report["by_consumer"][0]["this_month_usd"] == 4.0
        quota = (await shop.status("claude"))["quota"]
        assert (quota["used"], quota["remaining"]) == ("900", "100")
        assert "sk-planted-caller" not in operator.log()
        await operator.kill()

    async with (
        running(control_plane, namespace, tmp_path) as (operator, shop),
        shop.sidecar(operator, "app-2", profile="gateway") as fake,
    ):
        await fake.until(lambda: quota_told(fake, provider) == 900)
        # It had told the first operator already; only what comes on top counts.
        fake.tell(used(shop, dollars=4, tokens=900, age_s=3600.0, standing=True))
        fake.tell(used(shop, dollars=5, tokens=1000, age_s=3601.0))
        await fake.until(lambda: quota_told(fake, provider) == 1000)
        assert fake.state is not None
        told = fake.state.state.budgets["gateway/web"].day
        assert told is not None
        assert told.used == 5 * DOLLAR
        path = f"/v0/operations/costs?namespace={shop.namespace}"
        (model,) = (await operator.get(path, token=control_plane.token))[1]["report"]["by_model"]
        assert (model["cost_usd"], model["input_tokens"]) == (5.0, 1000)
