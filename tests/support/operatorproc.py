"""The operator as a process of its own against the tests' API server, with fake sidecar pods."""

from __future__ import annotations

import os
import re
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp

from cliproxy_dev import kubeconfig, rbac
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import APPLY_PATCH, MERGE_PATCH, ApiError, Json, KubeApi
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess
from support.cluster import eventually
from support.fakesidecar import TOKEN, FakeSidecar, fresh_address

GROUP = "/apis/cliproxy.io/v1alpha1"
PLURALS = {
    "LLMProvider": "llmproviders",
    "CooldownPolicy": "cooldownpolicies",
    "ProxyProfile": "proxyprofiles",
    "AlertRule": "alertrules",
}
CONFLICT = 409
_METRIC = re.compile(r"^(\w+)(?:\{(.*)\})? ([-+.\de]+)$")


class OperatorProcess:
    """One replica; `async with` starts and stops it."""

    def __init__(
        self,
        plane: ControlPlane,
        namespace: str,
        folder: Path,
        *,
        server: str | None = None,
        user: str = "admin",
        everywhere: bool = False,
        env: dict[str, str] | None = None,
    ) -> None:
        """`server` replaces the API server's address (a fault proxy); `everywhere`: serve all namespaces."""
        self.port, self.control_port = free_ports(2)
        self.name = f"operator-{uuid.uuid4().hex[:6]}"
        endpoint = plane.endpoint_of(user)
        if server is not None:
            endpoint = kubeconfig.Endpoint(server=server, token=endpoint.token, ca_pem=endpoint.ca_pem)
        config = folder / f"{self.name}.kubeconfig"
        kubeconfig.write(config, endpoint, user=user)
        self.log_path = folder / f"{self.name}.log"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLIPROXY")},
            "KUBECONFIG": str(config),
            "POD_NAME": self.name,
            "POD_NAMESPACE": namespace,
            "CLIPROXY_NAMESPACES": "" if everywhere else namespace,
            "CLIPROXY_HOST": "127.0.0.1",
            "CLIPROXY_PORT": str(self.port),
            "CLIPROXY_CONTROL_TOKEN": TOKEN,
            "CLIPROXY_CONTROL_PORT": str(self.control_port),
            "CLIPROXY_SNAPSHOT_SECRETS": "0",
            **(env or {}),
        }
        self.process = ManagedProcess(
            self.name, [sys.executable, "-m", "cliproxy_operator"], log_path=self.log_path, env=self.env
        )
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            f"http://127.0.0.1:{self.port}", timeout=aiohttp.ClientTimeout(total=5)
        )
        self.process.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.process.stop()
        if self._session is not None:
            await self._session.close()

    async def ready(self, within_s: float = 30.0) -> None:
        """Wait until it is ready and leads."""
        await self.process.wait_ready(self._leads, within_s=within_s)

    async def get(self, path: str, *, token: str | None = None) -> tuple[int, Any]:
        """GET JSON."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.get(path, headers=headers) as response:
            return response.status, await response.json()

    async def post(
        self, path: str, body: Any = None, *, token: str | None = None, data: bytes | None = None
    ) -> tuple[int, Any]:
        """POST JSON (or raw `data`)."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.post(path, json=body, data=data, headers=headers) as response:
            return response.status, await response.json()

    async def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels."""
        assert self._session is not None
        async with self._session.get("/metrics") as response:
            text = await response.text()
        total = 0.0
        for line in text.splitlines():
            if (match := _METRIC.match(line)) and match[1] == name:
                has = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
                if labels.items() <= has.items():
                    total += float(match[3])
        return total

    async def writes(self) -> float:
        """Return how many writes the API server has accepted from it, the lease's left out."""
        everything = await self.metric("cliproxy_operator_api_writes_total")
        return everything - await self.metric("cliproxy_operator_api_writes_total", kind="Lease")

    def log(self) -> str:
        """Return everything it has said."""
        return self.log_path.read_text("utf-8")

    async def kill(self) -> None:
        """SIGKILL."""
        await self.process.kill()

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self.process.send(signal.SIGTERM)

    async def _leads(self) -> bool:
        try:
            status, body = await self.get("/health/ready")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return status == 200 and body["standing"] == "leading"


class Shop:
    """One namespace with our objects in it, seen through kubectl's eyes."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self.api, self.namespace = api, namespace

    async def apply(self, kind: str, name: str, spec: Json, **metadata: Any) -> Json:
        """Create or change one of our objects, as `kubectl apply --server-side` does."""
        body = {
            "apiVersion": "cliproxy.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace, **metadata},
            "spec": spec,
        }
        return await self.api.request(
            "PATCH",
            self.path(kind, name),
            body=body,
            params={"fieldManager": "a-person", "force": "true"},
            content_type=APPLY_PATCH,
        )

    async def provider(self, name: str, secret: str = "keys", **spec: Any) -> Json:
        """Create or change a provider whose key is `key` of `secret`."""
        return await self.apply("LLMProvider", name, provider_spec(secret) | spec)

    async def secret(self, name: str = "keys", **values: str) -> None:
        """Create a Secret; without values it holds one key."""
        body = {"metadata": {"name": name}, "stringData": values or {"key": "sk-planted-key"}}
        await self.api.create(f"/api/v1/namespaces/{self.namespace}/secrets", body)

    async def annotate(self, kind: str, name: str, **annotations: str | None) -> None:
        """Set or remove annotations of our domain."""
        values = {f"cliproxy.io/{key}": value for key, value in annotations.items()}
        body = {"metadata": {"annotations": values}}
        await self.api.request("PATCH", self.path(kind, name), body=body, content_type=MERGE_PATCH)

    async def get(self, kind: str, name: str) -> Json:
        """Return an object."""
        return await self.api.get(self.path(kind, name))

    async def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        await self.api.delete(self.path(kind, name))

    async def status(self, name: str, kind: str = "LLMProvider") -> Json:
        """Return an object's status."""
        status: Json = (await self.get(kind, name)).get("status") or {}
        return status

    async def condition(self, name: str, type_: str, kind: str = "LLMProvider") -> Json:
        """Return one condition; empty if it is not there."""
        conditions = (await self.status(name, kind)).get("conditions") or []
        return next((entry for entry in conditions if entry["type"] == type_), {})

    async def until_phase(self, name: str, phase: str, within_s: float = 10.0) -> Json:
        """Wait for a provider's phase; returns its status."""

        async def look() -> Json | None:
            status = await self.status(name)
            return status if status.get("phase") == phase else None

        found = await eventually(look, within_s=within_s, what=f"{name} is {phase}")
        assert found is not None
        return found

    async def events(self) -> list[Json]:
        """Return the namespace's Events."""
        items: list[Json] = (await self.api.get(f"/api/v1/namespaces/{self.namespace}/events"))["items"]
        return items

    def path(self, kind: str, name: str) -> str:
        """Return an object's URL path."""
        return f"{GROUP}/namespaces/{self.namespace}/{PLURALS[kind]}/{name}"

    @asynccontextmanager
    async def sidecar(
        self, operator: OperatorProcess, name: str = "app-1", **annotations: str
    ) -> AsyncIterator[FakeSidecar]:
        """A pod with a fake sidecar in it, running and ready."""
        fake = FakeSidecar(name, self.namespace, address=fresh_address())
        async with fake.serving(operator.control_port):
            await self.pod(name, fake.address, **annotations)
            yield fake

    async def pod(self, name: str, address: str, **annotations: str) -> None:
        """Create a sidecar pod that runs at this address."""
        pods = f"/api/v1/namespaces/{self.namespace}/pods"
        body = {
            "metadata": {
                "name": name,
                "labels": {"cliproxy.io/sidecar": "true"},
                "annotations": {f"cliproxy.io/{key}": value for key, value in annotations.items()},
            },
            "spec": {"containers": [{"name": "app", "image": "app"}]},
        }
        await self.api.create(pods, body)
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await self.api.request(
            "PATCH", f"{pods}/{name}/status", body={"status": status}, content_type=MERGE_PATCH
        )


def provider_spec(secret: str = "keys") -> Json:
    """Return the least that a provider needs."""
    return {
        "type": "anthropic",
        "credentials": [{"name": "main", "secretRef": {"name": secret, "key": "key"}}],
        "models": [{"name": "claude-sonnet-4-5"}],
    }


async def grant(api: KubeApi, lease_namespace: str) -> None:
    """Give the operator's group its minimal rights, from the chart's own lists."""
    for manifest in rbac.manifests(lease_namespace=lease_namespace):
        plural = manifest["kind"].lower() + "s"
        namespace = manifest["metadata"].get("namespace")
        scope = f"/namespaces/{namespace}" if namespace else ""
        try:
            await api.create(f"/apis/rbac.authorization.k8s.io/v1{scope}/{plural}", manifest)
        except ApiError as error:
            if error.status != CONFLICT:
                raise


@asynccontextmanager
async def running(
    plane: ControlPlane, namespace: str, folder: Path, **options: Any
) -> AsyncIterator[tuple[OperatorProcess, Shop]]:
    """An operator that leads, and the namespace it serves."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(plane.api())
        operator = await stack.enter_async_context(OperatorProcess(plane, namespace, folder, **options))
        await operator.ready()
        yield operator, Shop(api, namespace)
