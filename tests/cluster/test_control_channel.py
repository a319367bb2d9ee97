"""Certificates and kept snapshots on a real API server, with the chart's rights and the demo's pods."""

from __future__ import annotations

import asyncio
import base64
import copy
import gzip
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from cliproxy_api import codec
from cliproxy_api.channel import DIGEST_ANNOTATION, SNAPSHOT_FILE, sidecar_host
from cliproxy_api.vocabulary import CONTROL_PORT
from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.layout import NAMESPACE, OPERATOR_NAMESPACE, PODS
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World, is_ready
from cliproxy_dev.kube import ApiError
from cliproxy_operator import x509
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.x509 import Pair
from support.cluster import eventually

pytestmark = pytest.mark.timeout(180)
TLS_SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/cliproxy-sidecar-tls"
SNAPSHOT_SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/cliproxy-snapshot-team-a"
CA_SECRET = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/cliproxy-ca"
PODS_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path, Narrator(sys.stderr)) as running:
        await eventually(running.all_healthy, within_s=30, what="every provider is healthy and in force")
        yield running


async def there(world: World, path: str) -> dict[str, Any] | None:
    try:
        return await world.kube.get(path)
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def texts(secret: dict[str, Any]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def secret_writes(world: World) -> list[str]:
    entries = [entry["objectRef"] for entry in world.operator_writes()]
    return [entry["name"] for entry in entries if entry["resource"] == "secrets"]


async def attached(world: World, pod: str) -> bool:
    async with world.http.get(f"http://{world.addresses[pod]}:9090/metrics") as response:
        lines = (await response.text()).splitlines()
        return any(line.startswith("cliproxy_operator_attached 1") for line in lines)


async def channel_is_mutual_tls(world: World) -> None:
    secret = await world.kube.get(TLS_SECRET)
    files = texts(secret)
    leaf = x509.read_leaf(Pair(files["tls.crt"], Hidden(files["tls.key"])), files["ca.crt"])
    authority = texts(await world.kube.get(CA_SECRET))
    assert secret["type"] == "kubernetes.io/tls"
    assert leaf is not None
    assert leaf.names == {sidecar_host(NAMESPACE)}
    assert leaf.issuer == x509.key_id(authority["tls.crt"])
    assert files["ca.crt"] == authority["ca.crt"] == authority["tls.crt"]
    written = sorted(secret_writes(world))
    assert written == sorted(set(written)), "each was written once"

    url = f"//{world.addresses['app-1']}:{CONTROL_PORT}/v0/control/reports"
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=authority["ca.crt"])
    with pytest.raises(aiohttp.ClientError):
        await world.http.get("http:" + url)
    with pytest.raises(aiohttp.ClientError):
        await world.http.get("https:" + url, ssl=trusting, server_hostname=sidecar_host(NAMESPACE))
    # A pod's own certificate is for servers: it does not make one the operator.
    trusting.load_cert_chain(*stored(world.run_dir, files))
    with pytest.raises(aiohttp.ClientError):
        await world.http.get("https:" + url, ssl=trusting, server_hostname=sidecar_host(NAMESPACE))
    assert await attached(world, "app-1")


def stored(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_text(files[name], "ascii")
    return folder / "tls.crt", folder / "tls.key"


async def certificate_is_put_right(world: World) -> None:
    async def good() -> bool:
        secret = await there(world, TLS_SECRET)
        files = texts(secret) if secret is not None else {}
        if "tls.crt" not in files:
            return False
        return x509.read_leaf(Pair(files["tls.crt"], Hidden(files["tls.key"])), files["ca.crt"]) is not None

    await world.kube.delete(TLS_SECRET)
    await eventually(good, what="it is there again")
    rubbish = {"data": {"tls.key": base64.b64encode(b"rubbish").decode()}}
    await world.kube.merge_patch(TLS_SECRET, rubbish)
    assert not await good()
    await eventually(good, what="it is good again")
    for pod in PODS:
        assert await attached(world, pod), "links that stand are not disturbed"


async def authority_survives_deletion(world: World) -> None:
    before = await world.kube.get(CA_SECRET)
    await world.kube.delete(CA_SECRET)

    async def back() -> bool:
        secret = await there(world, CA_SECRET)
        return secret is not None and secret["data"] == before["data"]

    await eventually(back, what="the same authority is there again")


async def what_is_over_does_not_stay(world: World) -> None:
    """Somebody has put a copy back: with a next authority that signs by now, a former one that is over."""
    data = (await world.kube.get(CA_SECRET))["data"]
    over = {"next.crt": data["tls.crt"], "next.key": data["tls.key"], "former.crt": data["tls.crt"]}
    metadata = {"name": "cliproxy-ca", "namespace": OPERATOR_NAMESPACE}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": metadata,
        "data": data | over,
    }
    made = await world.kube.apply(CA_SECRET, body, manager="kubectl")
    assert made["data"] == data | over

    async def gone() -> bool:
        return bool((await world.kube.get(CA_SECRET))["data"] == data)

    await eventually(gone, within_s=30, what="the authority's Secret holds what is in force, and no more")


async def pod_like(world: World, name: str) -> None:
    """Create another pod like app-1."""
    source = world.manifest("pods.yaml").read_text("utf-8")
    pod = copy.deepcopy(next(yaml.safe_load_all(source)))
    pod["metadata"]["name"] = name
    await world.kube.create(PODS_PATH, pod)

    async def ready() -> bool:
        raw = await world.pod(name)
        world.addresses[name] = (raw.get("status") or {}).get("podIP", "")
        return is_ready(raw)

    await eventually(ready, within_s=20, what=f"{name} is Ready")


async def pod_born_while_away_serves(world: World) -> None:
    kept = await eventually(lambda: there(world, SNAPSHOT_SECRET), what="the snapshot is kept")
    assert kept["type"] == "cliproxy.io/snapshot"
    push = codec.decode_snapshot_push(gzip.decompress(base64.b64decode(kept["data"][SNAPSHOT_FILE])))
    assert kept["metadata"]["annotations"][DIGEST_ANNOTATION] == push.snapshot.digest
    before = [await world.kube.get(path) for path in (CA_SECRET, TLS_SECRET)]
    written = len(secret_writes(world))
    await world.parts["operator"].kill()

    await pod_like(world, "app-3")
    assert await world.ask("anthropic", "app-3", "claude-sonnet-5") == 200
    assert not await attached(world, "app-3")

    world.parts["operator"].start()
    for pod in (*PODS, "app-3"):
        await eventually(lambda pod=pod: attached(world, pod), within_s=20, what=f"{pod} is linked")
    assert [await world.kube.get(path) for path in (CA_SECRET, TLS_SECRET)] == before
    assert len(secret_writes(world)) == written, "what was in order was left alone"


async def sidecar_restarted_while_away_refrains(world: World) -> None:
    await world.preset("claude", "anthropic.rate_limit", times=1, retry_after=120)
    assert await world.ask("anthropic", "app-1", "claude-sonnet-5") == 200
    await eventually(lambda: world.refrains("app-2", "claude"), what="app-2 refrains")
    await asyncio.sleep(1.5)  # what is kept on disk is at most a second old
    await world.parts["operator"].kill()
    requests = await world.requests_count("claude", "/v1/messages")

    containers = (await world.pod("app-2"))["status"]["containerStatuses"]
    (process,) = [one["containerID"] for one in containers if "containerID" in one]
    os.kill(int(process.removeprefix("process://")), signal.SIGKILL)

    async def restarted() -> bool:
        pod = await world.pod("app-2")
        counts = [one["restartCount"] for one in pod["status"]["containerStatuses"]]
        return max(counts) == 1 and is_ready(pod)

    await eventually(restarted, within_s=20, what="app-2 runs again")
    assert await world.refrains("app-2", "claude")
    assert await world.ask("anthropic", "app-2", "claude-sonnet-5") == 200, "another provider serves"
    assert await world.requests_count("claude", "/v1/messages") == requests
    world.parts["operator"].start()
    await eventually(lambda: attached(world, "app-2"), within_s=20, what="app-2 is linked")


async def changes_are_kept_and_gone_profiles_are_not(world: World) -> None:
    before = await eventually(lambda: there(world, SNAPSHOT_SECRET), what="the snapshot is kept")
    await world.patch_spec("claude", {"weight": 7})

    async def other() -> bool:
        now = await world.kube.get(SNAPSHOT_SECRET)
        return bool(
            now["metadata"]["annotations"][DIGEST_ANNOTATION]
            != before["metadata"]["annotations"][DIGEST_ANNOTATION]
        )

    await eventually(other, within_s=20, what="the new snapshot is kept")
    await world.kube.delete(f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/proxyprofiles/team-a")

    async def gone() -> bool:
        return await there(world, SNAPSHOT_SECRET) is None

    await eventually(gone, within_s=20, what="the gone profile's keys are deleted")


async def test_certificates(world: World) -> None:
    await channel_is_mutual_tls(world)
    await certificate_is_put_right(world)
    await authority_survives_deletion(world)
    await what_is_over_does_not_stay(world)


async def test_the_operator_is_away(world: World) -> None:
    await pod_born_while_away_serves(world)
    await sidecar_restarted_while_away_refrains(world)
    await changes_are_kept_and_gone_profiles_are_not(world)
