"""Helm as a test uses it: rendered documents, refusals, and releases on the tests' API server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_dev.chart.values import CHART
from cliproxy_dev.controlplane import helm as source
from cliproxy_dev.controlplane.find import CannotObtain

NAMESPACE = "cliproxy-system"
RELEASE = "cliproxy-operator"


class Helm:
    """The program, with folders of its own."""

    def __init__(self, program: Path, home: Path) -> None:
        self.program = program
        folders = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HOME")
        self._env = os.environ | {name: str(home / name.lower()) for name in folders}

    def run(self, *words: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command; the answer holds exit code, stdout and stderr."""
        extra = {} if kubeconfig is None else {"KUBECONFIG": str(kubeconfig)}
        return subprocess.run(  # noqa: S603 -- the program is ours, the words are the test's
            [str(self.program), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=self._env | extra,
        )

    def template(
        self, *words: str, minor: int = 31, namespace: str = NAMESPACE
    ) -> subprocess.CompletedProcess[str]:
        """Render the chart for a Kubernetes version."""
        version = f"--kube-version=1.{minor}.0"
        return self.run("template", RELEASE, str(CHART), "--namespace", namespace, version, *words)

    def render(self, *values: Path, minor: int = 31, sets: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """Return the documents that the chart renders with these values."""
        words = [f"--values={path}" for path in values] + [f"--set={one}" for one in sets]
        done = self.template(*words, minor=minor)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]


def obtain(home: Path) -> Helm:
    """Return Helm, or skip the test where there is none and none can be had."""
    try:
        return Helm(source.helm(os.environ), home)
    except CannotObtain as error:
        pytest.skip(str(error))
