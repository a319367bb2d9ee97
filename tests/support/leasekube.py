"""Just enough of an API server for one Lease: versions, conflicts, and being away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cliproxy_operator.kinds import Resource
from cliproxy_operator.kube import ApiError


class LeaseKube:
    """Holds one Lease, as several operators see it through their own handle (`Kube`'s methods)."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.away = False
        self.writes = 0

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any] | None:
        self._check()
        return self.lease

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        self._check()
        if self.lease is not None:
            raise ApiError(409, "AlreadyExists", "it is there")
        return self._store(body)

    async def replace(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        self._check()
        if self.lease is None:
            raise ApiError(404, "NotFound", "it is not there")
        if body["metadata"].get("resourceVersion") != self.lease["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "it has changed")
        return self._store(body)

    def seize(self, holder: str) -> None:
        """Let somebody else take the lease."""
        assert self.lease is not None
        spec = self.lease["spec"]
        spec = {**spec, "holderIdentity": holder, "leaseTransitions": spec["leaseTransitions"] + 1}
        self._store({**self.lease, "spec": spec})

    def _store(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**body, "metadata": metadata}
        return self.lease

    def _check(self) -> None:
        if self.away:
            raise ApiError(0, "ClientConnectorError", "nobody there")
