"""What GitOps tools see of our objects on a real API server, while the operator runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import Json
from cliproxy_dev.ports import free_ports
from support.cluster import eventually, kubectl
from support.fakesidecar import FakeSidecar
from support.gitops import DEPLOY, argo, kstatus, kstatus_faults
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


OURS = "cliproxy.io/v1alpha1"
HOOKS = {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
ARGO_CD = ("--server-side", "--field-manager=argocd-controller", "--force-conflicts")
FLUX = ("--server-side", "--field-manager=kustomize-controller", "--force-conflicts")
TOGETHER = {"Deployment", "Service", "ServiceAccount", "Role", "RoleBinding", "PodDisruptionBudget"}


def manifests(plane: ControlPlane, namespace: str) -> str:
    """Return the staging overlay's objects that live in a namespace, all in this one."""
    done = kubectl(plane, "kustomize", str(DEPLOY / "kustomize" / "overlays" / "staging"))
    assert done.returncode == 0, done.stderr
    kept = []
    for document in yaml.safe_load_all(done.stdout):
        if document["apiVersion"] == OURS or document["kind"] in TOGETHER:
            document["metadata"]["namespace"] = namespace
            if document["apiVersion"] == "policy/v1" and plane.minor < 21:
                document["apiVersion"] = "policy/v1beta1"
            kept.append(document)
    return yaml.safe_dump_all(kept)


def webhooks(plane: ControlPlane, name: str) -> str:
    """Return the overlay's webhook configurations under a name of the test's, asked about nothing."""
    done = kubectl(plane, "kustomize", str(DEPLOY / "kustomize" / "overlays" / "staging"))
    kept = [one for one in yaml.safe_load_all(done.stdout) if one["kind"] in HOOKS]
    for document in kept:
        document["metadata"]["name"] = name
        for webhook in document["webhooks"]:
            webhook["namespaceSelector"] = {"matchLabels": {"cliproxy.io/test": "nobody"}}
    assert {one["kind"] for one in kept} == HOOKS
    assert "caBundle" not in yaml.safe_dump_all(kept)
    return yaml.safe_dump_all(kept)


def ours(text: str) -> str:
    """Return our kinds' manifests only."""
    return yaml.safe_dump_all(one for one in yaml.safe_load_all(text) if one["apiVersion"] == OURS)


def renamed(text: str) -> str:
    """Return our kinds' manifests under other names, for another way of applying."""
    documents = [one for one in yaml.safe_load_all(text) if one["apiVersion"] == OURS]
    for document in documents:
        document["metadata"]["name"] += "-older"
        document["spec"].pop("default", None)
    return yaml.safe_dump_all(documents)


def command(plane: ControlPlane, *words: str, stdin: str) -> str:
    """Run kubectl on manifests; it must succeed."""
    done = kubectl(plane, *words, stdin=stdin)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def versions(plane: ControlPlane, text: str) -> dict[str, str]:
    """Return the resource versions of all objects in the manifests.

    Of a Deployment on an old server its generation: there each server-side apply, even of the same, writes a
    Deployment's managed fields anew. Ours it leaves alone.
    """
    found = yaml.safe_load(command(plane, "get", "-f", "-", "-o", "yaml", stdin=text))
    stands = {}
    for one in found["items"]:
        old = one["kind"] == "Deployment" and plane.minor < 22
        field = "generation" if old else "resourceVersion"
        stands[f"{one['kind']}/{one['metadata']['name']}"] = str(one["metadata"][field])
    return stands


async def test_applying_it_all_again_changes_nothing(
    pair: tuple[OperatorProcess, Shop], control_plane: ControlPlane
) -> None:
    operator, shop = pair
    text = await asyncio.to_thread(manifests, control_plane, shop.namespace)
    older = renamed(text)
    argo_cd = ("--server-side", "--field-manager=argocd-controller")

    def applied(manifest: str, *words: str) -> dict[str, str]:
        """Apply once more and return the versions after it."""
        command(control_plane, "apply", *words, "-f", "-", stdin=manifest)
        return versions(control_plane, manifest)

    await shop.secret("provider-keys", anthropic="sk-planted-key")
    await asyncio.to_thread(applied, text, *argo_cd)
    await asyncio.to_thread(applied, older)
    async with shop.sidecar(operator) as fake:
        await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.providers)
        await shop.annotate("LLMProvider", "claude", cooldown="10m")
        await shop.until_phase("claude", "CoolingDown")
        for kind, name in (
            ("LLMProvider", "claude"),
            ("CooldownPolicy", "default"),
            ("ProxyProfile", "default"),
            ("AlertRule", "gold-provider-in-trouble"),
        ):
            await seen(shop, kind, name, "Healthy", "Current")
        for name in ("gold-provider-in-trouble", "gold-provider-in-trouble-older"):
            await eventually(partial(weighed, shop, name), within_s=60, what=f"{name} is weighed")
        await quiet(operator)

        for manifest, words in ((text, argo_cd), (older, ())):
            before = await asyncio.to_thread(versions, control_plane, manifest)
            assert await asyncio.to_thread(applied, manifest, *words) == before, words
            await asyncio.to_thread(command, control_plane, "diff", *words, "-f", "-", stdin=manifest)
        await asyncio.to_thread(applied, ours(text), "--server-side", "--field-manager=flux")
        assert (await shop.status("claude"))["phase"] == "CoolingDown"

        owned = {one["manager"]: one for one in (await managed(shop, "claude"))}
        assert "f:spec" not in owned["cliproxy-operator"]["fieldsV1"], "the operator owns nothing of the spec"
        assert "f:status" not in owned["argocd-controller"]["fieldsV1"]

        # What a person copies out of the cluster, status included, goes back in without a conflict.
        copied = command(control_plane, "-n", shop.namespace, "get", "llm", "-o", "yaml", stdin="")
        document = yaml.safe_load(copied)
        for one in document["items"]:
            for name in ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"):
                one["metadata"].pop(name, None)
        command(
            control_plane,
            "apply",
            "--server-side",
            "--field-manager=a-copy",
            "-f",
            "-",
            stdin=yaml.safe_dump(document),
        )
        await quiet(operator)
        assert (await shop.status("claude"))["phase"] == "CoolingDown"


def bundles(plane: ControlPlane, text: str) -> set[str]:
    """Return whom the API server trusts for these webhooks; "" for a webhook that says nobody."""
    found = yaml.safe_load(command(plane, "get", "-f", "-", "-o", "yaml", stdin=text))
    return {
        webhook["clientConfig"].get("caBundle", "") for one in found["items"] for webhook in one["webhooks"]
    }


async def test_whom_the_webhooks_trust_is_left_to_the_operator(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    name = f"gitops-{namespace}"
    text = await asyncio.to_thread(webhooks, control_plane, name)
    env = {
        "CLIPROXY_WEBHOOKS": "1",
        "CLIPROXY_WEBHOOK_HOST": "127.0.0.1",
        "CLIPROXY_WEBHOOK_PORT": str(free_ports(1)[0]),
        "CLIPROXY_WEBHOOK_CONFIGURATION": name,
    }
    try:
        await asyncio.to_thread(command, control_plane, "apply", "-f", "-", stdin=text)
        assert await asyncio.to_thread(bundles, control_plane, text) == {""}
        async with running(control_plane, namespace, tmp_path, env=env) as (_, shop):

            async def trusted() -> set[str]:
                now = await asyncio.to_thread(bundles, control_plane, text)
                return now if "" not in now else set()

            written = await eventually(trusted, within_s=30, what="the operator has told whom to trust")
            authority = await shop.api.get(f"/api/v1/namespaces/{namespace}/secrets/cliproxy-webhook-ca")
            assert written == {authority["data"]["ca.crt"]}
            await asyncio.to_thread(applied_by_all, control_plane, text, written)
            kinds = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
            entries = (await shop.api.get(f"{kinds}/{name}"))["metadata"]["managedFields"]
            (own,) = [one["fieldsV1"] for one in entries if "argocd" not in one["manager"] and bundle_in(one)]
            assert leaves(own) == {"f:caBundle"}, "the operator owns nothing else of them"
    finally:
        await asyncio.to_thread(command, control_plane, "delete", "--ignore-not-found", "-f", "-", stdin=text)


def applied_by_all(plane: ControlPlane, text: str, trusted: set[str]) -> None:
    """Apply anew by every way there is: no difference is seen before, no trust is lost by it."""
    for words in ((), ARGO_CD, FLUX):
        command(plane, "diff", *words, "-f", "-", stdin=text)
        command(plane, "apply", *words, "-f", "-", stdin=text)
        before = versions(plane, text)
        command(plane, "apply", *words, "-f", "-", stdin=text)
        assert bundles(plane, text) == trusted, words
        assert versions(plane, text) == before, words


def bundle_in(entry: Json) -> bool:
    return "f:caBundle" in str(entry["fieldsV1"])


def leaves(fields: Json) -> set[str]:
    """Return the names of the fields that a manager owns, not of those on the way."""
    found = set()
    for name, inner in fields.items():
        if name != ".":
            found |= leaves(inner) if set(inner) - {"."} else {name}
    return found


async def weighed(shop: Shop, name: str) -> bool:
    """Say whether a rule knows where it stands for every provider: a leader listens for a while first."""
    return len((await shop.status(name, "AlertRule")).get("providers") or []) == 2


async def managed(shop: Shop, name: str) -> list[Json]:
    entries: list[Json] = (await shop.get("LLMProvider", name))["metadata"]["managedFields"]
    return entries


async def quiet(operator: OperatorProcess) -> None:
    """Wait until the operator has written nothing over two renewals of its lease."""

    async def still() -> bool:
        before, lease = await operator.writes(), await leases()
        await eventually(lambda: after(lease), within_s=30, what="the lease is renewed")
        return await operator.writes() == before

    async def leases() -> float:
        return await operator.metric("cliproxy_operator_api_writes_total", kind="Lease")

    async def after(lease: float) -> bool:
        return await leases() >= lease + 2

    await eventually(still, within_s=60, what="no more writes")
