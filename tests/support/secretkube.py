"""Secrets and webhook configurations in memory, written as the API server would."""

from __future__ import annotations

import copy
from typing import Any

from cliproxy_operator.kinds import Resource
from cliproxy_operator.kube import ApiError


class SecretKube:
    """Stands in for the operator's client where it keeps certificates."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []
        self.reads = 0
        self.away = False
        self._version = 0

    def configuration(self, kind: str, name: str, *webhooks: str) -> None:
        """Put a webhook configuration there."""
        self.objects[kind, name] = {
            "metadata": {"name": name},
            "webhooks": [{"name": one, "clientConfig": {"url": "https://localhost"}} for one in webhooks],
        }

    async def get(self, resource: Resource, _namespace: str | None, name: str) -> dict[str, Any] | None:
        self.reads += 1
        self._check()
        return copy.deepcopy(self.objects.get((resource.kind, name)))

    async def apply(
        self, resource: Resource, _namespace: str, name: str, body: dict[str, Any], *, manager: str
    ) -> None:
        self._check()
        assert manager
        held = self.objects.get((resource.kind, name))
        wanted = body["metadata"].get("resourceVersion")
        if (held["metadata"]["resourceVersion"] if held else None) != wanted:
            raise ApiError(409, "Conflict", "changed meanwhile")
        self._version += 1
        metadata = body["metadata"] | {"name": name, "resourceVersion": str(self._version)}
        self.objects[resource.kind, name] = {**body, "metadata": metadata}
        self.writes.append((resource.kind, name))

    async def patch_json(
        self, resource: Resource, _namespace: str | None, name: str, patch: list[dict[str, Any]]
    ) -> None:
        self._check()
        webhooks = self.objects[resource.kind, name]["webhooks"]
        for operation in patch:
            _, _, number, *rest = operation["path"].split("/")
            if operation["op"] == "test":
                assert webhooks[int(number)][rest[0]] == operation["value"]
            else:
                webhooks[int(number)]["clientConfig"]["caBundle"] = operation["value"]
        self.writes.append((resource.kind, name))

    def _check(self) -> None:
        if self.away:
            raise ApiError(0, "ClientConnectorError", "no answer")
