"""The operator's own copy of the cluster: objects by resource, namespace and name, never older than seen.

Filled by watch events and lists in any order: a version older than the one held, or than the deletion heard,
changes nothing. Secrets are not in here (`vault.py`); what a change sets in motion is left to the listener.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cliproxy_operator.changers import KEPT, managers_kept
from cliproxy_operator.kinds import CUSTOM, NAMESPACE, POD, Resource

Object = Mapping[str, Any]
TOMBSTONES: Final = 10_000
"""Deletions remembered, so that a list taken just before one cannot bring the object back."""


@dataclass(frozen=True, slots=True)
class Change:
    """One object came (`old` None), went (`new` None) or became another version."""

    resource: Resource
    namespace: str
    name: str
    old: Object | None
    new: Object | None


class Store:
    """Objects as last seen."""

    def __init__(self, listener: Callable[[Change], None]) -> None:
        """`listener` is called after each change that took effect."""
        self._listener = listener
        self._objects: dict[Resource, dict[tuple[str, str], Object]] = {}
        self._gone: OrderedDict[tuple[Resource, str, str], int] = OrderedDict()
        self._outdated: set[tuple[Resource, str, str]] = set()
        """Objects from before the data went back: whatever comes is newer."""

    def rewind(self) -> None:
        """Say that version numbers count anew: the API server's data were restored from a backup."""
        self._gone.clear()
        self._outdated = {(resource, *key) for resource, held in self._objects.items() for key in held}

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return the object, None if it is not known."""
        return self._objects.get(resource, {}).get((namespace, name))

    def all(self, resource: Resource, namespace: str | None = None) -> Iterator[Object]:
        """Yield the objects of a resource (in a namespace), sorted by namespace and name."""
        held = self._objects.get(resource, {})
        for key in sorted(held):
            if namespace is None or key[0] == namespace:
                yield held[key]

    def keys(self, resource: Resource) -> frozenset[tuple[str, str]]:
        """Return (namespace, name) of all objects of a resource."""
        return frozenset(self._objects.get(resource, {}))

    def upsert(self, resource: Resource, raw: Object, *, force: bool = False) -> Change | None:
        """Take a version of an object; None if it is not newer than what is known.

        `force` is for an object just read one by one: it holds even if its version number went back, as
        after the API server's data was restored from a backup.
        """
        namespace, name = name_of(raw)
        held = self._objects.setdefault(resource, {})
        old = held.get((namespace, name))
        version = version_of(raw)
        if not force:
            if version <= self._gone.get((resource, namespace, name), -1):
                return None
            if old is not None and version <= self._version(resource, namespace, name, old):
                return None
        self._gone.pop((resource, namespace, name), None)
        self._outdated.discard((resource, namespace, name))
        new = trimmed(resource, raw)
        held[namespace, name] = new
        return self._tell(Change(resource, namespace, name, old, new))

    def remove(self, resource: Resource, namespace: str, name: str, *, version: int) -> Change | None:
        """Forget an object deleted at `version`; None if it is not known or was made anew since."""
        held = self._objects.get(resource, {})
        old = held.get((namespace, name))
        if old is not None and self._version(resource, namespace, name, old) > version:
            return None
        self._outdated.discard((resource, namespace, name))
        self._gone[resource, namespace, name] = max(version, self._gone.get((resource, namespace, name), -1))
        while len(self._gone) > TOMBSTONES:
            self._gone.popitem(last=False)
        if old is None:
            return None
        del held[namespace, name]
        return self._tell(Change(resource, namespace, name, old, None))

    def _version(self, resource: Resource, namespace: str, name: str, held: Object) -> int:
        return -1 if (resource, namespace, name) in self._outdated else version_of(held)

    def _tell(self, change: Change) -> Change:
        self._listener(change)
        return change


def name_of(raw: Object) -> tuple[str, str]:
    """Return (namespace, name); the namespace is "" for what has none."""
    metadata = raw["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def version_of(raw: Object) -> int:
    """Return the resource version as a number that grows; 0 if it is none.

    Long documented as opaque, yet a number in every server; officially comparable since 1.35.
    """
    text = str(raw["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0


def trimmed(resource: Resource, raw: Object) -> Object:
    """Return the object without what we never read: the store holds it for its whole life."""
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    if resource in CUSTOM:
        metadata[KEPT] = managers_kept(raw["metadata"].get("managedFields") or ())
    if resource == NAMESPACE:
        return {"metadata": metadata}
    if resource != POD:
        return {**raw, "metadata": metadata}
    status = raw.get("status") or {}
    conditions = [item for item in status.get("conditions") or () if item.get("type") == "Ready"]
    return {
        "metadata": metadata,
        "status": {"phase": status.get("phase"), "podIP": status.get("podIP"), "conditions": conditions},
    }
