"""What GitOps tools see of our objects on a real API server, while the operator runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import Json
from support.cluster import eventually
from support.fakesidecar import FakeSidecar
from support.gitops import argo, kstatus, kstatus_faults
from support.operatorproc import OperatorProcess, Shop, running

pytestmark = pytest.mark.timeout(300)

HOOK = {"name": "hook", "webhook": {"url": "http://127.0.0.1:9/hook"}}


@pytest.fixture
async def pair(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> AsyncIterator[tuple[OperatorProcess, Shop]]:
    async with running(control_plane, namespace, tmp_path) as pair:
        yield pair


async def seen(shop: Shop, kind: str, name: str, health: str, computed: str) -> str:
    """Wait until both tools say so, of a status that keeps kstatus's conventions; return the message."""

    async def look() -> str | None:
        obj = last[0] = await shop.get(kind, name)
        said, message = argo(obj)
        if (said, kstatus(obj)) != (health, computed):
            return None
        assert not kstatus_faults(obj), (kstatus_faults(obj), obj["status"])
        return message

    last: list[Json] = [{}]
    try:
        message = await eventually(look, within_s=30, what=f"{kind} {name} is {health} and {computed}")
    except AssertionError as error:
        raise AssertionError(f"{error}; {argo(last[0])}, {last[0].get('status')}") from None
    assert message is not None
    return message


async def test_what_no_operator_has_judged_is_progressing(
    control_plane: ControlPlane, crds: object, namespace: str
) -> None:
    async with control_plane.api() as api:
        shop = Shop(api, namespace)
        await shop.provider("claude")
        await shop.apply("CooldownPolicy", "calm", {})
        await shop.apply("ProxyProfile", "plain", {})
        await shop.apply("AlertRule", "failing", {"condition": "error_rate > 5%", "notifications": [HOOK]})
        for kind, name in (
            ("LLMProvider", "claude"),
            ("CooldownPolicy", "calm"),
            ("ProxyProfile", "plain"),
            ("AlertRule", "failing"),
        ):
            message = await seen(shop, kind, name, "Progressing", "InProgress")
            assert "has not judged generation 1" in message


async def test_a_sync_sees_healthy_progressing_degraded_and_suspended(
    pair: tuple[OperatorProcess, Shop],
) -> None:
    operator, shop = pair
    await shop.secret()
    async with shop.sidecar(operator) as fake:
        await shop.provider("claude")
        await shop.apply("CooldownPolicy", "calm", {})
        await shop.apply("ProxyProfile", "plain", {})
        await shop.apply("AlertRule", "failing", {"condition": "error_rate > 5%", "notifications": [HOOK]})
        await seen(shop, "LLMProvider", "claude", "Healthy", "Current")
        await seen(shop, "CooldownPolicy", "calm", "Healthy", "Current")
        await seen(shop, "ProxyProfile", "plain", "Healthy", "Current")
        await seen(shop, "AlertRule", "failing", "Healthy", "Current")

        await shop.annotate("LLMProvider", "claude", cooldown="10m")
        await shop.until_phase("claude", "CoolingDown")
        message = await seen(shop, "LLMProvider", "claude", "Healthy", "Current")
        assert message == "in force; CoolingDown (Manual)"

        await rollout(shop, fake)

        link_local = "https://169.254.169.254"
        await shop.provider("forbidden", baseURL=link_local)
        assert "AddressRefused" in await seen(shop, "LLMProvider", "forbidden", "Degraded", "Failed")
        await shop.provider("keyless", secret="nowhere")
        await shop.provider("off", enabled=False)
        await seen(shop, "LLMProvider", "off", "Suspended", "Current")
        await shop.apply("CooldownPolicy", "calm", {"enabled": False})
        await seen(shop, "CooldownPolicy", "calm", "Suspended", "Current")
        rule: dict[str, Any] = {"condition": "error_rate > 5%", "notifications": [HOOK]}
        await shop.apply("AlertRule", "failing", rule | {"suspend": True})
        await seen(shop, "AlertRule", "failing", "Suspended", "Current")
        signed = {**HOOK["webhook"], "secretRef": {"name": "late", "key": "hmac"}}  # type: ignore[dict-item]
        await shop.apply("AlertRule", "mute", rule | {"notifications": [{"name": "hook", "webhook": signed}]})
        assert "SecretNotFound" in await seen(shop, "AlertRule", "mute", "Degraded", "Failed")


async def rollout(shop: Shop, fake: FakeSidecar) -> None:
    """Change a provider while its sidecar is slow, then while it refuses."""
    fake.gate.clear()
    await shop.provider("claude", priority=7)
    await seen(shop, "LLMProvider", "claude", "Progressing", "InProgress")
    fake.gate.set()
    await seen(shop, "LLMProvider", "claude", "Healthy", "Current")
    fake.refuse_snapshots = "this one is not for me"
    await shop.provider("claude", priority=8)
    message = await seen(shop, "LLMProvider", "claude", "Degraded", "Failed")
    assert "this one is not for me" in message
    fake.refuse_snapshots = ""
    await shop.provider("claude", priority=9)
    await seen(shop, "LLMProvider", "claude", "Healthy", "Current")
