"""Run-time state on its way out of a backup: what of a status is kept, how it travels, and when it is over.

`cliproxy restore` writes it beside the object as one annotation, so that object and state come in one write;
the operator takes it over once and says so in `status.restoredFrom`. Who may restore what is left to the CLI.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from cliproxy_api.periods import period_end
from cliproxy_api.vocabulary import RESTORE_ANNOTATION, AlertState, CooldownPhase, QuotaReset

STATE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "LLMProvider": ("cooldowns", "quota", "cost"),
    "ProxyProfile": ("consumers",),
    "AlertRule": ("providers", "channels"),
}
"""By kind: the parts of status that nobody could find out again. A CooldownPolicy has none."""
MAX_ANNOTATION_BYTES: Final = 200_000
"""The API server takes 256 KiB for all annotations of an object; people need some of that."""
MAX_ID_CHARS: Final = 64


class RestoredState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What a restored object remembers."""

    id: str
    """Of the backup; 1 to 64 characters."""
    taken_at: str
    """When the backup was made, RFC 3339."""
    status: dict[str, Any] = {}
    """Fields of `STATE_FIELDS`, as status has them."""


class UnreadableStateError(ValueError):
    """The annotation is not what `cliproxy restore` writes; the message is for its author."""


def write_state(state: RestoredState) -> str:
    """Return the annotation's value.

    Raises:
        UnreadableStateError: too large for an annotation.

    """
    encoded = msgspec.json.encode(state)
    if len(encoded) > MAX_ANNOTATION_BYTES:
        raise UnreadableStateError(f"state of {len(encoded)} bytes; at most {MAX_ANNOTATION_BYTES} fit")
    return encoded.decode()


def read_state(annotations: Mapping[str, str]) -> RestoredState | None:
    """Return what an object's annotations say was restored; None if nothing.

    Raises:
        UnreadableStateError: somebody else's edit.

    """
    text = annotations.get(RESTORE_ANNOTATION)
    if text is None:
        return None
    try:
        state = msgspec.json.decode(text, type=RestoredState)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise UnreadableStateError(f"{RESTORE_ANNOTATION}: {error}") from None
    if not 1 <= len(state.id) <= MAX_ID_CHARS:
        raise UnreadableStateError(f"{RESTORE_ANNOTATION}: id must have 1 to {MAX_ID_CHARS} characters")
    return state


def kept_state(kind: str, status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a status belongs into a backup; empty if nothing does."""
    return {name: status[name] for name in STATE_FIELDS.get(kind, ()) if status.get(name)}


def fresh_state(
    kind: str, state: Mapping[str, Any], now_utc: datetime
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what of a state is still in force, and a sentence for each part that is not.

    Tolerates what it cannot read: that is dropped, and said.
    """
    notes: list[str] = []
    kept: dict[str, Any] = {}
    for name in STATE_FIELDS.get(kind, ()):
        value = state.get(name)
        if not value:
            continue
        try:
            found = _FRESH[name](value, now_utc, notes)
        except (AttributeError, TypeError, ValueError, KeyError):
            notes.append(f"{name}: unreadable, dropped")
            continue
        if found:
            kept[name] = found
    return kept, tuple(notes)


def _cooldowns(entries: Any, now: datetime, notes: list[str]) -> list[Any]:
    kept = []
    for entry in entries:
        until = _instant(entry.get("until"))
        if entry.get("phase") == CooldownPhase.HALF_OPEN or (until is not None and until > now):
            kept.append(entry)  # a half-open one has no end: its trial begins anew
        else:
            names = "/".join(str(entry[part]) for part in ("credential", "model") if entry.get(part))
            where = f"{entry.get('scope')} {names}".strip()
            notes.append(f"cooldown of {where} ended at {entry.get('until')}, dropped")
    return kept


def _quota(quota: Any, now: datetime, notes: list[str]) -> Any:
    resets = _instant(quota.get("resetsAt"))
    if resets is not None and resets > now:
        return quota
    notes.append(f"quota period ended at {quota.get('resetsAt')}, dropped")
    return None


def _cost(cost: Any, now: datetime, notes: list[str]) -> Any:
    kept = _spent(cost, now, {"today": QuotaReset.DAILY, "thisMonth": QuotaReset.MONTHLY})
    notes.extend(f"cost {name} is of {cost.get('day')}, dropped" for name in cost if name not in kept)
    return kept if len(kept) > 1 else None


_BUDGETS: Final = {"today": QuotaReset.DAILY, "thisWeek": QuotaReset.WEEKLY, "thisMonth": QuotaReset.MONTHLY}


def _consumers(entries: Any, now: datetime, notes: list[str]) -> list[Any]:
    found = []
    for entry in entries:
        kept = _spent(entry, now, _BUDGETS)
        gone = [name for name in _BUDGETS if name in entry and name not in kept]
        notes.extend(f"consumer {entry['name']}: {name} is of {entry.get('day')}, dropped" for name in gone)
        if kept.keys() & _BUDGETS.keys():
            found.append(kept)
    return found


def _spent(entry: Mapping[str, Any], now: datetime, periods: Mapping[str, QuotaReset]) -> dict[str, Any]:
    """Return the entry without the amounts whose period is over."""
    written = datetime.fromisoformat(f"{entry['day']}T00:00:00+00:00")
    over = {name for name, reset in periods.items() if period_end(reset, written) != period_end(reset, now)}
    return {name: value for name, value in entry.items() if name not in over}


def _alerts(entries: Any, _now: datetime, notes: list[str]) -> list[Any]:
    kept = []
    for entry in entries:
        if entry.get("state") == AlertState.PENDING and not entry.get("told"):
            # Nobody watched whether the condition held meanwhile.
            notes.append(f"alert for {entry.get('provider')} was pending and begins anew")
        elif entry.get("state") == AlertState.FIRING or entry.get("told"):
            kept.append(entry)
    return kept


def _channels(entries: Any, _now: datetime, _notes: list[str]) -> Any:
    return [entry for entry in entries if entry.get("name")]


_FRESH: Final[Mapping[str, Any]] = {
    "cooldowns": _cooldowns,
    "quota": _quota,
    "cost": _cost,
    "consumers": _consumers,
    "providers": _alerts,
    "channels": _channels,
}


def _instant(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo is not None else None
