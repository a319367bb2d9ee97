"""AlertRules that are exported: refused in words without PrometheusRules, else kept in step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.alert_export import groups
from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.parse import parse_as
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, KubeApi
from support.cluster import eventually
from support.operatorproc import OperatorProcess, Shop, grant, running
from support.promtool import check_rules

pytestmark = pytest.mark.timeout(120)

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = "prometheusrules.monitoring.coreos.com"
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": NAME},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"kind": "PrometheusRule", "plural": "prometheusrules", "singular": "prometheusrule"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                        },
                    }
                },
            }
        ],
    },
}
RULE = {
    "condition": "error_rate > 5%",
    "duration": "1m",
    "notifications": [{"name": "hook", "webhook": {"url": "http://127.0.0.1:9/hook"}}],
    "export": "PrometheusRule",
}


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[KubeApi]:
    async with control_plane.api() as api:
        yield api
        if await found(api, f"{CRDS}/{NAME}") is not None:
            await api.delete(f"{CRDS}/{NAME}")


@pytest.fixture
async def pair(
    control_plane: ControlPlane, api: KubeApi, crds: object, namespace: str, tmp_path: Path
) -> AsyncIterator[tuple[OperatorProcess, Shop]]:
    """An operator with nothing but the chart's rights."""
    await grant(api, namespace)
    async with running(control_plane, namespace, tmp_path, user="operator") as pair:
        yield pair


async def found(api: KubeApi, path: str) -> dict[str, Any] | None:
    try:
        return await api.get(path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


async def test_a_rule_is_exported_kept_in_step_and_taken_back(
    pair: tuple[OperatorProcess, Shop], api: KubeApi, tmp_path: Path
) -> None:
    operator, shop = pair
    where = f"/apis/monitoring.coreos.com/v1/namespaces/{shop.namespace}/prometheusrules"

    async def says(reason: str) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            condition = await shop.condition("failing", "Exported", "AlertRule")
            return condition if condition.get("reason") == reason else None

        condition = await eventually(look, within_s=30, what=f"condition Exported says {reason}")
        assert condition is not None
        return condition

    async def rules() -> list[dict[str, Any]] | None:
        one = await found(api, f"{where}/cliproxy-failing")
        return None if one is None else one["spec"]["groups"]

    await shop.secret()
    await shop.provider("claude")
    await shop.apply("AlertRule", "failing", RULE)
    refused = await says("PrometheusRuleNotServed")
    assert refused["status"] == "False"
    assert "cliproxy alerts render" in refused["message"]

    await api.create(CRDS, CRD)

    async def served() -> bool:
        return await found(api, "/apis/monitoring.coreos.com/v1") is not None and (
            await found(api, where) is not None
        )

    await eventually(served, within_s=30, what="PrometheusRules are served")
    raw = await shop.apply("AlertRule", "failing", RULE | {"duration": "2m"})
    assert (await says("Exported"))["status"] == "True"
    wanted = parse_as(AlertRule, raw)
    assert isinstance(wanted, AlertRule)
    assert await rules() == groups(wanted, None)
    assert "1 rules found" in check_rules(await rules() or [], tmp_path)
    (owner,) = (await api.get(f"{where}/cliproxy-failing"))["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("AlertRule", raw["metadata"]["uid"])

    # Made anew before the garbage collector, of which there is none here, has taken the former rule's away.
    await shop.delete("AlertRule", "failing")
    anew = (await shop.apply("AlertRule", "failing", RULE | {"duration": "2m"}))["metadata"]["uid"]

    async def owned() -> bool:
        owners = (await api.get(f"{where}/cliproxy-failing"))["metadata"]["ownerReferences"]
        return [one["uid"] for one in owners] == [anew]

    await eventually(owned, within_s=30, what="the rule made anew owns its export")

    await shop.provider("gpt", enabled=False)  # so the rule is for claude only

    async def narrowed() -> bool:
        (group,) = await rules() or [{}]
        return 'provider=~"claude"' in group["rules"][0]["expr"]

    await eventually(narrowed, within_s=30, what="the rule leaves the disabled provider out")

    await shop.apply("AlertRule", "failing", RULE | {"condition": "p95_latency == 5s"})
    assert "compare with <" in (await says("NotExpressible"))["message"]

    await shop.apply("AlertRule", "failing", RULE | {"export": "None"})

    async def gone() -> bool:
        status = await shop.status("failing", "AlertRule")
        types = [one["type"] for one in status["conditions"]]
        return await rules() is None and "exported" not in status and "Exported" not in types

    await eventually(gone, within_s=30, what="the PrometheusRule is taken back")

    theirs = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule"}
    await api.create(where, theirs | {"metadata": {"name": "cliproxy-failing"}, "spec": {"groups": []}})
    await shop.apply("AlertRule", "failing", RULE)
    assert "not ours" in (await says("ExportFailed"))["message"]
    assert await rules() == []
    assert await operator.metric("cliproxy_operator_loop_failures_total") == 0
