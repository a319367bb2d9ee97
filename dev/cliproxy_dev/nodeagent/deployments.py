"""Plays the controllers of Deployments: each gets its pods, new ones after a change, and a status.

Without ReplicaSets between them: a Deployment owns its pods. New pods come at once, old ones go when the new
ones are ready; `minReadySeconds`, surges, deadlines and rolling back are left to real clusters.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp

from cliproxy_dev.clock import rfc3339, utc_now
from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.kubeconfig import Endpoint
from cliproxy_dev.tasks import Tasks
from cliproxy_dev.watching import mirror

log = logging.getLogger(__name__)

DEPLOYMENTS: Final = "/apis/apps/v1/deployments"
PODS: Final = "/api/v1/pods"
HASH_LABEL: Final = "pod-template-hash"
RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one Deployment needs now."""

    create: int
    delete: tuple[str, ...]
    """Names of pods."""
    status: Json


def plan(deployment: Json, pods: Sequence[Json], *, now_utc: str) -> Plan:
    """Return what is to be done about a Deployment whose pods are these. Pure."""
    wanted = int(deployment["spec"].get("replicas", 1))
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    label = template_hash(deployment)
    current = [pod for pod in alive if pod["metadata"]["labels"].get(HASH_LABEL) == label]
    old = [pod for pod in alive if pod not in current]
    done = sum(map(is_ready, current)) >= wanted
    surplus = sorted(current, key=is_ready)[: max(0, len(current) - wanted)]
    ready = sum(map(is_ready, alive))
    available = "True" if ready >= wanted else "False"
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": len(pods),
        "updatedReplicas": len(current),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, wanted - ready),
        "conditions": [
            _condition(deployment, "Available", available, now_utc),
            _condition(deployment, "Progressing", "True", now_utc),
        ],
    }
    gone = [*surplus, *(old if done else [])]
    return Plan(
        create=max(0, wanted - len(current)),
        delete=tuple(pod["metadata"]["name"] for pod in gone),
        status=status,
    )


def template_hash(deployment: Json) -> str:
    """Return what tells one state of the template from another."""
    text = json.dumps(deployment["spec"]["template"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def new_pod(deployment: Json) -> Json:
    """Return a pod of the Deployment, to be created."""
    meta, template = deployment["metadata"], deployment["spec"]["template"]
    label = template_hash(deployment)
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": meta["uid"]}
    given = template.get("metadata") or {}
    metadata = {
        "generateName": f"{meta['name']}-{label}-",
        "labels": {**(given.get("labels") or {}), HASH_LABEL: label},
        "annotations": given.get("annotations") or {},
        "ownerReferences": [{**owner, "controller": True}],
    }
    return {"metadata": metadata, "spec": template["spec"]}


def is_ready(pod: Json) -> bool:
    """Whether Kubernetes calls a pod ready."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def owner_of(pod: Json) -> str:
    """Return the uid of the Deployment that owns a pod, empty if none does."""
    owners = pod["metadata"].get("ownerReferences") or []
    return next((one["uid"] for one in owners if one["kind"] == "Deployment"), "")


def _condition(deployment: Json, kind: str, status: str, now_utc: str) -> Json:
    before = (deployment.get("status") or {}).get("conditions") or []
    same = next((one for one in before if (one["type"], one["status"]) == (kind, status)), None)
    return same or {"type": kind, "status": status, "reason": "LocalNodeAgent", "lastTransitionTime": now_utc}


class Deployments:
    """Runs while entered; looks at all namespaces."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._deployments: dict[str, Json] = {}
        self._pods: dict[str, Json] = {}
        self._listed: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks = Tasks()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        api = await self._stack.enter_async_context(KubeApi(self._endpoint))
        self._tasks.spawn(self._follow(api, DEPLOYMENTS, self._deployments), "deployments")
        self._tasks.spawn(self._follow(api, PODS, self._pods), "pods of deployments")
        self._tasks.spawn(self._keep(api), "controller of deployments")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.stop()
        await self._stack.aclose()

    async def _follow(self, api: KubeApi, path: str, known: dict[str, Json]) -> None:
        async with contextlib.aclosing(mirror(api, path, known)) as changes:
            async for _ in changes:
                self._listed.add(path)
                self._changed.set()

    async def _keep(self, api: KubeApi) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._listed != {DEPLOYMENTS, PODS}:
                continue
            try:
                await self._settle(api)
            except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
                log.info("deployments: %r; again in %g s", error, RETRY_S)
                await asyncio.sleep(RETRY_S)
                self._changed.set()

    async def _settle(self, api: KubeApi) -> None:
        for deployment in list(self._deployments.values()):
            await self._settle_one(api, deployment)
        for pod in list(self._pods.values()):
            owner = owner_of(pod)
            if owner and owner not in self._deployments and not pod["metadata"].get("deletionTimestamp"):
                await self._delete(api, pod["metadata"]["namespace"], pod["metadata"]["name"])

    async def _settle_one(self, api: KubeApi, deployment: Json) -> None:
        meta = deployment["metadata"]
        mine = [pod for pod in self._pods.values() if owner_of(pod) == meta["uid"]]
        wanted = plan(deployment, mine, now_utc=rfc3339(utc_now()))
        for _ in range(wanted.create):
            made = await api.create(f"/api/v1/namespaces/{meta['namespace']}/pods", new_pod(deployment))
            self._pods.setdefault(made["metadata"]["uid"], made)  # the watch may come later, or be ahead
            self._changed.set()
        for name in wanted.delete:
            await self._delete(api, meta["namespace"], name)
        if any((deployment.get("status") or {}).get(key, 0) != value for key, value in wanted.status.items()):
            path = f"/apis/apps/v1/namespaces/{meta['namespace']}/deployments/{meta['name']}/status"
            body = {"metadata": {"uid": meta["uid"]}, "status": wanted.status}
            deployment["status"] = (await api.merge_patch(path, body))["status"]

    async def _delete(self, api: KubeApi, namespace: str, name: str) -> None:
        """Let a pod go; one that is gone already is what was wanted."""
        try:
            await api.delete(f"/api/v1/namespaces/{namespace}/pods/{name}")
        except ApiError as error:
            if error.reason != "NotFound":
                raise
