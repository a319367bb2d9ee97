"""What we write for Argo CD, Flux, cert-manager, Prometheus' operator and Gateway API: they would take it."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_dev.controlplane.find import CannotObtain
from support.crdmodels import judge, obtain
from support.gitops import DEPLOY
from support.helm import Helm

pytestmark = pytest.mark.timeout(400)  # the first time it fetches
CHART_CASES = Path(__file__).parents[1] / "chart"
FOREIGN = {
    ("argoproj.io/v1alpha1", "Application"),
    ("cert-manager.io/v1", "Certificate"),
    ("cert-manager.io/v1", "Issuer"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("source.toolkit.fluxcd.io/v1", "GitRepository"),
}
"""Every foreign kind that we write, in the version that we write it in."""


@pytest.fixture(scope="module")
def packages() -> Path:
    try:
        return obtain()
    except (CannotObtain, subprocess.TimeoutExpired) as error:
        pytest.skip(str(error))


def chart(helm: Helm) -> list[dict[str, Any]]:
    """Return what every golden case of the chart renders, without the CRDs, which are long."""
    cases = sorted(CHART_CASES.glob("*.values.yaml"))
    return [one for case in cases for one in helm.render(case, sets=("crds.install=false",))]


@functools.cache
def deployed() -> list[dict[str, Any]]:
    """Return every document that lies in `deploy/`, kustomize's own control files and patches too."""
    texts = [path.read_text("utf-8") for path in sorted(DEPLOY.rglob("*.yaml"))]
    documents = [one for text in texts for one in yaml.safe_load_all(text)]
    return [one for one in documents if isinstance(one, dict) and "kind" in one and "apiVersion" in one]


def shown() -> list[dict[str, Any]]:
    """Return the documents that the pages show for copying."""
    pages = [path.read_text("utf-8") for path in sorted((DEPLOY.parent / "docs").glob("*.md"))]
    blocks = [
        block
        for page in pages
        for block in re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    ]
    whole = [block for block in blocks if block.startswith("apiVersion:")]
    documents = [one for block in whole for one in yaml.safe_load_all(block)]
    return [one for one in documents if isinstance(one, dict) and "kind" in one and "apiVersion" in one]


def kind(document: dict[str, Any]) -> tuple[str, str]:
    return document["apiVersion"], document["kind"]


def test_the_projects_own_schemas_take_what_we_write(packages: Path, helm: Helm) -> None:
    pages = shown()
    assert "cliproxy-operator-tls" in {one["metadata"]["name"] for one in pages}
    documents = chart(helm) + deployed() + pages
    verdicts = judge(packages, documents)
    judged = [(one, faults) for one, faults in zip(documents, verdicts, strict=True) if faults is not None]

    assert {kind(one) for one, _ in judged} == FOREIGN
    assert [(kind(one), one["metadata"]["name"], faults) for one, faults in judged if faults] == []
    names = {one["metadata"]["name"] for one, _ in judged if one["kind"] == "PrometheusRule"}
    assert len(names) == len(list((CHART_CASES.parents[2] / "charts").rglob("rules/*.yaml")))


ROUTE = {"rules": [{"timeouts": {"request": "ten minutes"}, "backendRefs": [{"name": "gateway"}]}]}


@pytest.mark.parametrize(
    ("api", "kind", "spec", "faults"),
    [
        ("argoproj.io/v1alpha1", "Application", {"project": 1, "destination": {}}, ["/spec/project: type"]),
        (
            "argoproj.io/v1alpha1",
            "Application",
            {"project": "a", "destination": {}, "syncPolicy": {"automated": {"purne": True}}},
            ["/spec/syncPolicy/automated/purne: no such field"],
        ),
        (
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            {"interval": "10m", "values": {"any": {"thing": 1}}, "driftDetection": {"mode": "on"}},
            ["/spec/driftDetection/mode: enum"],
        ),
        ("cert-manager.io/v1", "Certificate", {"secretName": "a"}, ["/spec: required"]),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", ROUTE, ["/spec/rules/0/timeouts/request: pattern"]),
        (
            "monitoring.coreos.com/v1",
            "ServiceMonitor",
            {"selector": {}, "endpoints": [{"prot": "http"}]},
            ["/spec/endpoints/0/prot: no such field"],
        ),
    ],
)
def test_what_they_would_refuse_or_drop_is_noticed(
    packages: Path, api: str, kind: str, spec: dict[str, Any], faults: list[str]
) -> None:
    document = {"apiVersion": api, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    (found,) = judge(packages, [document])
    assert found is not None
    assert len(found) == len(faults), found
    assert all(one.startswith(wanted) for one, wanted in zip(found, faults, strict=True)), found


def test_kinds_that_no_package_knows_are_not_judged(packages: Path) -> None:
    assert judge(packages, [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}]) == [None]
