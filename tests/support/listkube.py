"""Just enough of an API server for lists: objects by resource, refusals on command, and who asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cliproxy_operator.kinds import Resource
from cliproxy_operator.kube import ApiError


class ListKube:
    """`Kube`'s reading half over a dict."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        """By (plural, namespace, name)."""
        self.hidden: set[tuple[str, str, str]] = set()
        """Left out of lists, but there when asked for: an event has overtaken the list."""
        self.refusals: dict[str, ApiError] = {}
        """By plural."""
        self.broken: dict[tuple[str, str, str], ApiError] = {}
        """Refusals of single objects."""
        self.hanging: set[str] = set()
        """Plurals whose lists never come."""
        self.on_list: Callable[[], None] = lambda: None
        """Called while a list is under way, when it has been read."""
        self.on_get: Callable[[], object] = lambda: None
        """Called while an object is asked for, when it has been read."""
        self.timeouts_s: list[float] = []
        self.asked: list[str] = []

    def put(
        self, resource: Resource, version: int, name: str, namespace: str = "shop", **more: Any
    ) -> dict[str, Any]:
        """Have an object there."""
        metadata = {
            "namespace": namespace,
            "name": name,
            "uid": f"{name}-uid",
            "resourceVersion": str(version),
        }
        raw = {"metadata": metadata | more.pop("metadata", {}), **more}
        self.objects[resource.plural, namespace, name] = raw
        return raw

    async def list(
        self, resource: Resource, namespace: str | None, *, timeout_s: float
    ) -> list[dict[str, Any]]:
        self.timeouts_s.append(timeout_s)
        self._check(resource, "list")
        if resource.plural in self.hanging:
            await asyncio.Event().wait()
        found = [
            raw
            for key, raw in self.objects.items()
            if key[0] == resource.plural and namespace in (None, key[1]) and key not in self.hidden
        ]
        self.on_list()
        return found

    async def may_list(self, resource: Resource, namespace: str | None) -> None:
        self._check(resource, "may-list")

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any] | None:
        self._check(resource, f"get {namespace}/{name}")
        if (error := self.broken.get((resource.plural, namespace or "", name))) is not None:
            raise error
        found = self.objects.get((resource.plural, namespace or "", name))
        self.on_get()
        return found

    def _check(self, resource: Resource, what: str) -> None:
        self.asked.append(f"{what} {resource.plural}")
        if (error := self.refusals.get(resource.plural)) is not None:
            raise error
