"""A new leader finds everything as it was: it writes the Lease and nothing else."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.report import ProviderTraffic, Traffic
from cliproxy_dev.controlplane.start import ControlPlane
from support.cluster import eventually
from support.operatorproc import OperatorProcess, Shop, running

pytestmark = pytest.mark.timeout(120)
QUICK = {"CLIPROXY_LEASE_DURATION": "2s", "CLIPROXY_LEASE_RENEW": "1s", "CLIPROXY_LEASE_RETRY": "250ms"}
PODS = ("app-1", "app-2", "app-3")


async def stands(operator: OperatorProcess, standing: str) -> bool:
    try:
        return bool((await operator.get("/health/ready"))[1]["standing"] == standing)
    except (OSError, TimeoutError):
        return False


def status_writes(plane: ControlPlane, shop: Shop) -> list[dict[str, Any]]:
    return [
        entry["objectRef"]
        for entry in plane.writes()
        if entry["objectRef"].get("namespace") == shop.namespace
        and entry["objectRef"].get("subresource") == "status"
        and entry["objectRef"].get("apiGroup") == "cliproxy.io"
    ]


async def test_a_steady_takeover_writes_no_status(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        first, shop = await stack.enter_async_context(running(control_plane, namespace, tmp_path, env=QUICK))
        port = {"CLIPROXY_CONTROL_PORT": str(first.control_port)}
        second = OperatorProcess(control_plane, namespace, tmp_path, env=QUICK | port)
        await stack.enter_async_context(second)
        fakes = [await stack.enter_async_context(shop.sidecar(first, pod, profile="default")) for pod in PODS]
        await shop.secret()
        for name in ("one", "two"):
            await shop.provider(name)
        await shop.apply("CooldownPolicy", "mild", {"default": True})
        await shop.apply("ProxyProfile", "default", {})

        async def counts(name: str, summary: str, kind: str = "LLMProvider") -> bool:
            return bool(((await shop.status(name, kind)).get("sidecars") or {}).get("summary") == summary)

        for name, kind in (("one", "LLMProvider"), ("two", "LLMProvider"), ("default", "ProxyProfile")):
            await eventually(partial(counts, name, "3/3", kind), within_s=20, what=f"{name} is in force")
        await eventually(lambda: stands(second, "standby"), within_s=30)
        epoch, before = fakes[0].newest_epoch, len(status_writes(control_plane, shop))

        *quick, slow = fakes
        slow.door.clear()
        await first.kill()
        for fake in quick:
            await fake.until(lambda fake=fake: fake.newest_epoch > epoch and fake.read, within_s=20)
            fake.tell(Traffic(providers={f"{shop.namespace}/one": ProviderTraffic(requests=20)}))
        # What comes after this is judged after everything else was; of what is new nothing stood before.
        await shop.provider("three")
        await eventually(partial(counts, "three", "2/3"), within_s=8, what="one is not heard yet")
        assert await counts("one", "3/3")
        slow.door.set()
        await eventually(partial(counts, "three", "3/3"), within_s=20, what="all are heard")
        written = [ref["name"] for ref in status_writes(control_plane, shop)[before:]]
        assert {"one", "two", "mild"}.isdisjoint(written), written
