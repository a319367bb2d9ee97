"""A running demonstration as somebody outside sees it: the cluster, the sidecars, the scripted providers.

Reads and pokes only; starting and stopping is left to `launch`.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from cliproxy_api.vocabulary import API_GROUP, API_VERSION, PROXY_PORT
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.demo import layout
from cliproxy_dev.demo.layout import NAMESPACE, PODS, SUMMARY_ALL
from cliproxy_dev.kube import KubeApi
from cliproxy_dev.process import ManagedProcess, tail


@dataclass(kw_only=True)
class World:
    """Control plane, operator, node agent, providers and two sidecar pods."""

    run_dir: Path
    block: str
    """The scripted providers' addresses begin with it."""
    plane: ControlPlane
    kube: KubeApi
    http: aiohttp.ClientSession
    operator_url: str
    parts: dict[str, ManagedProcess] = field(default_factory=dict)
    """The processes by name: providers, operator, node-agent."""
    addresses: dict[str, str] = field(default_factory=dict)
    """The pods' addresses by name."""

    # ------------------------------------------------------------------ places

    @property
    def tools(self) -> Path:
        """The virtual environment's programs, kubectl among them."""
        return Path(sys.prefix) / "bin"

    @property
    def environment(self) -> dict[str, str]:
        """What the story's commands run with; kubectl's cache stays inside the run directory."""
        cache = str(self.run_dir / "kubectl-cache")
        return {**os.environ, "KUBECONFIG": str(self.plane.kubeconfig), "KUBECACHEDIR": cache}

    def manifest(self, name: str) -> Path:
        """Return a file of examples/demo, with this world's addresses in it."""
        return layout.manifest(name, self.block, self.run_dir)

    def proxy_url(self, pod: str) -> str:
        """Return where an application of this pod talks to its sidecar."""
        return f"http://{self.addresses[pod]}:{PROXY_PORT}"

    def log_path(self, part: str) -> Path:
        """Return where a part writes its log."""
        return self.run_dir / "logs" / f"{part}.log"

    def log_tail(self, part: str) -> str:
        """Return the last lines that a part wrote."""
        return tail(self.log_path(part))

    # ------------------------------------------------------------------ cluster

    async def provider(self, name: str) -> dict[str, Any]:
        """Read one LLMProvider from the API server."""
        return await self.kube.get(_providers_path(name))

    async def status(self, name: str) -> dict[str, Any]:
        """Read one LLMProvider's status; empty before the operator has written one."""
        status: dict[str, Any] = (await self.provider(name)).get("status", {})
        return status if "phase" in status else {}

    async def all_healthy(self) -> bool:
        """Whether every provider is Healthy and in force in every sidecar."""
        items = (await self.kube.get(_providers_path()))["items"]
        statuses = [item.get("status", {}) for item in items]
        return all(
            status.get("phase") == "Healthy" and status.get("sidecars", {}).get("summary") == SUMMARY_ALL
            for status in statuses
        )

    async def pod(self, name: str) -> dict[str, Any]:
        """Read one sidecar pod."""
        return await self.kube.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")

    async def pods_ready(self) -> bool:
        """Whether all sidecar pods are Ready; learns their addresses."""
        pods = [await self.pod(name) for name in PODS]
        self.addresses = {pod["metadata"]["name"]: pod.get("status", {}).get("podIP", "") for pod in pods}
        return all(is_ready(pod) for pod in pods)

    async def patch_spec(self, name: str, spec: dict[str, Any]) -> int:
        """Change an LLMProvider; return its new generation."""
        answer = await self.kube.merge_patch(_providers_path(name), {"spec": spec})
        return int(answer["metadata"]["generation"])

    async def annotate(self, name: str, annotation: str, value: str) -> None:
        """Annotate an LLMProvider, as `kubectl annotate` would."""
        await self.kube.merge_patch(_providers_path(name), {"metadata": {"annotations": {annotation: value}}})

    def operator_writes(self) -> list[dict[str, Any]]:
        """Return the API server's audit entries of all the operator's writes so far."""
        return self.plane.writes(user="operator")

    # ------------------------------------------------------------------ sidecars

    async def operations(self, pod: str, path: str) -> dict[str, Any]:
        """Read a view of a sidecar's operations API."""
        return await self._json("GET", f"{self.proxy_url(pod)}/v0/operations/{path}")

    async def refrains(self, pod: str, provider: str) -> bool:
        """Whether a sidecar says that the provider is in cooldown."""
        return provider in (await self.operations(pod, "cooldown/status"))["providers_in_cooldown"]

    async def runs_generation(self, pod: str, provider: str, generation: int) -> bool:
        """Whether a sidecar runs this generation of a provider."""
        answer = await self.operations(pod, "providers/status")
        return bool(answer["providers"][provider].get("generation") == generation)

    async def ask(self, dialect: str, pod: str, model: str) -> int:
        """Send one question as an application would; return the HTTP status."""
        path = "/v1/messages" if dialect == "anthropic" else "/v1/chat/completions"
        body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "hello"}]}
        async with self.http.post(self.proxy_url(pod) + path, json=body) as response:
            await response.read()
            return response.status

    # ------------------------------------------------------------------ scripted providers

    def control_url(self, name: str) -> str:
        """Return where a scripted provider takes its script."""
        return layout.control_url(name, self.block)

    async def preset(self, name: str, preset: str, **parameters: int) -> None:
        """Let a scripted provider answer with a preset for the next requests."""
        texts = {key: str(value) for key, value in parameters.items()}
        await self._script(name, "POST", f"preset/{preset}", texts)

    async def down(self, name: str) -> None:
        """Let a scripted provider refuse connections."""
        await self._script(name, "POST", "down")

    async def up(self, name: str) -> None:
        """Let a scripted provider listen again."""
        await self._script(name, "POST", "up")

    async def requests_count(self, name: str, path: str) -> int:
        """Return how many requests for `path` a scripted provider has had."""
        answer = await self._script(name, "GET", "counts")
        return int(answer["by_path"].get(path, 0))

    async def _script(
        self, name: str, method: str, command: str, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return await self._json(method, f"{self.control_url(name)}/_script/{command}", query)

    async def _json(self, method: str, url: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        async with self.http.request(method, url, params=query) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether Kubernetes calls a pod ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _providers_path(name: str = "") -> str:
    collection = f"/apis/{API_GROUP}/{API_VERSION}/namespaces/{NAMESPACE}/llmproviders"
    return f"{collection}/{name}" if name else collection
