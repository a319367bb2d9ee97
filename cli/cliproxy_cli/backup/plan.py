"""Pure: a backup's entry and the live object -> what restoring does to it, and why.

Newer wins unless forced. Doing it twice is doing it once: an object that has taken over this backup's state
says so in `status.restoredFrom`. Who carries it out is `commands.restore`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cliproxy_api.restored import RestoredState, UnreadableStateError, fresh_state, read_state, write_state
from cliproxy_api.vocabulary import RESTORE_ANNOTATION
from cliproxy_cli.backup.content import Content, Entry, SecretEntry

Json = dict[str, Any]


class Did(StrEnum):
    """What became of an object."""

    CREATED = "created"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    """It is there already, the same."""
    KEPT = "kept"
    """It is there already, another one, and stays: newer wins."""
    FAILED = "failed"


class State(StrEnum):
    """What became of its run-time state."""

    NONE = "-"
    """There was none."""
    RESTORED = "restored"
    """Handed to the operator with the object."""
    KNOWN = "known"
    """This backup's state has been taken over before."""
    NEWER = "newer"
    """The live object has lived on since the backup; what it knows itself stands."""
    EXPIRED = "expired"
    """All of it is over."""
    LEFT = "left out"
    """As asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do about one object."""

    entry: Entry | SecretEntry
    did: Did
    state: State = State.NONE
    create: Json | None = None
    """Body of the object to create."""
    replace: Json | None = None
    """Body to put in the live one's place; holds its resourceVersion."""
    annotate: str | None = None
    """State to hand to the object that is there."""
    notes: tuple[str, ...] = ()


def plan_object(
    entry: Entry,
    live: Mapping[str, Any] | None,
    backup: Content,
    now_utc: datetime,
    *,
    force: bool,
    with_state: bool,
) -> Step:
    """Return what restoring comes to for one object; `live` is what the API server has under its name."""
    state, value, notes = _state(entry, live, backup, now_utc, force=force, with_state=with_state)
    if live is None:
        return Step(entry=entry, did=Did.CREATED, state=state, create=body_of(entry, value), notes=notes)
    metadata = live["metadata"]
    if _same(entry, live):
        return Step(entry=entry, did=Did.UNCHANGED, state=state, annotate=value, notes=notes)
    if not force:
        why = _why_kept(entry, metadata)
        return Step(entry=entry, did=Did.KEPT, state=state, annotate=value, notes=(why, *notes))
    body = body_of(entry, value)
    body["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    return Step(entry=entry, did=Did.REPLACED, state=state, replace=body, notes=notes)


def plan_secret(entry: SecretEntry, live: Mapping[str, Any] | None, *, force: bool) -> Step:
    """Return what restoring comes to for one Secret."""
    if live is None:
        return Step(entry=entry, did=Did.CREATED, create=_secret_body(entry))
    if dict(live.get("data") or {}) == entry.data:
        return Step(entry=entry, did=Did.UNCHANGED)
    if not force:
        why = "the live Secret holds other values, perhaps rotated since; --force writes the backup's"
        return Step(entry=entry, did=Did.KEPT, notes=(why,))
    body = _secret_body(entry)
    body["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    return Step(entry=entry, did=Did.REPLACED, replace=body)


def body_of(entry: Entry, state: str | None) -> Json:
    """Return the object to write, with its state beside it."""
    annotations = dict(entry.annotations)
    if state is not None:
        annotations[RESTORE_ANNOTATION] = state
    return {
        "apiVersion": entry.api_version,
        "kind": entry.kind,
        "metadata": _metadata(entry, annotations),
        "spec": entry.spec,
    }


def _secret_body(entry: SecretEntry) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(entry, entry.annotations),
        "type": entry.type,
        "data": entry.data,
    }


def _metadata(entry: Entry | SecretEntry, annotations: Mapping[str, str]) -> Json:
    metadata: Json = {"name": entry.name, "namespace": entry.namespace}
    if entry.labels:
        metadata["labels"] = dict(entry.labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    return metadata


def _same(entry: Entry, live: Mapping[str, Any]) -> bool:
    labels = dict(live["metadata"].get("labels") or {})
    return dict(live.get("spec") or {}) == entry.spec and labels == entry.labels


def _why_kept(entry: Entry, metadata: Mapping[str, Any]) -> str:
    if metadata.get("uid") == entry.uid:
        since = f"generation {entry.generation} then, {metadata.get('generation')} now"
        return f"changed since the backup ({since}); --force goes back"
    return "made anew since, with another spec or labels; --force writes the backup's"


def _state(
    entry: Entry,
    live: Mapping[str, Any] | None,
    backup: Content,
    now_utc: datetime,
    *,
    force: bool,
    with_state: bool,
) -> tuple[State, str | None, tuple[str, ...]]:
    """Return what becomes of the state, the annotation's value if it is handed over, and notes."""
    settled = State.NONE if not entry.state else State.LEFT if not with_state else None
    if settled is None and live is not None:
        same = live["metadata"].get("uid") == entry.uid
        taken = _has_taken(live, backup.id)
        settled = State.KNOWN if taken else State.NEWER if same and not force else None
    if settled is not None:
        return settled, None, ()
    fresh, notes = fresh_state(entry.kind, entry.state, now_utc)
    if not fresh:
        return State.EXPIRED, None, notes
    handed = RestoredState(id=backup.id, taken_at=backup.taken_at, status=fresh)
    try:
        return State.RESTORED, write_state(handed), notes
    except UnreadableStateError as error:
        return State.LEFT, None, (*notes, f"left out: {error}")


def _has_taken(live: Mapping[str, Any], backup_id: str) -> bool:
    """Whether the object carries this backup's state, or has taken it over."""
    if (live.get("status") or {}).get("restoredFrom") == backup_id:
        return True
    try:
        waiting = read_state(live["metadata"].get("annotations") or {})
    except UnreadableStateError:
        return False
    return waiting is not None and waiting.id == backup_id
