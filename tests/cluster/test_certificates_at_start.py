"""Certificates missing or wrong at start: the operator says which, and is Ready when they are good."""

from __future__ import annotations

import base64
import copy
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from cliproxy_api.channel import CA_SECRET, OPERATOR_ID
from cliproxy_dev import kubeconfig, rbac
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import Json, KubeApi
from cliproxy_dev.nodeagent.agent import NodeAgent
from cliproxy_operator.x509 import Pair
from support.cluster import eventually, kubectl
from support.operatorproc import OperatorProcess
from support.pki import HOUR, Authority

pytestmark = pytest.mark.timeout(180)
RENDERED = Path(__file__).parents[1] / "golden" / "chart" / "cert-manager.out.yaml"
MOUNTED = "cliproxy-operator-tls"
"""The chart's `controlChannel.existingSecret` in that render."""
IMAGES = {"operator": [sys.executable, "-m", "cliproxy_operator"]}
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
async def api(control_plane: ControlPlane, crds: object) -> AsyncIterator[KubeApi]:
    async with control_plane.api() as api:
        yield api


def operator_pod(plane: ControlPlane, namespace: str, folder: Path) -> Json:
    """Return the chart's own pod, but for what a process cannot have: a service account, a webhook port."""
    documents = yaml.safe_load_all(RENDERED.read_text("utf-8"))
    template = next(one["spec"]["template"] for one in documents if one["kind"] == "Deployment")
    spec = copy.deepcopy(template["spec"])
    (container,) = spec["containers"]
    config = folder / "operator.kubeconfig"
    kubeconfig.write(config, plane.endpoint_of(), user="admin")
    kept = [one for one in container["env"] if not one["name"].startswith("CLIPROXY_WEBHOOK")]
    container["env"] = [
        *(one for one in kept if one["name"] != "CLIPROXY_NAMESPACES"),
        {"name": "KUBECONFIG", "value": str(config)},
        {"name": "CLIPROXY_NAMESPACES", "value": namespace},
        {"name": "CLIPROXY_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    container["image"] = "operator"
    container["readinessProbe"]["periodSeconds"] = 1
    spec = {"containers": [container], "volumes": spec["volumes"], "terminationGracePeriodSeconds": 2}
    return {"metadata": {"name": "operator", "labels": template["metadata"]["labels"]}, "spec": spec}


def files(pair: Pair, authorities: str) -> dict[str, str]:
    texts = {"tls.crt": pair.certificate, "tls.key": pair.key.reveal(), "ca.crt": authorities}
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


async def test_a_pod_is_not_ready_until_its_mounted_certificate_is_good(
    control_plane: ControlPlane, api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    ours, theirs = Authority(), Authority()
    good = ours.operator()
    home = f"/api/v1/namespaces/{namespace}"
    agent = NodeAgent(
        control_plane.endpoint_of(),
        run_dir=tmp_path / "node",
        images=IMAGES,
        namespaces=frozenset({namespace}),
        first_address="127.0.23.10",
        addresses=4,
    )

    async def health() -> Any:
        address = agent.address(namespace, "operator")
        try:
            async with http.get(f"http://{address}:8080/health") as response:
                return await response.json()
        except aiohttp.ClientError:
            return {}

    async def says(words: str) -> bool:
        return any(words in reason for reason in (await health()).get("reasons", ()))

    def ready() -> str:
        done = kubectl(control_plane, "-n", namespace, "get", "pods", "operator", "--no-headers")
        return done.stdout.split()[1]

    async def mounted(data: dict[str, str]) -> None:
        await api.merge_patch(f"{home}/secrets/{MOUNTED}", {"data": data})

    async with aiohttp.ClientSession() as http, agent:
        await api.create(f"{home}/pods", operator_pod(control_plane, namespace, tmp_path))
        await eventually(lambda: says("tls.crt: No such file"), within_s=40, what="the empty folder is named")
        assert await says("controlChannel.existingSecret"), "and what to do"
        assert ready() == "0/1"

        await api.create(f"{home}/secrets", {"metadata": {"name": MOUNTED}, "data": {}})
        for pair, authorities, words in (
            (Pair("no PEM", good.key), ours.pem, "tls.crt holds no certificate"),
            (Pair(good.certificate, ours.operator().key), ours.pem, "tls.key is not the key of tls.crt"),
            (ours.operator(ends_in=-HOUR), ours.pem, "has expired; have it issued anew"),
            (good, theirs.pem, "comes from no authority in ca.crt"),
            (ours.issue("shop.example", "client"), ours.pem, f"have it issued for the URI {OPERATOR_ID}"),
        ):
            await mounted(files(pair, authorities))
            await eventually(lambda words=words: says(words), within_s=30, what=words)
            assert (await health())["status"] == "not_ready"
            assert ready() == "0/1"

        await mounted(files(good, ours.pem))

        async def is_ready() -> bool:
            return ready() == "1/1"

        await eventually(is_ready, within_s=30, what="kubectl get pods shows it Ready", every_s=0.5)
        assert (await health())["reasons"] == []


def roles(namespace: str, *, secrets: bool) -> list[Json]:
    """Return the chart's rights, with or without those to write Secrets."""
    made = rbac.manifests(lease_namespace=namespace)
    for one in made:
        one["metadata"]["name"] += f"-{namespace}"
        if "roleRef" in one:
            one["roleRef"]["name"] += f"-{namespace}"
            one["subjects"] = [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}]
        elif not secrets:
            writing = [
                rule for rule in one["rules"] if "secrets" in rule["resources"] and "patch" in rule["verbs"]
            ]
            assert writing
            one["rules"] = [rule for rule in one["rules"] if rule not in writing]
    return made


async def test_an_authority_that_cannot_be_kept_is_named(
    control_plane: ControlPlane, api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    secret = f"/api/v1/namespaces/{namespace}/secrets/{CA_SECRET}"
    rubbish = {"tls.crt": base64.b64encode(b"rubbish").decode(), "tls.key": ""}
    body = {"metadata": {"name": CA_SECRET}, "immutable": True, "data": rubbish}
    without = roles(namespace, secrets=False)
    try:
        for one in without:
            await api.create(rbac.collection_of(one), one)
        env = {"CLIPROXY_CONTROL_TOKEN": ""}
        async with OperatorProcess(control_plane, namespace, tmp_path, user="nobody", env=env) as operator:

            async def says(*words: str) -> bool:
                try:
                    status, body = await operator.get("/health/ready")
                except (OSError, aiohttp.ClientError):
                    return False
                said = " ".join(body["reasons"])
                return status == 503 and all(word in said for word in words)

            forbidden = (f"{namespace}/{CA_SECRET} cannot be kept", "orbidden", "rbac.create=true")
            await eventually(lambda: says(*forbidden), within_s=40, what="the missing right is named")

            await api.create(secret.rpartition("/")[0], body)
            (role,) = [one for one in roles(namespace, secrets=True) if one["kind"] == "Role"]
            path = f"{rbac.collection_of(role)}/{role['metadata']['name']}"
            await api.merge_patch(path, {"rules": role["rules"]})
            spoilt = ("immutable", f"kubectl -n {namespace} delete secret {CA_SECRET}")
            await eventually(lambda: says(*spoilt), within_s=40, what="the spoilt Secret is named")
            assert "no replica remembers it" in operator.log()

            await api.delete(secret)
            await operator.ready()
            assert (await api.get(secret))["data"]["tls.key"], "a new authority"
    finally:
        for one in without:
            await api.delete(f"{rbac.collection_of(one)}/{one['metadata']['name']}")
