"""The node: watches Pods and keeps one worker for each that is, or may become, its own.

A pod's life is left to `pod`. Losing the watch or the API server changes nothing for what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from cliproxy_dev.kube import Json, KubeApi
from cliproxy_dev.kubeconfig import Endpoint
from cliproxy_dev.nodeagent import logs
from cliproxy_dev.nodeagent.addresses import AddressPool
from cliproxy_dev.nodeagent.environment import Unresolvable
from cliproxy_dev.nodeagent.execs import Execs
from cliproxy_dev.nodeagent.images import SIDECAR_ONLY, Entry
from cliproxy_dev.nodeagent.pod import Node, PodWorker
from cliproxy_dev.tasks import Tasks
from cliproxy_dev.watching import Changed, Listed, follow

log = logging.getLogger(__name__)

NODE_NAME = "local"
PODS = "/api/v1/pods"
SECRETS = "/api/v1/secrets"


class NodeAgent:
    """A running node: `async with NodeAgent(plane.endpoint_of(), run_dir=...) as agent: ...`.

    Takes pods bound to `node_name` and binds those bound to none. All processes stop with it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        run_dir: Path,
        images: Mapping[str, Entry] = SIDECAR_ONLY,
        node_name: str = NODE_NAME,
        namespaces: frozenset[str] = frozenset(),
        first_address: str = "127.0.1.10",
        addresses: int = 240,
        volume_owner: int | None = None,
        serve_logs: bool = False,
        programs: Mapping[str, str] | None = None,
    ) -> None:
        """`images`: repository name to entry point or player; `namespaces`: only these, empty for all.

        `serve_logs`: there is a Node of that name, so that `kubectl logs` and `kubectl exec` work.
        `programs`: what this machine has for a path that only an image has, for pods that are processes.
        `volume_owner`: user id that volumes are given to (needs root), for containers that run as another.

        Raises `ValueError` unless the addresses are loopback ones. Logs go to `run_dir/logs`.
        """
        self._endpoint = endpoint
        self._run_dir = run_dir
        self._images = images
        self._node_name = node_name
        self._namespaces = namespaces
        self._volume_owner = volume_owner
        self._serve_logs = serve_logs
        self._programs = dict(programs or {})
        self._pool = AddressPool(first_address, addresses)
        self._workers: dict[str, PodWorker] = {}
        self._tasks = Tasks()
        self._stack = contextlib.AsyncExitStack()
        self._node: Node | None = None

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begin to watch; returns at once, whether the API server is there or not, unless logs are served."""
        self._node = Node(
            name=self._node_name,
            api=await self._stack.enter_async_context(KubeApi(self._endpoint)),
            session=await self._stack.enter_async_context(aiohttp.ClientSession()),
            pool=self._pool,
            run_dir=self._run_dir,
            images=self._images,
            endpoint=self._endpoint,
            volume_owner=self._volume_owner,
            programs=self._programs,
        )
        if self._serve_logs:
            execs = Execs(self._inside)
            port = await self._stack.enter_async_context(logs.served(self.log_path, execs))
            await logs.register(self._node.api, self._node_name, port)
            self._stack.push_async_callback(logs.unregister, self._node.api, self._node_name)
        self._tasks.spawn(self._watch(self._node), "node agent")
        self._tasks.spawn(self._watch_secrets(self._node), "secret volumes")

    async def stop(self) -> None:
        """Stop every process and forget every pod; the API server keeps the objects."""
        await self._tasks.stop()
        workers = list(self._workers.values())
        self._workers.clear()
        await asyncio.gather(*(worker.stop() for worker in workers))
        self._pool.close()
        await self._stack.aclose()
        await asyncio.to_thread(shutil.rmtree, self._run_dir / "pods", ignore_errors=True)

    # ------------------------------------------------------------------ questions

    def pod_process(self, namespace: str, name: str, container: str | None = None) -> int | None:
        """Return the process id of a pod's container (None: the first that has one), None if none runs."""
        worker = self._find(namespace, name)
        return worker.pid(container) if worker is not None else None

    def address(self, namespace: str, name: str) -> str | None:
        """Return the pod's own loopback address, None before it has one."""
        worker = self._find(namespace, name)
        return (worker.address or None) if worker is not None else None

    def log_path(self, namespace: str, name: str, container: str) -> Path:
        """Return where a container's output goes."""
        return self._run_dir / "logs" / f"{namespace}_{name}_{container}.log"

    async def _inside(
        self, namespace: str, name: str, container: str, words: list[str]
    ) -> tuple[list[str], Mapping[str, str]]:
        if (worker := self._find(namespace, name)) is None:
            raise Unresolvable(f"pod {namespace}/{name} is not on this node")
        return await worker.inside(container, words)

    def _find(self, namespace: str, name: str) -> PodWorker | None:
        for worker in self._workers.values():
            if (worker.namespace, worker.name) == (namespace, name):
                return worker
        return None

    # ------------------------------------------------------------------ watching

    async def _watch(self, node: Node) -> None:
        async with contextlib.aclosing(follow(node.api, PODS)) as changes:
            async for change in changes:
                match change:
                    case Listed(items):
                        for uid in self._workers.keys() - {pod["metadata"]["uid"] for pod in items}:
                            self._drop(uid)
                        for pod in items:
                            self._take(node, pod)
                    case Changed("DELETED", pod):
                        self._drop(pod["metadata"]["uid"])
                    case Changed(_, pod):
                        self._take(node, pod)

    async def _watch_secrets(self, node: Node) -> None:
        """Keep Secret volumes up to date; kubelet takes a minute for it, this one does not."""
        async with contextlib.aclosing(follow(node.api, SECRETS)) as changes:
            async for change in changes:
                match change:
                    case Listed(items):
                        for secret in items:
                            self._show(secret["metadata"], secret)
                    case Changed("DELETED", secret):
                        self._show(secret["metadata"], None)
                    case Changed(_, secret):
                        self._show(secret["metadata"], secret)

    def _show(self, metadata: Json, secret: Json | None) -> None:
        for worker in self._workers.values():
            if worker.namespace == metadata["namespace"]:
                worker.secret_changed(metadata["name"], secret)

    def _take(self, node: Node, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid].update(pod)
        elif self._is_ours(pod):
            worker = self._workers[uid] = PodWorker(node, pod, gone=lambda: self._forget(uid))
            worker.begin()

    def _is_ours(self, pod: Json) -> bool:
        if self._namespaces and pod["metadata"]["namespace"] not in self._namespaces:
            return False
        finished = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
        being_deleted = bool(pod["metadata"].get("deletionTimestamp"))
        bound_to = pod["spec"].get("nodeName", "")
        return bound_to in {"", self._node_name} and (being_deleted or not finished)

    def _forget(self, uid: str) -> None:
        self._workers.pop(uid, None)

    def _drop(self, uid: str) -> None:
        """Stop a pod whose object is gone, as after a forced deletion."""
        if (worker := self._workers.pop(uid, None)) is not None:
            self._tasks.spawn(worker.stop(), f"end of pod {worker.name}")
