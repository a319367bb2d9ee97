"""Webhooks on the tests' API server: their configurations, a namespace for applications, pods that ask."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from cliproxy_dev import webhooks
from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.ports import free_ports
from support.cluster import eventually

TLS = Path(__file__).parent / "tls"
SECRET = "cliproxy-webhook-tls"
ASKS = {"cliproxy.io/inject": "true"}


class Hooks:
    """The webhooks of one operator, called by the API server for one namespace alone."""

    def __init__(self, api: KubeApi, home: str, apps: str, *, name: str = "") -> None:
        """`home` is the operator's namespace, `apps` the one whose pods and objects are asked about.

        `name` is the configurations'.
        """
        self.api, self.home, self.apps = api, home, apps
        (self.port,) = free_ports(1)
        self.name = name or f"test-{apps}"
        self.pods = f"/api/v1/namespaces/{apps}/pods"

    def env(self, **more: str) -> dict[str, str]:
        """Return the operator's environment."""
        return {
            "CLIPROXY_NAMESPACES": self.apps,
            "CLIPROXY_CONTROL_TOKEN": "",  # mutual TLS, as in a real cluster
            "CLIPROXY_WEBHOOKS": "1",
            "CLIPROXY_WEBHOOK_HOST": "127.0.0.1",
            "CLIPROXY_WEBHOOK_PORT": str(self.port),
            "CLIPROXY_WEBHOOK_NAME": "localhost",
            "CLIPROXY_WEBHOOK_CONFIGURATION": self.name,
            "CLIPROXY_INJECTION_SURVEY": "300ms",
            **more,
        }

    async def label_namespace(self, **labels: str | None) -> None:
        """Label the applications' namespace, in our domain."""
        body = {"metadata": {"labels": {f"cliproxy.io/{key}": value for key, value in labels.items()}}}
        await self.api.merge_patch(f"/api/v1/namespaces/{self.apps}", body)

    @contextlib.asynccontextmanager
    async def configured(self, ca_pem: str = "") -> AsyncIterator[None]:
        """The two configurations are there."""
        labels = {"cliproxy.io/test": self.apps}
        await self.label_namespace(test=self.apps)
        url = f"https://localhost:{self.port}"
        made = webhooks.configurations(name=self.name, url=url, ca_pem=ca_pem, namespaces=labels)
        try:
            for one in made:
                await self.api.create(webhooks.path_of(one).rpartition("/")[0], one)
            yield
        finally:
            for one in made:
                with contextlib.suppress(ApiError):
                    await self.api.delete(webhooks.path_of(one))

    async def provide_certificate(self) -> str:
        """Put the tests' certificate where the operator looks for one; returns its authority."""
        pair = (TLS / "good.pem").read_text("ascii")
        data = {"tls.crt": pair, "tls.key": pair, "ca.crt": (TLS / "ca.pem").read_text("ascii")}
        body = {"metadata": {"name": SECRET}, "stringData": data}
        await self.api.create(f"/api/v1/namespaces/{self.home}/secrets", body)
        return data["ca.crt"]

    async def create(self, name: str, *, dry_run: bool = False, pod: Json | None = None, **meta: Any) -> Json:
        """Create a pod; it asks for a sidecar unless its labels say otherwise."""
        body = {
            "metadata": {"name": name, "labels": ASKS, **meta},
            "spec": {"containers": [{"name": "app", "image": "app"}], **(pod or {})},
        }
        params = {"dryRun": "All"} if dry_run else {}
        return await self.api.request("POST", self.pods, body=body, params=params)

    async def until_asked(self) -> None:
        """Wait until the API server calls the webhooks: it takes a moment to learn of them."""

        async def look() -> bool:
            return sidecar_of(await self.create("is-it-there", dry_run=True)) is not None

        await eventually(look, within_s=20, what="pods are injected")


def sidecar_of(pod: Json) -> Json | None:
    """Return the pod's sidecar container."""
    return next((one for one in pod["spec"]["containers"] if one["name"] == "cliproxy"), None)


def env_of(container: Json) -> dict[str, str]:
    """Return a container's literal variables."""
    return {one["name"]: one["value"] for one in container.get("env") or [] if "value" in one}
