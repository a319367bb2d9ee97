"""What the audit log says, in sidecar and operator alike: one JSON object per event, bounded per minute.

Pure: lines are written by each part's own shell. docs/audit.md is the schema for people.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

LOG: Final = "audit"
"""Value of every line's `log`: what collectors route by."""
WINDOW_S: Final = 60.0
LINES_PER_WINDOW: Final = 60
"""Of one event in a minute; whatever comes beyond is counted and told in one line at its end. A flood is a
hundred kilobytes an hour at most, and says how large it was."""
MAX_REASONS: Final = 16
MAX_TEXT_CHARS: Final = 300


class AuditEvent(StrEnum):
    """What happened."""

    AUTHENTICATION_FAILURE = "authentication_failure"
    """No key, certificate or token, or none that is known."""
    ACCESS_REFUSED = "access_refused"
    """Somebody known, or somewhere known, that may not do this."""
    LIMIT_HIT = "limit_hit"
    """A consumer's rate limit turned a request away."""
    BUDGET_EXCEEDED = "budget_exceeded"
    """A consumer's budget turned a request away, or had a cheaper model answer."""
    MANUAL_COOLDOWN = "manual_cooldown"
    MANUAL_RECOVERY = "manual_recovery"
    CONFIGURATION_REQUEST = "configuration_request"
    """Somebody asked the API server to store an object of ours: who, by admission."""
    CONFIGURATION_CHANGE = "configuration_change"
    """A changed configuration was seen (operator) or is in force (sidecar)."""


class AuditOutcome(StrEnum):
    """What became of it."""

    DONE = "done"
    REFUSED = "refused"
    DOWNGRADED = "downgraded"
    PASSED_ON = "passed_on"
    """Told to the leader, who does it."""
    SUPPRESSED = "suppressed"
    """Counted only: `count` events beyond the bound, by reason."""


@dataclass(frozen=True, slots=True)
class Remainder:
    """What of one event was not written in one window."""

    event: AuditEvent
    count: int
    reasons: dict[str, int]


@dataclass(slots=True)
class _Window:
    ends: float
    written: int = 0
    suppressed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


class AuditGate:
    """Says which events are written; `now` is monotonic seconds. Holds a few numbers per kind of event."""

    def __init__(self) -> None:
        self._windows: dict[AuditEvent, _Window] = {}

    def admits(self, event: AuditEvent, reason: str, now: float) -> bool:
        """Whether to write this one; call `remainders` first, as a window may have ended."""
        window = self._windows.get(event)
        if window is None:
            window = self._windows[event] = _Window(now + WINDOW_S)
        if window.written < LINES_PER_WINDOW:
            window.written += 1
            return True
        window.suppressed += 1
        known = reason if reason in window.reasons or len(window.reasons) < MAX_REASONS else "other"
        window.reasons[known] = window.reasons.get(known, 0) + 1
        return False

    def remainders(self, now: float, *, all_of_them: bool = False) -> tuple[Remainder, ...]:
        """Return what windows that have ended left out, or all (the process ends), and forget them."""
        ended = [event for event, window in self._windows.items() if all_of_them or window.ends <= now]
        windows = [(event, self._windows.pop(event)) for event in ended]
        return tuple(
            Remainder(event, one.suppressed, one.reasons) for event, one in windows if one.suppressed
        )

    def wake_at(self) -> float | None:
        """Return when a remainder is due; None while nothing has been left out."""
        return min((window.ends for window in self._windows.values() if window.suppressed), default=None)


def audit_fields(
    event: AuditEvent,
    outcome: AuditOutcome,
    *,
    who: str = "",
    origin: str = "",
    subject: str = "",
    reason: str = "",
    **detail: Any,
) -> dict[str, Any]:
    """Return an event's fields in their order; texts are cut, what is unknown is an empty text.

    `origin` is shown as `from`: address and port. `subject` is shown as `object`. Never hand in a key.
    """
    told = {"who": who, "from": origin, "object": subject, "reason": reason}
    more = {name: _cut(value) for name, value in detail.items() if value is not None}
    return {
        "log": LOG,
        "event": event.value,
        "outcome": outcome.value,
        **{name: _cut(text) for name, text in told.items()},
        **more,
    }


def remainder_fields(left: Remainder) -> dict[str, Any]:
    """Return the line of a remainder."""
    fields = audit_fields(left.event, AuditOutcome.SUPPRESSED, reason="too many in a minute")
    return {**fields, "count": left.count, "reasons": left.reasons}


def peer_text(peer: Any) -> str:
    """Return an address and port as text, IPv6 in brackets; "" if there is none."""
    if not peer:
        return ""
    host, port = str(peer[0]), peer[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cut(value: Any) -> Any:
    return value[:MAX_TEXT_CHARS] if isinstance(value, str) else value
