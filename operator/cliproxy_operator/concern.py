"""Pure: what a change of one object sets in motion: which snapshots, whose status.

Too much is harmless (equal snapshots are not pushed, equal statuses not written), too little is a defect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cliproxy_api.vocabulary import RESTORE_ANNOTATION
from cliproxy_operator.kinds import NAMESPACE, POD, POLICY, PROVIDER
from cliproxy_operator.store import Change, Object


@dataclass(frozen=True, slots=True)
class Concern:
    """Who has to act on a change."""

    compile: bool = False
    """The object's own namespace is compiled again."""
    compile_all: bool = False
    """So are all others: providers are shared across namespaces."""
    status: bool = False
    """The object's own status is looked at."""


def concern(change: Change, *, shares: bool) -> Concern:
    """Return what a change concerns; `shares`: the namespace lends a provider to others, before or now."""
    if change.resource == POD:
        return Concern(compile=_profile(change.old) != _profile(change.new))
    if change.resource == NAMESPACE:
        return Concern(compile=_labels(change.old) != _labels(change.new))
    if change.old is None or change.new is None or _content(change.old) != _content(change.new):
        spreads = shares and change.resource in (PROVIDER, POLICY)
        return Concern(compile=True, compile_all=spreads, status=True)
    return Concern(status=True)


def lends(raw: Object | None) -> bool:
    """Whether this LLMProvider, as written, is for other namespaces too."""
    spec: Mapping[str, Any] = (raw.get("spec") if raw is not None else None) or {}
    allowed = spec.get("allowedNamespaces") if isinstance(spec, Mapping) else None
    return isinstance(allowed, Mapping) and allowed.get("from", "Same") != "Same"


def _content(raw: Object) -> tuple[Any, ...]:
    """Return what snapshots depend on: the spec (by its generation) and labels, by which profiles select.

    And what a backup brought along, which is taken over when snapshots are made.
    """
    metadata = raw["metadata"]
    restored = (metadata.get("annotations") or {}).get(RESTORE_ANNOTATION)
    return metadata.get("uid"), metadata.get("generation"), metadata.get("labels") or {}, restored


def _labels(raw: Object | None) -> Any:
    return None if raw is None else raw["metadata"].get("labels") or {}


def _profile(raw: Object | None) -> Any:
    return None if raw is None else raw["metadata"].get("annotations") or {}
