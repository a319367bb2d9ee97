"""Both images as containers, as the chart says: an operator that leads, a gateway that serves."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from cliproxy_dev import kubeconfig
from cliproxy_dev.controlplane.find import CannotObtain, cache_dir
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.images.build import Image, build_all
from cliproxy_dev.kube import Json, KubeApi
from cliproxy_dev.nodeagent.agent import NodeAgent
from cliproxy_dev.providers.provider import ScriptedProvider
from support.cluster import create_namespace, eventually, remove_namespace
from support.helm import Helm
from support.operatorproc import Shop
from support.releases import OPERATOR, Release, pod_of

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
    {"name": "KUBECONFIG", "value": "/etc/kubeconfig/config"},
]


@pytest.fixture(scope="module")
def images() -> dict[str, Image]:
    try:
        return build_all(os.environ, Progress(sys.__stderr__))
    except CannotObtain as error:
        pytest.skip(str(error))


@pytest.fixture
async def release(control_plane: ControlPlane, crds: object, helm: Helm) -> AsyncIterator[Release]:
    namespace = await create_namespace(control_plane)
    release = Release(helm, control_plane, namespace)
    yield release
    release.run("uninstall")
    await remove_namespace(control_plane, namespace)


def test_the_sidecar_is_small(images: dict[str, Image]) -> None:
    for image in images.values():
        print(image)  # noqa: T201 -- the sizes are what somebody runs this for
    sidecar = images["sidecar"]
    assert sidecar.size_bytes - sidecar.base_bytes <= MOST_BYTES


async def kubeconfig_secret(release: Release, api: KubeApi, folder: Path) -> None:
    """Give the operator's pod what a kubelet would mount: its account's token."""
    path = folder / "account.kubeconfig"
    kubeconfig.write(path, await release.account(api), user=OPERATOR)
    body = {"metadata": {"name": "kubeconfig"}, "stringData": {"config": path.read_text("utf-8")}}
    await api.create(f"/api/v1/namespaces/{release.namespace}/secrets", body)


async def deployment(release: Release, api: KubeApi, name: str) -> Json:
    return await api.get(f"/apis/apps/v1/namespaces/{release.namespace}/deployments/{name}")


async def start(release: Release, api: KubeApi, pod: Json) -> None:
    pod["spec"].pop("serviceAccountName", None)
    pod["spec"].pop("serviceAccount", None)
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


async def test_both_run_together(
    release: Release, control_plane: ControlPlane, images: dict[str, Image], tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"extraEnv": ON_POD_IP}), "utf-8")
    store = str(cache_dir(os.environ) / "images")
    play = {
        f"cliproxy-{name}": [sys.executable, "-m", "cliproxy_dev.images.play", store, image.tag]
        for name, image in images.items()
    }
    agent = NodeAgent(
        control_plane.endpoint_of(),
        run_dir=tmp_path / "node",
        images=play,
        namespaces=frozenset({release.namespace}),
        first_address="127.0.21.10",
        volume_owner=USER,
    )
    async with (
        control_plane.api() as api,
        ScriptedProvider(kind="openai", name="gpt", keys={"main": "sk-planted-key"}) as provider,
    ):
        release.install(
            "crds.install=false",
            "webhooks.enabled=false",
            f"watchNamespaces={{{release.namespace}}}",
            "gateway.enabled=true",
            "gateway.host=$(POD_IP)",
            values=values,
        )
        await kubeconfig_secret(release, api, tmp_path)
        shop = Shop(api, release.namespace)
        await shop.secret()
        await shop.provider("gpt", type="openai", baseURL=provider.base_url, models=[{"name": "gpt-4o"}])
        operator = pod_of(await deployment(release, api, OPERATOR), "operator-1")
        add_kubeconfig(operator)
        gateway = pod_of(await deployment(release, api, f"{OPERATOR}-gateway"), "gateway-1")
        async with agent:
            await start(release, api, operator)
            await start(release, api, gateway)
            for name in ("operator-1", "gateway-1"):
                await eventually(
                    lambda name=name: ready(release, api, name),  # type: ignore[misc]
                    within_s=120,
                    what=f"{name} is ready: {said(agent, release.namespace, name)}",
                )
            await served(f"http://{agent.address(release.namespace, 'gateway-1')}:8317")
            await eventually(lambda: synced(shop), within_s=30, what="the status counts the gateway")
            for module in ("cliproxy_operator", "cliproxy_sidecar"):
                [process] = processes(module)
                hardened(process)
    await eventually(none_left, within_s=30, what="no container is left behind")


async def synced(shop: Shop) -> bool:
    sidecars = (await shop.status("gpt")).get("sidecars") or {}
    return [sidecars.get(key) for key in ("total", "ready", "synced")] == [1, 1, 1]


async def none_left() -> bool:
    return not processes("cliproxy_operator") and not processes("cliproxy_sidecar")


def add_kubeconfig(pod: Json) -> None:
    spec = pod["spec"]
    spec.setdefault("volumes", []).append({"name": "kubeconfig", "secret": {"secretName": "kubeconfig"}})
    mount = {"name": "kubeconfig", "mountPath": "/etc/kubeconfig", "readOnly": True}
    spec["containers"][0].setdefault("volumeMounts", []).append(mount)


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
