"""Webhooks on the real API server: who gets a sidecar, what is refused, and what happens without them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from cliproxy_api.vocabulary import PROXY_PORT
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, Json
from cliproxy_dev.nodeagent.agent import NodeAgent
from cliproxy_dev.providers.provider import ScriptedProvider
from support.admission import Hooks, env_of, sidecar_of
from support.cluster import create_namespace, eventually, kubectl, remove_namespace
from support.operatorproc import OperatorProcess, Shop, grant
from support.typed import Typist, reader

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def hooks(control_plane: ControlPlane, crds: object, namespace: str) -> AsyncIterator[Hooks]:
    """An operator's namespace and one for applications."""
    apps = await create_namespace(control_plane, "apps")
    async with control_plane.api() as api:
        yield Hooks(api, namespace, apps)
    await remove_namespace(control_plane, apps)


@pytest.fixture
async def operator(
    hooks: Hooks, control_plane: ControlPlane, tmp_path: Path
) -> AsyncIterator[OperatorProcess]:
    """An operator that makes its certificate itself, and is asked."""
    async with (
        hooks.configured(),
        OperatorProcess(control_plane, hooks.home, tmp_path, env=hooks.env()) as operator,
    ):
        await operator.ready()
        await hooks.until_asked()
        yield operator


async def test_a_pod_that_asks_gets_a_sidecar_and_others_do_not(
    hooks: Hooks, operator: OperatorProcess
) -> None:
    made = await hooks.create("web", annotations={"cliproxy.io/profile": "team-a"})
    assert made["metadata"]["labels"]["cliproxy.io/sidecar"] == "true"
    assert made["metadata"]["annotations"]["cliproxy.io/profile"] == "team-a"
    assert env_of(made["spec"]["containers"][0])["OPENAI_BASE_URL"] == "http://127.0.0.1:8317/v1"
    sidecar = sidecar_of(made)
    assert sidecar is not None
    assert sidecar["securityContext"]["runAsNonRoot"] is True

    for name, meta in {
        "silent": {"labels": {}},
        "declines": {"labels": {"cliproxy.io/inject": "false"}},
        "declines-too": {"annotations": {"cliproxy.io/inject": "false"}},
    }.items():
        assert sidecar_of(await hooks.create(name, **meta)) is None, name

    await hooks.label_namespace(inject="true")

    async def everybody() -> bool:
        return sidecar_of(await hooks.create("silent-now", dry_run=True, labels={})) is not None

    await eventually(everybody, what="the namespace asks for all its pods")
    assert sidecar_of(await hooks.create("still-declines", labels={"cliproxy.io/inject": "false"})) is None


async def test_a_second_look_changes_nothing(hooks: Hooks, operator: OperatorProcess) -> None:
    made = await hooks.create("web")
    metadata = {key: made["metadata"][key] for key in ("labels", "annotations")}

    again = await hooks.create("web-again", pod=made["spec"], **metadata)

    assert again["spec"] == made["spec"]
    assert {key: again["metadata"][key] for key in metadata} == metadata


async def test_a_dry_run_leaves_nothing(hooks: Hooks, operator: OperatorProcess) -> None:
    assert sidecar_of(await hooks.create("web", dry_run=True)) is not None

    assert (await hooks.api.get(hooks.pods))["items"] == []


async def test_what_cannot_have_one_starts_without_and_says_why(
    hooks: Hooks, operator: OperatorProcess, control_plane: ControlPlane
) -> None:
    profiles = Shop(hooks.api, hooks.apps)
    await profiles.apply("ProxyProfile", "team-a", {})
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "host",
            "labels": {"cliproxy.io/inject": "true"},
            "annotations": {"cliproxy.io/profile": "team-a"},
        },
        "spec": {"hostNetwork": True, "containers": [{"name": "app", "image": "app"}]},
    }
    lonely = {
        **manifest,
        "metadata": {**manifest["metadata"], "name": "lonely"},
        "spec": {"containers": CONTAINERS},
    }
    lonely["metadata"]["annotations"] = {"cliproxy.io/profile": "nobody"}
    answer = apply(control_plane, hooks.apps, lonely)
    assert "there is no valid ProxyProfile 'nobody' in this namespace" in answer.stderr, answer

    answer = kubectl(control_plane, "apply", "-n", hooks.apps, "-f", "-", stdin=json.dumps(manifest))

    assert "Warning: cliproxy: no sidecar: the pod shares its node's network" in answer.stderr, answer
    pod = await hooks.api.get(f"{hooks.pods}/host")
    assert sidecar_of(pod) is None
    assert pod["metadata"]["annotations"]["cliproxy.io/not-injected"].startswith("HostNetwork: ")

    async def reported() -> Json:
        injection = (await profiles.status("team-a", "ProxyProfile")).get("injection") or {}
        return injection if injection.get("worst") else {}

    injection = await eventually(reported, what="the profile's status names the pod")
    (worst,) = injection["worst"]
    assert (injection["missing"], worst["pod"], worst["reason"]) == (1, "host", "HostNetwork")


async def test_an_injected_pod_runs_and_serves(
    hooks: Hooks, operator: OperatorProcess, control_plane: ControlPlane, tmp_path: Path
) -> None:
    shop = Shop(hooks.api, hooks.apps)
    agent = NodeAgent(
        control_plane.endpoint_of(),
        run_dir=tmp_path / "node",
        namespaces=frozenset({hooks.apps}),
        first_address="127.0.10.10",
    )
    async with (
        ScriptedProvider(kind="openai", name="gpt", keys={"main": "sk-planted"}) as provider,
        agent,
        aiohttp.ClientSession() as http,
    ):
        await shop.secret(key="sk-planted")
        await shop.provider("gpt", type="openai", baseURL=f"{provider.base_url}", models=[{"name": "gpt-4o"}])
        await hooks.create("web", pod={"terminationGracePeriodSeconds": 1})

        async def ready() -> bool:
            conditions = (await hooks.api.get(f"{hooks.pods}/web"))["status"].get("conditions") or []
            return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

        await eventually(ready, within_s=30, what="the injected pod is Ready")
        url = f"http://{agent.address(hooks.apps, 'web')}:{PROXY_PORT}/v1/chat/completions"
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}

        async def served() -> bool:
            async with http.post(url, json=body) as response:
                return response.status == 200

        await eventually(served, what="the sidecar serves what the operator pushed")


CONTAINERS = [{"name": "app", "image": "app"}]
BAD: dict[str, Any] = {"type": "anthropic", "models": [{"name": "claude"}]}


async def refusal(shop: Shop, **spec: Any) -> str:
    with pytest.raises(ApiError) as caught:
        await shop.provider("bad", **spec)
    assert caught.value.status == 422
    return caught.value.message


async def test_bad_objects_are_refused_with_path_and_cure(hooks: Hooks, operator: OperatorProcess) -> None:
    shop = Shop(hooks.api, hooks.apps)

    assert await refusal(shop, baseURL="http://169.254.169.254/latest") == (
        'admission webhook "objects.validate.cliproxy.io" denied the request: spec.baseURL: points at a'
        " link-local or cloud metadata address, which is refused;"
        " use the provider's public address or a Service"
    )
    assert "spec.headers[x-auth-token]" in await refusal(shop, headers={"X-Auth-Token": "key"})
    assert (await shop.api.get(shop.path("LLMProvider", "")))["items"] == []
    told = [json.loads(line) for line in operator.log().splitlines() if '"configuration_request"' in line]
    assert [(line["outcome"], line["verb"], line["who"] != "") for line in told] == [
        ("refused", "create", True)
    ] * 2
    assert told[0]["object"].startswith(f"LLMProvider/{hooks.apps}/")
    assert "169.254" not in json.dumps(told[0]["fields"])


async def test_what_was_wrong_before_may_be_labelled_mended_and_deleted(
    hooks: Hooks, control_plane: ControlPlane, tmp_path: Path
) -> None:
    shop = Shop(hooks.api, hooks.apps)
    address = "http://169.254.169.254/latest"
    await shop.provider("bad", baseURL=address, headers={"X-Auth-Token": "key"})
    async with (
        hooks.configured(),
        OperatorProcess(control_plane, hooks.home, tmp_path, env=hooks.env()) as operator,
    ):
        await operator.ready()
        await hooks.until_asked()

        await shop.provider("bad", baseURL=address, headers={"X-Auth-Token": "key"}, priority=7)
        await shop.annotate("LLMProvider", "bad", note="still here")
        await shop.provider("bad", baseURL=address, headers={"X-Team": "a"})
        with pytest.raises(ApiError, match=r"spec\.headers\[x-auth-token\]"):
            await shop.provider("bad", baseURL=address, headers={"X-Auth-Token": "again"})
        await shop.api.merge_patch(
            shop.path("LLMProvider", "bad"), {"metadata": {"finalizers": ["example.com/x"]}}
        )
        await shop.delete("LLMProvider", "bad")
        await shop.api.merge_patch(shop.path("LLMProvider", "bad"), {"metadata": {"finalizers": None}})

    with pytest.raises(ApiError) as caught:
        await shop.get("LLMProvider", "bad")
    assert caught.value.status == 404


async def test_doubts_are_told_and_refused_by_nobody(
    hooks: Hooks, operator: OperatorProcess, control_plane: ControlPlane
) -> None:
    spec = {
        "type": "openai_compatible",
        "baseURL": "http://llm.example.com/v1",
        "credentials": [
            {"name": "main", "secretRef": {"name": "nowhere", "key": "key"}},
        ],
        "models": [{"name": "m"}],
        "cooldownPolicyRef": {"name": "patient"},
    }
    manifest = {
        "apiVersion": "cliproxy.io/v1alpha1",
        "kind": "LLMProvider",
        "metadata": {"name": "doubtful"},
        "spec": spec,
    }

    answer = apply(control_plane, hooks.apps, manifest)

    assert answer.returncode == 0, answer
    for words in (
        "spec.baseURL: http carries the provider's key in clear text",
        "there is no CooldownPolicy 'patient'",
    ):
        assert words in answer.stderr, answer
    assert "Secret" not in answer.stderr, "whoever reaches the port may ask, with no right to Secrets"


def apply(plane: ControlPlane, namespace: str, manifest: Json) -> subprocess.CompletedProcess[str]:
    return kubectl(plane, "apply", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(manifest))


async def test_while_the_webhook_is_away_pods_start_and_are_reported(
    hooks: Hooks, control_plane: ControlPlane, tmp_path: Path
) -> None:
    shop = Shop(hooks.api, hooks.apps)
    await shop.apply("ProxyProfile", "team-a", {})
    follows = {"annotations": {"cliproxy.io/profile": "team-a"}}
    async with hooks.configured():
        async with OperatorProcess(control_plane, hooks.home, tmp_path, env=hooks.env()) as operator:
            await operator.ready()
            await hooks.until_asked()
            await hooks.create("early", **follows)
            await operator.kill()

        assert sidecar_of(await hooks.create("born-alone", **follows)) is None
        await shop.provider("unseen", baseURL="http://169.254.169.254/")

        newer = hooks.env(CLIPROXY_SIDECAR_IMAGE="cliproxy-sidecar:9.9.9")
        async with OperatorProcess(control_plane, hooks.home, tmp_path, env=newer) as operator:
            await operator.ready()

            async def reported() -> Json:
                injection = (await shop.status("team-a", "ProxyProfile")).get("injection") or {}
                return injection if injection.get("missing") and injection.get("stale") else {}

            injection = await eventually(reported, what="what came up without the webhook is reported")
            condition = await shop.condition("team-a", "Injected", "ProxyProfile")
            assert (await operator.get("/v0/operations/injection/status"))[0] == 401
            told = await operator.get("/v0/operations/injection/status", token=control_plane.token)
            (group,) = told[1]["groups"]
            assert (group["profile"], group["missing"], group["stale"]) == ("team-a", 1, 1)
            assert await operator.metric("cliproxy_operator_injection_pods", state="missing") == 1
            assert await operator.metric("cliproxy_operator_injection_pods", state="stale") == 1
            await hooks.api.delete(f"{hooks.pods}/born-alone", {"gracePeriodSeconds": 0})
            await hooks.api.delete(f"{hooks.pods}/early", {"gracePeriodSeconds": 0})

            async def clean() -> bool:
                status = await shop.status("team-a", "ProxyProfile")
                return bool(status["injection"] == {"summary": "0/0"})

            await eventually(clean, what="the report goes with the pods")
            env = reader(control_plane, tmp_path / "home", namespace=hooks.apps)
            with Typist(__file__, "docs/injection.md", env) as typist:
                assert "summary" in await typist.next("kubectl get proxyprofile team-a")
                await typist.next("kubectl wait proxyprofile/team-a")
                await typist.next("kubectl apply")

    assert [(one["pod"], one["reason"]) for one in injection["worst"]] == [
        ("born-alone", "NotInjected"),
        ("early", "OutdatedSidecar"),
    ]
    assert (condition["status"], condition["reason"]) == ("False", "NotInjected")
    assert (
        "of 2 pods that ask for a sidecar 1 have none and 1 an old one; born-alone: " in condition["message"]
    )


async def test_a_certificate_of_somebody_else_is_served_and_left_alone(
    hooks: Hooks, control_plane: ControlPlane, tmp_path: Path
) -> None:
    ca_pem = await hooks.provide_certificate()
    env = hooks.env(CLIPROXY_WEBHOOK_CERTIFICATE="provided")
    async with (
        hooks.configured(ca_pem),
        OperatorProcess(control_plane, hooks.home, tmp_path, env=env) as operator,
    ):
        await operator.ready()
        await hooks.until_asked()

        secrets = (await hooks.api.get(f"/api/v1/namespaces/{hooks.home}/secrets"))["items"]
        assert "cliproxy-webhook-ca" not in [one["metadata"]["name"] for one in secrets]


async def test_a_lost_certificate_is_made_anew_and_trusted(
    hooks: Hooks, control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with hooks.configured():
        for _ in range(2):
            async with OperatorProcess(control_plane, hooks.home, tmp_path, env=hooks.env()) as operator:
                await operator.ready()
                await hooks.until_asked()
            for name in ("cliproxy-webhook-tls", "cliproxy-webhook-ca"):
                await hooks.api.delete(f"/api/v1/namespaces/{hooks.home}/secrets/{name}")


async def test_the_charts_rights_suffice(hooks: Hooks, control_plane: ControlPlane, tmp_path: Path) -> None:
    await grant(hooks.api, hooks.home)
    hooks.name = "cliproxy-operator"
    shop = Shop(hooks.api, hooks.apps)
    await shop.apply("ProxyProfile", "team-a", {})
    await hooks.create("before", annotations={"cliproxy.io/profile": "team-a"})
    await hooks.label_namespace(inject="true")
    env = hooks.env(CLIPROXY_NAMESPACES="")
    async with (
        hooks.configured(),
        OperatorProcess(control_plane, hooks.home, tmp_path, user="operator", env=env) as operator,
    ):
        await operator.ready()
        await hooks.until_asked()

        async def reported() -> bool:
            return bool(
                (await shop.status("team-a", "ProxyProfile")).get("injection", {}).get("missing") == 1
            )

        await eventually(reported, what="the pod from before is reported")
        assert await operator.metric("cliproxy_operator_api_errors_total", reason="Forbidden") == 0
        assert await operator.metric("cliproxy_operator_loop_failures_total") == 0

        async def settled() -> bool:
            """Whether four more looks at all pods led to no write: a busy machine takes its time before."""
            looks = await operator.metric("cliproxy_operator_surveys_total", result="ok") + 4
            writes = await operator.writes()
            await eventually(lambda: looked(operator, looks), what="looks again and again")
            return await operator.writes() == writes

        await eventually(settled, within_s=60, what="nothing is written any more")


async def looked(operator: OperatorProcess, times: float) -> bool:
    """Wait for the survey's next lists by a metric of what it does."""
    return await operator.metric("cliproxy_operator_surveys_total", result="ok") >= times
