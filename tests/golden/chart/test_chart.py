"""What the chart renders for each `CASE.values.yaml`, word for word, and whether Kubernetes would take it.

`make golden` (GOLDEN_REWRITE=1) rewrites `CASE.out.yaml`. CRDs stand in it by name only: they are compared
with crds/ in `tests/unit/cliproxy_dev/test_chart.py`.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import utils

from support.helm import Helm

CASES = sorted(path.name.removesuffix(".values.yaml") for path in Path(__file__).parent.glob("*.values.yaml"))
REWRITE = os.environ.get("GOLDEN_REWRITE") == "1"
# The oldest and the newest schemas there are, and some between; 1.20 is tried on a real server.
MINORS = (25, 29, 33, 37)
WITH_CRDS = {"minimal", "old-server"}
"""The others leave them out: they are the same in all, and long."""
FOREIGN = ("monitoring.coreos.com", "cert-manager.io", "gateway.networking.k8s.io")
"""Kinds whose schemas are other projects'."""


FROM_FOLDERS = {"PrometheusRule", "ConfigMap"}
"""One for each file of rules/ and dashboards/, which come and go: counted in the unit tests instead."""


def values_of(case: str) -> Path:
    return Path(__file__).with_name(f"{case}.values.yaml")


def minor_of(case: str) -> int:
    found = re.match(r"# kube: 1\.(\d+)\n", values_of(case).read_text("utf-8"))
    assert found is not None, f"{case} does not begin with the server's version"
    return int(found[1])


def rendered(helm: Helm, case: str, minor: int) -> list[dict[str, Any]]:
    sets = () if case in WITH_CRDS else ("crds.install=false",)
    documents = helm.render(values_of(case), minor=minor, sets=sets)
    return [one for one in documents if one["kind"] not in FROM_FOLDERS]


def shortened(document: dict[str, Any]) -> dict[str, Any]:
    if document["kind"] == "CustomResourceDefinition":
        return {**document, "spec": "as in crds/"}
    return document


@pytest.mark.parametrize("case", CASES)
def test_case_renders_as_written(case: str, helm: Helm) -> None:
    documents = [shortened(one) for one in rendered(helm, case, minor_of(case))]
    text = yaml.safe_dump_all(documents, sort_keys=False, width=110)
    expected = Path(__file__).with_name(f"{case}.out.yaml")
    if REWRITE:
        expected.write_text(text, "utf-8")
    assert text == expected.read_text("utf-8")


@pytest.mark.parametrize("minor", MINORS)
def test_kubernetes_would_take_it(minor: int, helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    # It reads megabytes of definitions anew for each document.
    monkeypatch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
    for case in CASES:
        for document in rendered(helm, case, minor):
            if not document["apiVersion"].startswith(FOREIGN):
                utils.validate(document, f"1.{minor}", strict=True)


def test_there_are_cases() -> None:
    assert len(CASES) >= 8
