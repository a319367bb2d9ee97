"""Which providers a sidecar runs as they are wanted though its snapshot is an older one.

A changed provider makes a new snapshot for everybody; all other providers are in force as before, and their
status must not say otherwise: that would be two writes for each of them at every change. Knows the last few
snapshots of each group; of any other nothing is known to be in force.
"""

from collections.abc import Mapping
from typing import Final

from cliproxy_api.snapshot import Provider, Snapshot

KEPT: Final = 8
"""Snapshots of a group that sidecars may still be running in a roll-out."""

Group = tuple[str, str]
Content = Mapping[str, tuple[Provider, int]]
"""By provider id: what sidecars run, and the generation that it was made from."""


class Versions:
    """The last snapshots of all groups."""

    def __init__(self) -> None:
        self._contents: dict[Group, dict[str, Content]] = {}
        self._behind: dict[Group, dict[str, frozenset[str]]] = {}

    def publish(self, group: Group, snapshot: Snapshot) -> None:
        """Take note of what a group shall run from now on."""
        known = self._contents.setdefault(group, {})
        known.pop(snapshot.digest, None)
        wanted = known[snapshot.digest] = _content(snapshot)
        while len(known) > KEPT:
            del known[next(iter(known))]
        self._behind[group] = {
            digest: frozenset(id_ for id_, one in wanted.items() if content.get(id_) != one)
            for digest, content in known.items()
        }

    def drop(self, group: Group) -> None:
        """Forget a group."""
        self._contents.pop(group, None)
        self._behind.pop(group, None)

    def clear(self) -> None:
        """Forget everything."""
        self._contents.clear()
        self._behind.clear()

    def behind(self, group: Group, digest: str) -> frozenset[str] | None:
        """Return the providers that a sidecar with this snapshot does not run as wanted; None: all."""
        return self._behind.get(group, {}).get(digest)

    def held(self, group: Group, provider_id: str) -> bool:
        """Whether any of a group's last snapshots holds a provider."""
        return any(provider_id in content for content in self._contents.get(group, {}).values())


def _content(snapshot: Snapshot) -> Content:
    generations = {
        f"{one.namespace}/{one.name}": one.generation for one in snapshot.objects if one.kind == "LLMProvider"
    }
    return {provider.id: (provider, generations.get(provider.id, 0)) for provider in snapshot.providers}
