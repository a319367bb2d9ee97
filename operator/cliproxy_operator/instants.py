"""Instants as status writes them: RFC 3339, UTC, whole seconds; and rounding up to those.

Rounding is always up: what is announced must not be over too early.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

ROUNDING: Final = timedelta(seconds=2)
"""An instant that was rounded up, here or by who wrote it, lies no further ahead than this."""


def rounded_up(moment: datetime) -> datetime:
    """Return the instant, or the next whole second if it is between two."""
    return moment if moment.microsecond == 0 else moment.replace(microsecond=0) + timedelta(seconds=1)


def lies_ahead(moment: datetime, now: datetime) -> bool:
    """Whether an instant at which something has happened is yet to come: a clock was wrong, then or now."""
    return moment - now > ROUNDING


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two instants, or the one that there is."""
    return other if one is None or (other is not None and other > one) else one


def write_instant(moment: datetime) -> str:
    """Return an aware instant as text, rounded up to whole seconds."""
    return rounded_up(moment).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_instant(text: str | None) -> datetime | None:
    """Return the instant in UTC; None if there is none or it cannot be read (somebody else's edit)."""
    try:
        moment = datetime.fromisoformat(text) if text is not None else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
