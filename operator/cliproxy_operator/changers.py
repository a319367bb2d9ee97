"""Who changed an object, by its managedFields: names of field managers, as far as they tell.

Managers are programs (`kubectl-edit`, `argocd-controller`), not people; people are known at admission only.
The store keeps of managedFields what `managers_kept` returns.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cliproxy_api.vocabulary import COOLDOWN_ANNOTATION, RECOVER_ANNOTATION

KEPT: Final = "managers"
"""Where the store keeps them, in metadata."""
MAX_MANAGERS: Final = 3
MAX_KEPT: Final = 20
OWN: Final = "cliproxy-operator"
_OURS: Final = (COOLDOWN_ANNOTATION, RECOVER_ANNOTATION)
_Raw = Mapping[str, Any]


def managers_kept(managed_fields: Iterable[Any]) -> list[dict[str, Any]]:
    """Return who manages an object's spec and metadata, when they last wrote, which annotations of ours."""
    found = []
    for one in managed_fields:
        if not isinstance(one, Mapping) or one.get("subresource") == "status":
            continue
        metadata = (one.get("fieldsV1") or {}).get("f:metadata") or {}
        annotations = metadata.get("f:annotations") or {}
        kept = {"manager": str(one.get("manager", ""))[:128], "time": str(one.get("time", ""))}
        ours = [name for name in _OURS if f"f:{name}" in annotations]
        found.append({**kept, "annotations": ours} if ours else kept)
    return found[:MAX_KEPT]


def managers_of_change(old: _Raw | None, new: _Raw) -> tuple[str, ...]:
    """Return who wrote what is new between two kept versions, newest first; not ourselves.

    Times are whole seconds: two writes in one look the same, so without a newer entry the newest counts.
    """
    known = _managers(old) if old is not None else []
    managers = [one for one in _managers(new) if one["manager"] != OWN]
    newest = max((str(one["time"]) for one in managers), default="")
    fresh = [one for one in managers if one not in known] or [
        one for one in managers if one["time"] == newest
    ]
    fresh.sort(key=lambda one: str(one["time"]), reverse=True)
    names = (one["manager"] for one in fresh)
    return tuple(dict.fromkeys(name for name in names if name))[:MAX_MANAGERS]


def manager_of_annotation(raw: _Raw, name: str) -> str:
    """Return who owns an annotation of ours; "" if nobody says."""
    return next((str(one["manager"]) for one in _managers(raw) if name in one.get("annotations", ())), "")


def changed_fields(old: Any, new: Any) -> tuple[str, ...]:
    """Return the names of spec's fields that differ, sorted; never their values."""
    before = old if isinstance(old, Mapping) else {}
    after = new if isinstance(new, Mapping) else {}
    names = set(before) | set(after)
    return tuple(sorted(f"spec.{name}"[:80] for name in names if before.get(name) != after.get(name)))


def _managers(raw: _Raw) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (raw.get("metadata") or {}).get(KEPT) or []
    return found
