"""A control plane is destroyed under sidecars that serve: restored, its new operator leads them again."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cliproxy_api.channel import CA_SECRET, SIDECAR_TLS_SECRET
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.x509 import Pair
from support.cluster import eventually, install_crds
from support.commandline import run
from support.operatorproc import OperatorProcess, Shop
from support.pki import write
from support.providers import KEY
from support.sidecar import RunningSidecar, running_sidecar

pytestmark = pytest.mark.timeout(300)
HOME = "team-a"
"""Everything of this test is in the namespace that the test's sidecars say they are of."""
MODEL = "claude-sonnet-4-5"
OLD_EPOCH = 7
"""Of the leader that is lost; a new cluster's first leader would have 1."""


def texts(secret: Json) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


async def read(api: KubeApi, name: str) -> dict[str, str]:
    """Return a Secret's texts; nothing while it is not there."""
    try:
        return texts(await api.get(f"/api/v1/namespaces/{HOME}/secrets/{name}"))
    except ApiError:
        return {}


async def as_kubelet(api: KubeApi, folder: Path) -> None:
    """Bring the sidecar's pod the certificate that stands in the API server now."""
    found = await eventually(
        lambda: read(api, SIDECAR_TLS_SECRET), within_s=40, what="a certificate for sidecars"
    )
    write(folder, Pair(found["tls.crt"], Hidden(found["tls.key"])), found["ca.crt"])


async def begin(plane: ControlPlane) -> None:
    """Install what a new cluster needs before anything is restored."""
    await install_crds(plane)
    async with plane.api() as api:
        await api.create("/api/v1/namespaces", {"metadata": {"name": HOME}})


async def destroy(plane: ControlPlane) -> None:
    """Kill API server and etcd and remove all of their data: nothing of the cluster is left."""
    for process in (plane._apiserver, plane._etcd):
        assert process is not None
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    await asyncio.to_thread(shutil.rmtree, plane.layout.root)
    assert not plane.layout.etcd_data.exists()


def operator_of(plane: ControlPlane, sidecar: RunningSidecar, folder: Path) -> OperatorProcess:
    """Return an operator with certificates of its own, that finds the sidecar where it is."""
    ports = sidecar.sidecar.servers.ports
    env = {"CLIPROXY_CONTROL_TOKEN": "", "CLIPROXY_CONTROL_PORT": str(ports["control"])}
    return OperatorProcess(plane, HOME, folder, env=env)


async def settle(shop: Shop, provider: ScriptedProvider) -> None:
    """A lease of many leaders, a provider that serves, one that cools down, and the sidecar's pod."""
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases"
    spec = {"leaseTransitions": OLD_EPOCH - 1, "leaseDurationSeconds": 1}
    await shop.api.create(leases, {"metadata": {"name": "cliproxy-operator"}, "spec": spec})
    await shop.secret(key=KEY)
    for name in ("claude", "spare"):
        await shop.provider(name, baseURL=provider.base_url, healthCheck={"enabled": False})
    await shop.annotate("LLMProvider", "spare", cooldown="20m")
    await shop.pod("sidecar-1", "127.0.0.1")


def led(sidecar: RunningSidecar, *, epoch: int) -> bool:
    """Say whether an operator reads its reports, and has told it of both providers and of what cools."""
    return sidecar.sidecar.reporter.attached and sidecar.sidecar.snapshots.newest_epoch >= epoch


async def served(sidecar: RunningSidecar) -> str:
    """Return who serves a request now."""
    response = await sidecar.message(MODEL)
    assert response.status_code == 200, response.text
    return response.headers["x-cliproxy-provider"]


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider(kind="anthropic", name="claude", keys={"main": KEY}) as provider:
        yield provider


async def test_a_new_control_plane_leads_the_sidecars_of_the_destroyed_one(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    folder, shelf, phrase = tmp_path / "tls", tmp_path / "shelf", tmp_path / "phrase"
    phrase.write_text("planted backup passphrase")
    sealed = ("--passphrase-file", str(phrase))
    first = ControlPlane(tmp_path / "first")
    await first.start()
    try:
        async with running_sidecar(tls_dir=folder) as sidecar:
            await begin(first)
            async with first.api() as api, operator_of(first, sidecar, tmp_path) as operator:
                shop = Shop(api, HOME)
                await settle(shop, provider)
                await operator.ready()
                await as_kubelet(api, folder)
                await eventually(
                    lambda: cooling(sidecar), within_s=40, what="the sidecar refrains from spare"
                )
                assert led(sidecar, epoch=OLD_EPOCH)
                until = (await shop.until_phase("spare", "CoolingDown"))["cooldownUntil"]
                authority = (await read(api, CA_SECRET))["ca.crt"]
                words = ("backup", "create", "-n", HOME, "--output", str(shelf), "--include-secrets", *sealed)
                made = await asyncio.to_thread(run, *words, kubeconfig=first.kubeconfig)
                assert made.code == 0, made.err
                await destroy(first)
                await operator.kill()

            assert {await served(sidecar) for _ in range(4)} == {"claude"}, "it serves, and still refrains"
            async with ControlPlane(tmp_path / "second") as second:
                await begin(second)
                (file,) = shelf.iterdir()
                done = await asyncio.to_thread(
                    run, "restore", str(file), *sealed, kubeconfig=second.kubeconfig
                )
                assert done.code == 0, done.err
                await led_again(second, sidecar, tmp_path, authority=authority, until=until)
    finally:
        await first.stop()


async def cooling(sidecar: RunningSidecar) -> bool:
    """Say whether the sidecar serves and refrains from the provider that cools."""
    if not sidecar.sidecar.reporter.attached or not sidecar.sidecar.snapshots.newest_epoch:
        return False
    return {(await sidecar.message(MODEL)).headers.get("x-cliproxy-provider") for _ in range(4)} == {"claude"}


async def led_again(
    plane: ControlPlane, sidecar: RunningSidecar, folder: Path, *, authority: str, until: str
) -> None:
    """Start an operator on the restored objects: a stranger at first, then the sidecar's leader."""
    before = sidecar.sidecar.snapshots.newest_epoch
    async with plane.api() as api, operator_of(plane, sidecar, folder) as operator:
        shop = Shop(api, HOME)
        await operator.ready()
        await shop.pod("sidecar-1", "127.0.0.1")

        async def refused() -> bool:
            return await operator.metric("cliproxy_operator_link_failures_total", reason="tls") > 0

        await eventually(refused, within_s=40, what="an operator with another authority is refused")
        assert (await read(api, CA_SECRET))["ca.crt"] != authority
        assert not sidecar.sidecar.reporter.attached
        assert await served(sidecar) == "claude", "and callers notice nothing"

        await as_kubelet(api, folder / "tls")

        async def leads() -> bool:
            return led(sidecar, epoch=before + 1)

        await eventually(leads, within_s=60, what="the new operator leads the old sidecar")
        status = await shop.until_phase("spare", "CoolingDown")
        assert status["cooldownUntil"] == until
        await shop.annotate("LLMProvider", "spare", recover="now")
        await shop.provider("claude", baseURL="http://127.0.0.1:9", priority=2)

        async def follows() -> bool:
            return await served(sidecar) == "spare"

        await eventually(follows, within_s=40, what="the sidecar does what the new control plane says")
