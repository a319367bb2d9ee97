"""What a backup holds: the objects as their owners wrote them, their run-time state, the Secrets they name.

What belongs to one life of an object only (uid of owners, finalizers, managed fields) stays behind.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from cliproxy_api.kinds import ALERT_RULE, POLICY, PROFILE, PROVIDER, Resource
from cliproxy_api.restored import kept_state
from cliproxy_api.vocabulary import (
    API_GROUP,
    API_VERSION,
    COOLDOWN_ANNOTATION,
    RECOVER_ANNOTATION,
    RESTORE_ANNOTATION,
)

KINDS: Final[tuple[Resource, ...]] = (POLICY, PROFILE, PROVIDER, ALERT_RULE)
"""In the order in which they are restored: an alert whose providers are missing would be over at once."""
EVERYWHERE: Final = "ALL"
"""The scope of a backup of all namespaces; no namespace can be called so."""
_OF_THE_MOMENT: Final = frozenset({COOLDOWN_ANNOTATION, RECOVER_ANNOTATION, RESTORE_ANNOTATION})
"""Annotations that ask the operator for something, once."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One object."""

    kind: str
    namespace: str
    name: str
    api_version: str = f"{API_GROUP}/{API_VERSION}"
    uid: str = ""
    """Of the object that was backed up: tells whether a live one is the same or was made anew."""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    spec: dict[str, Any] = {}
    state: dict[str, Any] = {}
    """What of its status nobody could find out again (`cliproxy_api.restored`)."""

    @property
    def title(self) -> str:
        """The object as people read it."""
        return f"{self.kind} {self.namespace}/{self.name}"


class SecretEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One Secret that an object names."""

    namespace: str
    name: str
    type: str = "Opaque"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    data: dict[str, str] = {}
    """Base64, as the API server has it."""

    @property
    def title(self) -> str:
        """The Secret as people read it."""
        return f"Secret {self.namespace}/{self.name}"


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The inside of a backup."""

    id: str
    taken_at: str
    """RFC 3339, UTC."""
    scope: str
    """A namespace, or `EVERYWHERE`."""
    objects: tuple[Entry, ...] = ()
    secrets: tuple[SecretEntry, ...] = ()


def entry_of(resource: Resource, raw: Mapping[str, Any]) -> Entry:
    """Return what is kept of an object as the API server gave it."""
    metadata = raw["metadata"]
    return Entry(
        kind=resource.kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        api_version=str(raw.get("apiVersion") or resource.api_version),
        uid=str(metadata.get("uid", "")),
        generation=int(metadata.get("generation", 0)),
        labels=dict(metadata.get("labels") or {}),
        annotations=lasting(metadata.get("annotations") or {}),
        spec=dict(raw.get("spec") or {}),
        state=kept_state(resource.kind, raw.get("status") or {}),
    )


def secret_of(raw: Mapping[str, Any]) -> SecretEntry:
    """Return what is kept of a Secret."""
    metadata = raw["metadata"]
    return SecretEntry(
        namespace=metadata["namespace"],
        name=metadata["name"],
        type=str(raw.get("type") or "Opaque"),
        labels=dict(metadata.get("labels") or {}),
        annotations=lasting(metadata.get("annotations") or {}),
        data=dict(raw.get("data") or {}),
    )


def lasting(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations without those that asked the operator for something."""
    return {name: value for name, value in annotations.items() if name not in _OF_THE_MOMENT}


def named_secrets(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Return (namespace, name) of every Secret that the objects name, sorted."""
    return sorted({(entry.namespace, name) for entry in entries for name in _references(entry.spec)})


def _references(value: Any) -> Iterator[str]:
    """Yield the names in all fields called `secretRef`, `keySecretRef` and the like."""
    if isinstance(value, Mapping):
        for field, inner in value.items():
            if str(field).lower().endswith("secretref") and isinstance(inner, Mapping) and inner.get("name"):
                yield str(inner["name"])
            else:
                yield from _references(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _references(inner)


def instant_of(moment: datetime) -> str:
    """Return an instant as backups have it: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
