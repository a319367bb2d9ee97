"""Releases of the chart on a test's API server, and the accounts that it makes."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cliproxy_dev import kubeconfig
from cliproxy_dev.chart.values import CHART
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, Json, KubeApi
from support.cluster import CRD_PATH, NOT_FOUND, create_namespace, eventually, remove_namespace
from support.helm import Helm

OPERATOR = "cliproxy-operator"


@contextlib.asynccontextmanager
async def released(helm: Helm, plane: ControlPlane) -> AsyncIterator[Release]:
    """Yield a release in a namespace of its own, not installed yet; both are gone afterwards."""
    namespace = await create_namespace(plane)
    release = Release(helm, plane, namespace)
    yield release
    release.run("uninstall")
    await remove_namespace(plane, namespace)


@dataclass(frozen=True, slots=True)
class Release:
    """One release's name, namespace, and how Helm reaches the server."""

    helm: Helm
    plane: ControlPlane
    namespace: str
    name: str = OPERATOR
    chart: Path = field(default=CHART)

    def run(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of Helm's verbs on the release."""
        return self.helm.run(
            verb, self.name, *words, f"--namespace={self.namespace}", kubeconfig=self.plane.kubeconfig
        )

    def install(self, *sets: str, chart: Path | None = None, values: Path | None = None) -> str:
        """Install or upgrade; returns what Helm says, NOTES included."""
        words = [f"--set={one}" for one in sets] + ([f"--values={values}"] if values else [])
        done = self.run("upgrade", str(chart or self.chart), "--install", "--reset-values", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def environment(self, api: KubeApi) -> dict[str, str]:
        """Return the operator's variables as its Deployment has them; the pod's own fields left out."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"
        [container] = (await api.get(path))["spec"]["template"]["spec"]["containers"]
        return {one["name"]: one["value"] for one in container["env"] if "value" in one}

    async def account(self, api: KubeApi, name: str = OPERATOR) -> kubeconfig.Endpoint:
        """Return how one of the release's ServiceAccounts reaches the API server."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{name}/token"
        token = (await api.create(path, {"spec": {}}))["status"]["token"]
        admin = self.plane.endpoint_of()
        return kubeconfig.Endpoint(server=admin.server, token=token, ca_pem=admin.ca_pem)


async def remove_crds(api: KubeApi) -> None:
    """Remove our CRDs, and with them all our objects, and wait until they are gone."""
    ours = [one["metadata"]["name"] for one in await our_crds(api)]
    for name in ours:
        with contextlib.suppress(ApiError):
            await api.delete(f"{CRD_PATH}/{name}")

    async def gone() -> bool:
        return not await our_crds(api)

    await eventually(gone, what="the CRDs are gone")


async def our_crds(api: KubeApi) -> list[Json]:
    """Return the CRDs of our group that the server has."""
    items: list[Json] = (await api.get(CRD_PATH))["items"]
    return [one for one in items if one["spec"]["group"] == "cliproxy.io"]


async def exists(api: KubeApi, path: str) -> bool:
    """Whether there is such an object."""
    try:
        await api.get(path)
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        return False
    return True


def pod_of(deployment: Json, name: str, **changes: Any) -> Json:
    """Return the pod that a Deployment's controller would make."""
    template = deployment["spec"]["template"]
    spec = template["spec"] | changes
    return {"metadata": {**template["metadata"], "name": name}, "spec": spec}
