"""The chart's minimal rights suffice, cluster-wide; and who may change things through the operations API."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import KubeApi
from support.cluster import create_namespace, eventually, remove_namespace
from support.operatorproc import OperatorProcess, Shop, grant, running

pytestmark = pytest.mark.timeout(120)

Pair = tuple[OperatorProcess, Shop]
AUDIT = "cliproxy_operator.audit"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[KubeApi]:
    async with control_plane.api() as api:
        yield api


@pytest.fixture
async def pair(
    control_plane: ControlPlane, api: KubeApi, crds: object, namespace: str, tmp_path: Path
) -> AsyncIterator[Pair]:
    """An operator with nothing but the chart's rights, for all namespaces."""
    await grant(api, namespace)
    async with running(control_plane, namespace, tmp_path, user="operator", everywhere=True) as pair:
        yield pair


async def test_the_minimal_rights_suffice(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await shop.secret()
        await shop.provider("claude")
        await shop.apply("ProxyProfile", "plain", {})
        await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.providers)
        await shop.annotate("LLMProvider", "claude", cooldown="10m")
        await shop.until_phase("claude", "CoolingDown")

        async def clean() -> bool:
            metadata = (await shop.get("LLMProvider", "claude"))["metadata"]
            return "cliproxy.io/cooldown" not in metadata.get("annotations", {})

        await eventually(clean, what="the annotation is consumed")
        await eventually(shop.events, what="an Event")
        metadata = (await shop.get("LLMProvider", "claude"))["metadata"]

    assert await operator.metric("cliproxy_operator_api_errors_total", reason="Forbidden") == 0
    assert await operator.metric("cliproxy_operator_loop_failures_total") == 0
    assert "Forbidden" not in operator.log()
    assert "finalizers" not in metadata
    assert not [name for name in metadata.get("annotations", {}) if "kopf" in name]


async def test_a_missing_right_is_named(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    async with OperatorProcess(control_plane, namespace, tmp_path, user="nobody") as operator:

        async def named() -> bool:
            try:
                status, body = await operator.get("/health/ready")
            except OSError:
                return False
            reasons = " ".join(body["reasons"])
            return status == 503 and "not allowed to list llmproviders" in reasons and "Lease" in reasons

        await eventually(named, within_s=30, what="readiness names what is missing")
        assert (await operator.get("/health/live"))[0] == 200


async def token_for(api: KubeApi, shop: Shop, name: str, *verbs: str) -> str:
    """Return the token of a ServiceAccount that may do this to providers of the shop."""
    home = f"/api/v1/namespaces/{shop.namespace}/serviceaccounts"
    await api.create(home, {"metadata": {"name": name}})
    if verbs:
        rules = [{"apiGroups": ["cliproxy.io"], "resources": ["llmproviders"], "verbs": list(verbs)}]
        roles = f"{RBAC}/namespaces/{shop.namespace}"
        await api.create(f"{roles}/roles", {"metadata": {"name": name}, "rules": rules})
        subject = {"kind": "ServiceAccount", "name": name, "namespace": shop.namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        await api.create(f"{roles}/rolebindings", binding)
    answer = await api.create(f"{home}/{name}/token", {"spec": {}})
    return str(answer["status"]["token"])


async def test_reading_needs_the_right_to_list(pair: Pair, api: KubeApi, control_plane: ControlPlane) -> None:
    operator, shop = pair
    await shop.provider("claude")
    await eventually(lambda: shop.condition("claude", "Accepted"))
    reader = await token_for(api, shop, "reader", "list")
    stranger = await token_for(api, shop, "stranger")
    here = f"?namespace={shop.namespace}"
    views = (
        "providers/status",
        "cooldown/status",
        "load_balancing/status",
        "circuit_breakers",
        "cache/stats",
        "injection/status",
    )
    for view in views:
        path = f"/v0/operations/{view}"
        assert (await operator.get(path))[0] == 401
        assert (await operator.get(path + here, token="forged"))[0] == 401
        status, body = await operator.get(path + here, token=stranger)
        assert status == 403
        assert "may not list llmproviders" in body["error"]["message"]
        assert "claude" not in str(body)
        status, body = await operator.get(path, token=reader)
        assert status == 403, "a right in one namespace is none in all"
        assert "?namespace=" in body["error"]["message"]
        assert (await operator.get(path + here, token=reader))[0] == 200
        assert (await operator.get(path, token=control_plane.token))[0] == 200


async def test_who_may_not_change_learns_nothing(pair: Pair, api: KubeApi) -> None:
    operator, shop = pair
    await shop.provider("claude")
    await eventually(lambda: shop.condition("claude", "Accepted"))
    stranger = await token_for(api, shop, "stranger")
    for token, wanted in ((None, 401), (stranger, 403)):
        for name in ("claude", "nobody"):
            answers = [
                await operator.post(f"/v0/operations/providers/{name}/recover{query}", token=token)
                for query in ("", f"?namespace={shop.namespace}", "?namespace=elsewhere")
            ]
            assert [status for status, _ in answers] == [wanted] * 3
            assert shop.namespace not in str(answers[0][1]).replace(f"serviceaccount:{shop.namespace}:", "")


async def by_hand(operator: OperatorProcess) -> bool:
    """Whether the audit log tells of an annotation, and who set it."""
    told = audited(operator, user="kubectl-annotate")
    return [(line["event"], line["duration"]) for line in told] == [("manual_cooldown", "1m")]


def audited(operator: OperatorProcess, *, user: str | None) -> list[dict[str, Any]]:
    """Return the audit log's lines about one user, or all."""
    lines = [json.loads(line) for line in operator.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("logger") == AUDIT and user in (None, line["who"])]


async def test_cooling_by_hand_needs_the_right_to_update(
    pair: Pair, api: KubeApi, control_plane: ControlPlane
) -> None:
    operator, shop = pair
    path = "/v0/operations/providers/claude/cooldown"
    wish = {"duration": "10m", "reason": "maintenance"}
    async with shop.sidecar(operator) as fake:
        await shop.secret()
        await shop.provider("claude")
        await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.providers)
        reader = await token_for(api, shop, "reader", "list", "get")
        writer = await token_for(api, shop, "writer", "update")
        forged = ".".join(base64.urlsafe_b64encode(b"{}").decode() for _ in range(3))

        assert (await operator.post(path, wish))[0] == 401
        assert (await operator.post(path, wish, token=forged))[0] == 401
        status, body = await operator.post(path, wish, token=reader)
        assert status == 403
        assert "may not update llmproviders/claude" in body["error"]["message"]
        assert not (fake.state and fake.state.state.cooldowns)

        status, body = await operator.post(path, wish, token=writer)
        assert status == 200, body
        assert body["ends_at"]
        assert body["written"] is True
        assert (await shop.status("claude"))["phase"] == "CoolingDown", "whoever leads next knows of it"
        await fake.until(lambda: fake.state and fake.state.state.cooldowns)
        status, view = await operator.get("/v0/operations/cooldown/status", token=control_plane.token)
        assert view["providers_in_cooldown"] == ["claude"]
        period = view["cooldown_periods"]["claude"]
        assert period["reason"] == "manual"
        assert 590 <= period["remaining_seconds"] <= 601
        assert (await operator.get("/v0/operations/circuit_breakers", token=control_plane.token))[1][
            "circuit_breakers"
        ]["claude"]["state"] == "open"

        status, body = await operator.post("/v0/operations/providers/claude/recover", token=writer)
        assert (status, body["recovered"], body["written"]) == (200, True, True)
        assert (await shop.status("claude"))["phase"] != "CoolingDown", "whoever leads next knows of it"
        await fake.until(lambda: fake.state and not fake.state.state.cooldowns)
        assert writer not in operator.log()
        calls = audited(operator, user=f"system:serviceaccount:{shop.namespace}:writer")
        subject = f"LLMProvider/{shop.namespace}/claude"
        assert [(call["event"], call["object"], call["outcome"]) for call in calls] == [
            ("manual_cooldown", subject, "done"),
            ("manual_recovery", subject, "done"),
        ]
        assert (calls[0]["duration"], calls[0]["reason"]) == ("10m", "maintenance")
        assert all(call["from"].startswith("127.0.0.1:") for call in calls)
        (refused,) = audited(operator, user=f"system:serviceaccount:{shop.namespace}:reader")[:1]
        assert (refused["event"], refused["reason"], refused["object"]) == (
            "access_refused",
            "forbidden",
            subject,
        )
        await shop.provider("claude", priority=7)
        annotate = {"metadata": {"annotations": {"cliproxy.io/cooldown": "1m"}}}
        place = shop.path("LLMProvider", "claude")
        await api.request(
            "PATCH",
            place,
            body=annotate,
            params={"fieldManager": "kubectl-annotate"},
            content_type="application/merge-patch+json",
        )
        await eventually(lambda: by_hand(operator), what="the annotation in the audit log")
        (change,) = [
            line
            for line in audited(operator, user=None)
            if line["event"] == "configuration_change" and line["reason"] == "update"
        ]
        assert (change["object"], change["fields"]) == (subject, ["spec.priority"])
        assert change["who"] == "a-person"
        strangers = [line for line in audited(operator, user="") if line["event"] == "authentication_failure"]
        assert [line["reason"] for line in strangers] == ["no_token", "bad_token"]


@pytest.mark.parametrize(
    ("path", "data", "status", "words"),
    [
        ("claude/cooldown", b"{}", 400, "duration"),
        ("claude/cooldown", b'{"duration":"soon"}', 400, "is not a duration"),
        ("claude/cooldown", b'{"duration":"10000h"}', 400, "enabled: false"),
        ("claude/cooldown", b"no json", 400, "malformed"),
        ("claude/cooldown", b"x" * 5000, 413, "4096"),
        ("nobody/cooldown", b'{"duration":"1m"}', 404, "nobody"),
        ("claude/melt", b"{}", 404, ""),
    ],
)
async def test_bad_wishes_are_told_apart(
    pair: Pair, control_plane: ControlPlane, *, path: str, data: bytes, status: int, words: str
) -> None:
    operator, shop = pair
    await shop.provider("claude")
    await eventually(lambda: shop.condition("claude", "Accepted"))

    answer = await operator.post(f"/v0/operations/providers/{path}", token=control_plane.token, data=data)

    assert answer[0] == status, answer
    assert words in answer[1]["error"]["message"]


async def test_a_name_in_two_namespaces_must_be_told_apart(
    pair: Pair, control_plane: ControlPlane, api: KubeApi
) -> None:
    operator, shop = pair
    other = await create_namespace(control_plane)
    try:
        for where in (shop, Shop(api, other)):
            await where.provider("twin")
            await eventually(partial(where.condition, "twin", "Accepted"))

        status, body = await operator.post("/v0/operations/providers/twin/recover", token=control_plane.token)
        assert status == 409
        assert f"?namespace={other}" in body["error"]["message"]
        status, body = await operator.post(
            f"/v0/operations/providers/twin/recover?namespace={other}", token=control_plane.token
        )
        assert (status, body["namespace"]) == (200, other)
        names = (await operator.get("/v0/operations/providers/status", token=control_plane.token))[1][
            "providers"
        ]
        assert f"{other}/twin" in names
    finally:
        await remove_namespace(control_plane, other)
