"""The command line on the real API server, started as people start it: `kubectl cliproxy`."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import KubeApi
from cliproxy_operator.clock import Clock
from support.cluster import KUBECTL, eventually
from support.operatorproc import Shop, running

pytestmark = pytest.mark.timeout(120)
MODEL = "gpt-4o"


async def kubectl(plane: ControlPlane, namespace: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the real kubectl, which finds the plugin beside itself on the PATH."""
    env = os.environ | {
        "HOME": str(plane.layout.root),
        "KUBECONFIG": str(plane.kubeconfig),
        "PATH": f"{KUBECTL.parent}:{os.environ['PATH']}",
    }
    return await asyncio.to_thread(
        subprocess.run,
        [str(KUBECTL), *words, *(("-n", namespace) if namespace else ())],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def told(plane: ControlPlane, namespace: str, *words: str) -> Any:
    done = await kubectl(plane, namespace, "cliproxy", *words, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def status_of(api: KubeApi, shop: Shop, name: str, status: dict[str, Any]) -> None:
    await api.request(
        "PATCH",
        shop.path("LLMProvider", name) + "/status",
        body={"status": status},
        content_type="application/merge-patch+json",
    )


async def test_kubectl_finds_the_plugin_and_it_tells_status_and_costs(
    control_plane: ControlPlane, crds: object, namespace: str
) -> None:
    today = Clock().utc().date().isoformat()
    models = [{"model": MODEL, "cost": "6.00", "requests": 3, "inputTokens": 2_000_000, "outputTokens": 0}]
    async with control_plane.api() as api:
        shop = Shop(api, namespace)
        for name, price in (("dear", "3"), ("cheap", "2")):
            await shop.provider(name, models=[{"name": MODEL, "pricing": {"input": price, "output": "10"}}])
        await status_of(
            api,
            shop,
            "dear",
            {
                "observedGeneration": 1,
                "phase": "CoolingDown",
                "reason": "RateLimited",
                "inCooldown": True,
                "cooldownUntil": "2999-01-01T00:00:00Z",
                "cost": {"day": today, "today": "6.00", "thisMonth": "6.00", "models": models},
            },
        )

    table = await kubectl(control_plane, namespace, "cliproxy", "status")
    costs = await told(control_plane, namespace, "cost")
    words = await kubectl(control_plane, "", "__complete", "cliproxy", "st")

    assert table.returncode == 0, table.stderr
    rows = {line.split()[0]: line.split()[1:] for line in table.stdout.splitlines()}
    assert rows["dear"][0] == "CoolingDown"
    assert rows["dear"][2:] == ["RateLimited", "$6.00"]
    assert "\033" not in table.stdout
    assert costs["recommendations"][0]["arithmetic"] == (
        "$6.00 paid - (2,000,000 fresh input x $2.00/M = $4.00) = $2.00"
    )
    assert "status" in words.stdout.split()


async def test_levers_work_through_the_operator(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    async with running(control_plane, namespace, tmp_path) as (operator, shop):
        await shop.secret()
        await shop.provider("claude")
        await eventually(lambda: shop.condition("claude", "Accepted"))
        cooled = await kubectl(control_plane, namespace, "cliproxy", "cooldown", "claude", "--for", "30m")
        (row,) = await told(control_plane, namespace, "status")
        recovered = await kubectl(control_plane, namespace, "cliproxy", "recover", "claude")
        bundle = tmp_path / "bundle.tar.gz"
        bundled = await kubectl(control_plane, namespace, "cliproxy", "support-bundle", "-f", str(bundle))
        lines = [json.loads(line) for line in operator.log().splitlines() if '"audit"' in line]

    assert (cooled.returncode, recovered.returncode) == (0, 0), cooled.stderr + recovered.stderr
    assert cooled.stdout.startswith("claude: sits out until ")
    assert row["status"]["cooldowns"][0]["reason"] == "manual"
    events = [(line["event"], line["who"]) for line in lines if line["event"].startswith("manual_")]
    assert events == [("manual_cooldown", "kubectl-cliproxy"), ("manual_recovery", "kubectl-cliproxy")]
    assert bundled.returncode == 0, bundled.stderr
    assert bundle.stat().st_size > 0


async def test_what_is_wrong_is_told_in_words(
    control_plane: ControlPlane, crds: object, namespace: str
) -> None:
    nobody = await kubectl(control_plane, namespace, "cliproxy", "recover", "nobody")
    astray = await kubectl(control_plane, namespace, "cliproxy", "status", "--context", "nowhere")

    assert nobody.returncode == 1
    assert f"there is no LLMProvider 'nobody' in namespace {namespace}" in nobody.stderr
    assert "no context 'nowhere'; there is " in astray.stderr
