"""Both images as containers, as the chart says: an operator that leads, a gateway that serves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.images.build import Image
from cliproxy_dev.images.engine import obtain
from cliproxy_dev.images.play import player
from cliproxy_dev.kube import Json, KubeApi
from cliproxy_dev.nodeagent.agent import NodeAgent
from cliproxy_dev.providers.provider import ScriptedProvider
from support.cluster import eventually
from support.helm import Helm
from support.operatorproc import Shop
from support.releases import OPERATOR, Release, pod_of, released

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.environ.get("TEST_IMAGES") != "1", reason="make test-images builds and plays them"),
]
USER = 65532
MOST_BYTES = 90_000_000
"""What the sidecar may add to its base."""
ON_POD_IP = [
    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    {"name": "CLIPROXY_HOST", "value": "$(POD_IP)"},
]


@pytest.fixture
async def release(control_plane: ControlPlane, crds: object, helm: Helm) -> AsyncIterator[Release]:
    async with released(helm, control_plane) as release:
        yield release


def test_the_sidecar_is_small(images: dict[str, Image]) -> None:
    for image in images.values():
        print(image)  # noqa: T201 -- the sizes are what somebody runs this for
    sidecar = images["sidecar"]
    assert sidecar.size_bytes - sidecar.base_bytes <= MOST_BYTES


async def deployment(release: Release, api: KubeApi, name: str) -> Json:
    return await api.get(f"/apis/apps/v1/namespaces/{release.namespace}/deployments/{name}")


async def start(release: Release, api: KubeApi, pod: Json) -> None:
    await api.create(f"/api/v1/namespaces/{release.namespace}/pods", pod)


async def ready(release: Release, api: KubeApi, name: str) -> bool:
    pod = await api.get(f"/api/v1/namespaces/{release.namespace}/pods/{name}")
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def processes(module: str) -> list[Path]:
    """Return the containers' processes that run this module, as this machine sees them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            root = (entry / "mounts").read_text("utf-8")
        except OSError:
            continue
        if words[:3] == [b"/app/bin/python", b"-m", module.encode()] and "/images/storage/overlay" in root:
            found.append(entry)
    return found


@pytest.fixture
async def node(
    release: Release, control_plane: ControlPlane, images: dict[str, Image], tmp_path: Path
) -> AsyncIterator[NodeAgent]:
    """A node that plays both images as containers, and whose logs the API server can show."""
    engine = obtain(os.environ, Progress())
    agent = NodeAgent(
        control_plane.endpoint_of(),
        run_dir=tmp_path / "node",
        images={f"cliproxy-{name}": player(engine, image) for name, image in images.items()},
        node_name=f"node-{release.namespace}",
        namespaces=frozenset({release.namespace}),
        first_address="127.0.21.10",
        volume_owner=USER,
        serve_logs=True,
    )
    async with agent:
        yield agent
    await eventually(none_left, within_s=30, what="no container is left behind")


async def test_both_run_together_and_helm_tests_them(
    release: Release, control_plane: ControlPlane, node: NodeAgent, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"extraEnv": ON_POD_IP}), "utf-8")
    async with (
        control_plane.api() as api,
        ScriptedProvider(kind="openai", name="gpt", keys={"main": "sk-planted-key"}) as provider,
    ):
        release.install(
            "crds.install=false",
            "webhooks.enabled=false",
            f"watchNamespaces={{{release.namespace}}}",
            "gateway.enabled=true",
            values=values,
        )
        shop = Shop(api, release.namespace)
        await shop.secret()
        await shop.provider("gpt", type="openai", baseURL=provider.base_url, models=[{"name": "gpt-4o"}])
        await start(release, api, pod_of(await deployment(release, api, OPERATOR), "operator-1"))
        gateway = await deployment(release, api, f"{OPERATOR}-gateway")
        await start(release, api, on_its_own_address(pod_of(gateway, "gateway-1")))
        for name in ("operator-1", "gateway-1"):
            await eventually(
                lambda name=name: ready(release, api, name),  # type: ignore[misc]
                within_s=120,
                what=f"{name} is ready: {said(node, release.namespace, name)}",
            )
        await served(f"http://{node.address(release.namespace, 'gateway-1')}:8317")
        await eventually(lambda: synced(shop), within_s=30, what="the status counts the gateway")
        for module in ("cliproxy_operator", "cliproxy_sidecar"):
            [process] = processes(module)
            hardened(process)
        await judged_by_helm(release, ok=True, words="200 http://cliproxy-operator.")
        await api.delete(f"/api/v1/namespaces/{release.namespace}/pods/gateway-1")
        await eventually(no_gateway, within_s=90, what="the gateway has drained")
        await judged_by_helm(release, ok=False, words="0 http://cliproxy-operator-gateway.")


async def judged_by_helm(release: Release, *, ok: bool, words: str) -> None:
    """Run `helm test`, which waits for its pod to end and shows the log by way of the API server."""
    done = await asyncio.to_thread(release.run, "test", "--logs", "--timeout=90s")
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    assert words in done.stdout, done.stdout + done.stderr


async def no_gateway() -> bool:
    return not processes("cliproxy_sidecar")


async def synced(shop: Shop) -> bool:
    sidecars = (await shop.status("gpt")).get("sidecars") or {}
    return [sidecars.get(key) for key in ("total", "ready", "synced")] == [1, 1, 1]


async def none_left() -> bool:
    return not processes("cliproxy_operator") and not processes("cliproxy_sidecar")


def on_its_own_address(pod: Json) -> Json:
    """Let the gateway listen on the pod's address only: all pods here share the machine's network."""
    for one in pod["spec"]["containers"][0]["env"]:
        if one["name"] == "CLIPROXY_PROXY_HOST":
            one["value"] = "$(POD_IP)"
    return pod


def said(agent: NodeAgent, namespace: str, name: str) -> str:
    """Return the end of a container's output, for the message of a failure."""
    container = "operator" if name.startswith("operator") else "cliproxy"
    path = agent.log_path(namespace, name, container)
    return path.read_text("utf-8")[-2000:] if path.exists() else "it has said nothing"


async def served(url: str) -> None:
    body: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=body) as answer,
    ):
        text = await answer.text()
        assert answer.status == 200, text
        assert answer.headers["x-cliproxy-provider"] == "gpt"


def hardened(process: Path) -> None:
    """Assert of a running container what the chart's security context promises."""
    facts = dict(
        line.split(":\t", 1) for line in (process / "status").read_text("utf-8").splitlines() if ":\t" in line
    )
    assert set(facts["Uid"].split()) == {str(USER)}
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    mounts = [line.split() for line in (process / "mounts").read_text("utf-8").splitlines()]
    [root] = [mount for mount in mounts if mount[1] == "/"]
    assert "ro" in root[3].split(",")
