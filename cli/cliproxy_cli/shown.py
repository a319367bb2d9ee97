"""How parts of status look in a cell: phases in colours, what is left of a cooldown, counts of sidecars."""

from datetime import datetime
from typing import Any, Final

from cliproxy_api.durations import format_duration
from cliproxy_api.vocabulary import ProviderPhase
from cliproxy_cli.output import Cell, Colour

PHASES: Final = {
    ProviderPhase.HEALTHY.value: Colour.GREEN,
    ProviderPhase.DEGRADED.value: Colour.YELLOW,
    ProviderPhase.COOLING_DOWN.value: Colour.YELLOW,
    ProviderPhase.UNHEALTHY.value: Colour.RED,
    ProviderPhase.MISCONFIGURED.value: Colour.RED,
    ProviderPhase.DISABLED.value: Colour.DIM,
    ProviderPhase.UNKNOWN.value: Colour.DIM,
}


def phase(status: dict[str, Any]) -> Cell:
    """Return the phase; a word from a newer operator is shown as it is."""
    word = str(status.get("phase") or ProviderPhase.UNKNOWN.value)
    return Cell(word, PHASES.get(word, Colour.PLAIN))


def synced(sidecars: dict[str, Any]) -> Cell:
    """Return how many sidecars run the present configuration, of how many."""
    if not sidecars:
        return Cell("")
    now, of = sidecars.get("synced", 0), sidecars.get("total", 0)
    return Cell(f"{now}/{of}", Colour.PLAIN if now == of else Colour.YELLOW)


def left(until: str | None, now_utc: datetime) -> str:
    """Return how long an instant is away, in whole seconds; "ending" when it has passed, "" if none."""
    at = instant(until)
    if at is None:
        return ""
    seconds = int((at - now_utc).total_seconds())
    return format_duration(seconds) if seconds > 0 else "ending"


def age(since: str | None, now_utc: datetime) -> str:
    """Return how long ago an instant was, as kubectl tells it: the largest unit or two."""
    at = instant(since)
    if at is None:
        return ""
    seconds = max(int((now_utc - at).total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def instant(text: str | None) -> datetime | None:
    """Read an instant; None if there is none, or it is not one."""
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None
