"""The kustomize base: what the chart renders by default, without what only Helm reads. `make kustomize`.

One source, so that both ways of installing are the same objects; a test compares.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from cliproxy_dev.chart.values import CHART
from cliproxy_dev.controlplane.helm import helm

Document = dict[str, Any]
BASE: Final = Path(__file__).resolve().parents[2] / "deploy" / "kustomize" / "base"
NAMESPACE: Final = "cliproxy-system"
RELEASE: Final = "cliproxy-operator"
KUBE_VERSION: Final = "1.25.0"
"""The oldest server that the files are for. The chart knows its server and uses more of a newer one."""
VALUES: Final = ("tests.enabled=false",)
_FILES: Final = {True: "crds.yaml", False: "operator.yaml"}
_HEAD: Final = (
    "# Made from charts/cliproxy-operator by `make kustomize`; change it by patches in an overlay.\n"
)


def files(rendered: Iterable[Document]) -> dict[str, str]:
    """Return the base's generated files, by name."""
    documents = [plain(one) for one in rendered]
    return {
        name: _HEAD
        + yaml.safe_dump_all(
            [one for one in documents if (one["kind"] == "CustomResourceDefinition") is is_crd],
            sort_keys=False,
            width=110,
        )
        for is_crd, name in _FILES.items()
    }


def plain(document: Document) -> Document:
    """Return a copy without Helm's labels and annotations; empty maps go with them."""
    found: Document = _without_helm(document)
    return found


def _without_helm(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_helm(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, inner in value.items():
        if name in ("labels", "annotations") and isinstance(inner, dict):
            left = dict(_foreign(inner))
            if left:
                kept[name] = left
        else:
            kept[name] = _without_helm(inner)
    return kept


def _foreign(entries: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in entries.items():
        if not name.startswith("helm.sh/") and (name, value) != ("app.kubernetes.io/managed-by", "Helm"):
            yield name, value


def render() -> list[Document]:
    """Return what the chart renders. Raises `CannotObtain` without Helm."""
    command = [str(helm(os.environ)), "template", RELEASE, str(CHART), "--namespace", NAMESPACE]
    command += [f"--kube-version={KUBE_VERSION}", *(f"--set={one}" for one in VALUES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def stale(rendered: Iterable[Document]) -> dict[str, str]:
    """Return the files that are not what they should be."""
    return {
        name: text
        for name, text in files(rendered).items()
        if not (BASE / name).is_file() or (BASE / name).read_text("utf-8") != text
    }


def main() -> int:
    """Write what is out of date, and say which."""
    changed = stale(render())
    for name, text in changed.items():
        (BASE / name).write_text(text, "utf-8")
    print("refreshed:", ", ".join(changed) or "nothing, all was up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
