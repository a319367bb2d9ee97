"""What `deploy/` renders: the base is the chart's default; Kubernetes and our schemas would take it."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import utils

from cliproxy_api.resources.parse import ParseFailure, parse
from cliproxy_api.rules import violations
from cliproxy_dev import kustomize
from cliproxy_dev.crds import load_sources
from support.cluster import KUBECTL
from support.gitops import DEPLOY, HEALTH
from support.helm import Helm

MINORS = (25, 31, 37)
OURS = "cliproxy.io/"
FOREIGN = ("toolkit.fluxcd.io", "argoproj.io", OURS)
FOLDERS = ("kustomize/overlays/dev", "kustomize/overlays/staging", "kustomize/overlays/production",
           "argocd", "flux", "flux/operator")  # fmt: skip
REWRITE = os.environ.get("GOLDEN_REWRITE") == "1"


@functools.cache
def rendered(folder: str) -> list[dict[str, Any]]:
    done = subprocess.run(  # noqa: S603 -- kubectl from the lock
        [str(KUBECTL), "kustomize", str(DEPLOY / folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def one(folder: str, kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in rendered(folder) if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def test_the_base_is_what_the_chart_renders(helm: Helm) -> None:
    words = [f"--set={one}" for one in kustomize.VALUES]
    done = helm.template(*words, minor=int(kustomize.KUBE_VERSION.split(".")[1]))
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    stale = kustomize.stale(documents)
    if REWRITE:
        for name, text in stale.items():
            (kustomize.BASE / name).write_text(text, "utf-8")
    else:
        assert not stale, f"run `make kustomize`: {sorted(stale)}"
    assert "helm" not in (kustomize.BASE / "operator.yaml").read_text("utf-8").lower()


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("minor", MINORS)
def test_kubernetes_would_take_it(folder: str, minor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
    crds_too = folder.endswith("production")  # they are the same in all, and long
    for document in rendered(folder):
        foreign = any(group in document["apiVersion"] for group in FOREIGN)
        if not foreign and (crds_too or document["kind"] != "CustomResourceDefinition"):
            utils.validate(document, f"1.{minor}", strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_our_schemas_would_take_it(folder: str) -> None:
    schemas = {
        crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for crd in load_sources()
    }
    for document in rendered(folder):
        if not document["apiVersion"].startswith(OURS):
            continue
        parsed = parse(document["kind"], document)
        assert not isinstance(parsed, ParseFailure), parsed
        assert violations(parsed) == []
        spec = schemas[document["kind"]]["properties"]["spec"]
        assert list(unknown(spec, document["spec"], "spec")) == []


def unknown(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    """Yield the fields that the schema does not know: an API server would drop them."""
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from unknown(schema.get("items", {}), inner, f"{path}[{number}]")
    elif isinstance(value, dict) and "properties" in schema:
        for name, inner in value.items():
            if name in schema["properties"]:
                yield from unknown(schema["properties"][name], inner, f"{path}.{name}")
            else:
                yield f"{path}.{name}"


def test_a_field_that_nobody_knows_would_be_noticed() -> None:
    schema = {"properties": {"a": {"items": {"properties": {"b": {}}}}}}
    assert list(unknown(schema, {"a": [{"b": 1, "c": 2}]}, "spec")) == ["spec.a[0].c"]


def test_overlays_differ_as_they_say() -> None:
    folders = {name: f"kustomize/overlays/{name}" for name in ("dev", "staging", "production")}
    replicas = {
        name: one(folder, "Deployment", "cliproxy-operator")["spec"]["replicas"]
        for name, folder in folders.items()
    }
    assert replicas == {"dev": 1, "staging": 2, "production": 3}
    dev = one(folders["dev"], "Deployment", "cliproxy-operator")["spec"]["template"]["spec"]["containers"][0]
    env = {entry["name"]: entry.get("value") for entry in dev["env"]}
    assert env["CLIPROXY_LOG_LEVEL"] == "debug"
    assert env["CLIPROXY_SIDECAR_IMAGE"], "the rest of the environment stays"
    assert one(folders["dev"], "AlertRule", "gold-provider-in-trouble")["spec"]["suspend"]
    assert not [entry for entry in rendered(folders["dev"]) if entry["kind"] == "PodDisruptionBudget"]
    webhook = one(folders["production"], "ValidatingWebhookConfiguration", "cliproxy-operator")["webhooks"][0]
    assert (webhook["failurePolicy"], bool(webhook["rules"])) == ("Fail", True)
    assert one(folders["production"], "LLMProvider", "claude-second-account")["spec"]["priority"] == 2
    quotas = [one(folder, "LLMProvider", "claude")["spec"].get("quota") for folder in folders.values()]
    assert [quota and quota["reset"] for quota in quotas] == ["daily", "monthly", None]


def test_nobody_prunes_the_crds() -> None:
    crds = [
        one for one in rendered("kustomize/overlays/production") if one["kind"] == "CustomResourceDefinition"
    ]
    assert len(crds) == 4
    for crd in crds:
        assert "Prune=false" in crd["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]


def test_no_namespace_or_key_goes_astray() -> None:
    for folder in FOLDERS[:3]:
        for document in rendered(folder):
            assert document["kind"] != "Secret"
            if document["apiVersion"].startswith(OURS):
                assert document["metadata"]["namespace"] == "llm-team"


def test_argo_cd_gets_the_tested_script_for_all_four_kinds() -> None:
    (settings,) = rendered("argocd")
    assert (settings["metadata"]["name"], settings["metadata"]["namespace"]) == ("argocd-cm", "argocd")
    prefix = "resource.customizations.health.cliproxy.io_"
    assert set(settings["data"]) == {prefix + crd["spec"]["names"]["kind"] for crd in load_sources()}
    assert set(settings["data"].values()) == {HEALTH.read_text("utf-8")}


def test_paths_in_argo_cd_and_flux_lead_somewhere() -> None:
    root = DEPLOY.parent
    application = yaml.safe_load((DEPLOY / "argocd" / "application.yaml").read_text("utf-8"))
    paths = [application["spec"]["source"]["path"]]
    paths += [entry["spec"]["path"] for entry in rendered("flux") if entry["kind"] == "Kustomization"]
    release = one("flux/operator", "HelmRelease", "cliproxy-operator")
    paths.append(release["spec"]["chart"]["spec"]["chart"])
    for path in paths:
        folder = root / path
        assert (folder / "kustomization.yaml").exists() or (folder / "Chart.yaml").exists(), path


def test_flux_values_are_ones_the_chart_takes(helm: Helm, tmp_path: Path) -> None:
    release = one("flux/operator", "HelmRelease", "cliproxy-operator")
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(release["spec"]["values"]), "utf-8")
    done = helm.template(f"--values={path}")
    assert done.returncode == 0, done.stderr


def test_what_the_operator_writes_into_webhooks_is_no_drift_to_argo_cd_and_flux() -> None:
    hooks = [one for one in rendered(FOLDERS[2]) if one["kind"].endswith("WebhookConfiguration")]
    application = yaml.safe_load((DEPLOY / "argocd" / "application.yaml").read_text("utf-8"))
    ignored = {
        (one["group"], one["kind"], one["name"]): one for one in application["spec"]["ignoreDifferences"]
    }
    release = one("flux/operator", "HelmRelease", "cliproxy-operator")
    (drift,) = release["spec"]["driftDetection"]["ignore"]
    assert len(hooks) == len(ignored) == 2
    assert "RespectIgnoreDifferences=true" in application["spec"]["syncPolicy"]["syncOptions"]
    for hook in hooks:
        group, _ = hook["apiVersion"].split("/")
        entry = ignored[group, hook["kind"], hook["metadata"]["name"]]
        assert entry["jqPathExpressions"] == [".webhooks[].clientConfig.caBundle"]
        assert drift["target"] == {"group": group}
        places = [f"/webhooks/{number}/clientConfig/caBundle" for number in range(len(hook["webhooks"]))]
        assert set(places) <= set(drift["paths"])
        assert not [webhook for webhook in hook["webhooks"] if "caBundle" in webhook["clientConfig"]]
