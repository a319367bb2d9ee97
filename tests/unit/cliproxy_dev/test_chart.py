"""The chart's values: every key described, what is derived up to date, wrong values refused by their key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_dev import crds
from cliproxy_dev.chart import values
from cliproxy_dev.chart.__main__ import DOCS
from support.helm import Helm

SCHEMA = values.load_schema()
ENV_PREFIX = "CLIPROXY_"


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in node.get("properties", {}).items():
        yield f"{path}{name}", child
        yield from nodes(child, f"{path}{name}.")


def test_every_key_is_described_and_bounded() -> None:
    for key, node in nodes(SCHEMA):
        if "[" not in key and node.get("description") is None:
            assert key == "extraEnv.name", f"{key} lacks a description"
        if "properties" in node:
            assert node["additionalProperties"] is False, f"{key} takes any key"


def test_what_is_derived_is_up_to_date() -> None:
    assert values.VALUES.read_text("utf-8") == values.values_yaml(SCHEMA), "run `make chart`"
    page = (DOCS / "reference" / "values.md").read_text("utf-8")
    assert page == values.reference(SCHEMA), "run `make chart`"


def test_values_yaml_reads_back_as_the_defaults() -> None:
    assert yaml.safe_load(values.values_yaml(SCHEMA)) == values.defaults(SCHEMA)


@pytest.mark.parametrize("minor", [20, 24, 25, 30, 31, 37])
def test_crds_are_rendered_for_the_server(helm: Helm, minor: int) -> None:
    rendered = [one for one in helm.render(minor=minor) if one["kind"] == "CustomResourceDefinition"]
    wanted = crds.for_server(minor=minor)
    for crd in rendered:
        assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert crd["metadata"].pop("labels")["app.kubernetes.io/component"] == "crds"
    by_name = {crd["metadata"]["name"]: crd for crd in rendered}
    assert by_name == {crd["metadata"]["name"]: crd for crd in wanted}


def test_crds_may_be_left_out_or_let_go(helm: Helm) -> None:
    without = helm.render(sets=("crds.install=false",))
    assert not [one for one in without if one["kind"] == "CustomResourceDefinition"]
    loose = helm.render(sets=("crds.keep=false",))
    assert not [
        one for one in loose if one["kind"] == "CustomResourceDefinition" and "annotations" in one["metadata"]
    ]


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ("replica=3", "replica"),
        ("replicas=many", "replicas"),
        ("replicas=-1", "replicas"),
        ("watchNamespaces={Team_A}", "watchNamespaces"),
        ("logLevel=loud", "logLevel"),
        ("image.repo=x", "image"),
        ("image.digest=abc", "digest"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("controlChannel.certificateLifetime=soon", "certificateLifetime"),
        ("webhooks.injection.failurePolicy=Maybe", "failurePolicy"),
        ("webhooks.certManager.issuerRef.nam=x", "issuerRef"),
        ("sidecar.runAsUser=0", "runAsUser"),
        ("gateway.autoscaling.minReplicas=0", "minReplicas"),
        ("gateway.service.type=ExternalName", "type"),
        ("gateway.ingress.host=x", "ingress"),
        ("networkPolicy.apiServer[0].port=443", "apiServer"),
        ("backup.keep=0", "keep"),
        ("backup.persistence.size=lots", "size"),
        ("monitoring.dashboards.labels=x", "labels"),
        ("extraEnv[0].value=x", "extraEnv"),
        ("resources.requests.cpu=lots", "/resources/requests/cpu"),
        ("sidecar.resources.limits.memory=128MB", "/sidecar/resources/limits/memory"),
        ("backup.schedule=every day", "/backup/schedule"),
        ("gateway.ingress.hosts={bad_host!}", "/gateway/ingress/hosts"),
        ("gateway.httpRoute.timeout=soon", "/gateway/httpRoute/timeout"),
        ("gateway.host=banana", "/gateway/host"),
        ("networkPolicy.apiServer[0].cidr=banana", "/networkPolicy/apiServer/0/cidr"),
        ("webhooks.certManager.issuerRef.kind=issuer", "/webhooks/certManager/issuerRef/kind"),
        ("priorityClassName=A b", "/priorityClassName"),
        ("fullnameOverride=UPPER_case", "/fullnameOverride"),
        ("image.repository=Has Space", "/image/repository"),
        ("image.tag=a b", "/image/tag"),
        ("tolerations[0].operator=Maybe", "/tolerations/0/operator"),
        ("extraEnv[0].name=A,extraEnv[0].valu=x", "valu"),
        # What a schema cannot say, the templates do.
        ("leaderElection.renewDeadline=10s", "leaderElection.renewDeadline: must be less"),
        ("leaderElection.retryPeriod=4s", "leaderElection.retryPeriod: must be less"),
        ("leaderElection.retryPeriod=0s", "leaderElection.retryPeriod: must be above 0"),
        ("controlChannel.caLifetime=24h", "controlChannel.caLifetime: must be at least four times"),
        ("gateway.enabled=true,watchNamespaces={elsewhere}", "watchNamespaces"),
        ("gateway.enabled=true,gateway.ingress.enabled=true", "gateway.ingress.hosts"),
        ("gateway.enabled=true,gateway.httpRoute.enabled=true", "gateway.httpRoute.parentRefs"),
        (
            "gateway.enabled=true,gateway.autoscaling.enabled=true,gateway.autoscaling.minReplicas=99",
            "minReplicas",
        ),
        ("backup.enabled=true,backup.secrets=true", "backup.encryptionSecret"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(helm: Helm, wrong: str, key: str) -> None:
    done = helm.template(f"--set={wrong}")
    assert done.returncode != 0
    assert key in done.stderr


def environment(document: dict[str, Any]) -> set[str]:
    [container] = document["spec"]["template"]["spec"]["containers"]
    return {entry["name"] for entry in container["env"]}


def test_the_pods_are_given_no_variable_that_they_do_not_know(helm: Helm) -> None:
    from cliproxy_operator import settings, settings_webhooks  # noqa: PLC0415 -- only here
    from cliproxy_sidecar import settings as sidecar_settings  # noqa: PLC0415 -- only here

    rendered = helm.render(
        sets=("gateway.enabled=true", "gateway.logLevel=info", "controlChannel.existingSecret=x")
    )
    rendered += helm.render()
    known = {
        "operator": {one.name for one in (*settings.VARIABLES, settings_webhooks.SWITCH)}
        | {one.name for one in settings_webhooks.VARIABLES},
        "gateway": {one.name for one in sidecar_settings.VARIABLES},
    }
    deployments = [one for one in rendered if one["kind"] == "Deployment"]
    assert len(deployments) == 3
    for one in deployments:
        unknown = environment(one) - known[one["metadata"]["labels"]["app.kubernetes.io/component"]]
        assert unknown == set()


def test_helm_lints_it(helm: Helm) -> None:
    done = helm.run("lint", "--strict", str(values.CHART))
    assert done.returncode == 0, done.stdout


def test_no_crds_folder_shadows_the_templates() -> None:
    assert not (Path(values.CHART) / "crds").exists(), "Helm never upgrades what is in there"


def test_a_gateway_is_told_from_a_sidecar_by_nothing_but_its_address(helm: Helm) -> None:
    """The operator finds gateways by the same label and ports as injected sidecars."""
    rendered = helm.render(sets=("gateway.enabled=true", "gateway.profile=shared"))
    [gateway] = [
        one for one in rendered if one["kind"] == "Deployment" and one["metadata"]["name"].endswith("gateway")
    ]
    template = gateway["spec"]["template"]
    assert template["metadata"]["labels"]["cliproxy.io/sidecar"] == "true"
    assert template["metadata"]["annotations"]["cliproxy.io/profile"] == "shared"
    assert template["spec"]["automountServiceAccountToken"] is False
    [container] = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"cliproxy-proxy": 8317, "cliproxy-ctl": 8318, "cliproxy-obs": 9090}


def test_every_rule_file_and_dashboard_is_rendered(helm: Helm) -> None:
    rendered = helm.render(
        sets=("monitoring.prometheusRule.enabled=true", "monitoring.dashboards.enabled=true")
    )
    rules = [one["spec"] for one in rendered if one["kind"] == "PrometheusRule"]
    assert rules == [
        yaml.safe_load(path.read_text("utf-8")) for path in sorted(values.CHART.glob("rules/*.yaml"))
    ]
    boards = {
        name: text for one in rendered if one["kind"] == "ConfigMap" for name, text in one["data"].items()
    }
    wanted = {path.name: path.read_text("utf-8").strip() for path in values.CHART.glob("dashboards/*.json")}
    assert {name: text.strip() for name, text in boards.items()} == wanted
