"""Values in which providers write a wait or an instant, as seconds from now.

Where such values stand, and which one counts, is left to `hints`. Nothing here raises, whatever the value:
None means unreadable. Every answer is finite, at least 0 and at most `MAX_WAIT_S`.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_WAIT_S: Final = 366 * 86_400.0
"""Keeps `timedelta` arithmetic safe; every policy's `maxDuration` is far below."""
EPOCH_FROM_S: Final = 30 * 86_400
"""A bare number from here on is an instant, not a delay (some send the epoch in `x-ratelimit-reset`)."""
EPOCH_MS_FROM: Final = 100_000_000_000
"""From here on it is an instant in milliseconds: in seconds it would be the year 5138."""
LONG_PAST_S: Final = 86_400.0
"""A number that would be an instant longer ago than this is neither a delay nor an instant anyone meant."""
MAX_VALUE_CHARS: Final = 64
"""No readable value is longer."""

_FIGURE: Final = r"\d{1,18}(?:\.\d{1,18})?"
_NUMBER: Final = re.compile(_FIGURE, re.ASCII)
_UNITS: Final[dict[str, float]] = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "millisecond": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86_400.0,
    "day": 86_400.0,
}
# Longer spellings first, so that "min" is not read as "m".
_UNIT: Final = "|".join(
    f"{unit}s?" if len(unit) > len("ms") else unit for unit in sorted(_UNITS, key=len, reverse=True)
)
_PART: Final = rf"{_FIGURE} ?(?:{_UNIT})"
_PARTS: Final = re.compile(rf"({_FIGURE}) ?({_UNIT})", re.ASCII)
_DURATION: Final = re.compile(rf"{_PART}(?: ?{_PART}){{0,7}}", re.ASCII)
_PHRASE: Final = re.compile(
    rf"\b(?:try again|retry) (?:in|after) (?:about )?({_PART}(?: ?{_PART}){{0,7}})(?!\w)", re.ASCII
)


def bounded(seconds: float) -> float:
    """Clamp to 0 .. `MAX_WAIT_S`."""
    return min(max(seconds, 0.0), MAX_WAIT_S)


def number_s(value: str, reference_utc: datetime) -> float | None:
    """Read a bare number: seconds, or an instant (seconds or milliseconds of the epoch) if large."""
    value = value.strip()
    if _NUMBER.fullmatch(value) is None:
        return None
    number = float(value)
    if number < EPOCH_FROM_S:
        return number
    if number >= EPOCH_MS_FROM:
        number /= 1000
    ahead = number - reference_utc.timestamp()
    return None if ahead < -LONG_PAST_S else bounded(ahead)


def milliseconds_s(value: str) -> float | None:
    """Read a bare number of milliseconds."""
    value = value.strip()
    return bounded(float(value) / 1000) if _NUMBER.fullmatch(value) else None


def duration_s(value: str) -> float | None:
    """Read a duration such as `12ms`, `6m0s`, `2m59.56s`, `1 hour 5 minutes`."""
    value = value.strip()
    if len(value) > MAX_VALUE_CHARS or _DURATION.fullmatch(value) is None:
        return None
    return _sum(value)


def http_date(value: str) -> datetime | None:
    """Read an HTTP-date as an aware instant.

    Source: RFC 9110 section 5.6.7.
    """
    if not 0 < len(value) <= MAX_VALUE_CHARS:
        return None
    try:
        date = parsedate_to_datetime(value)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after_s(value: str, reference_utc: datetime) -> float | None:
    """Read a Retry-After header: delay-seconds (fractions and epochs too, which some send) or HTTP-date.

    Source: RFC 9110 section 10.2.3.
    """
    seconds = number_s(value, reference_utc)
    if seconds is not None:
        return seconds
    date = http_date(value)
    return None if date is None else bounded((date - reference_utc).total_seconds())


def reset_s(value: str, reference_utc: datetime) -> float | None:
    """Read a reset header: a number, a Go-like duration, or an RFC 3339 instant."""
    seconds = number_s(value, reference_utc)
    if seconds is None:
        seconds = duration_s(value)
    return _instant_s(value, reference_utc) if seconds is None else seconds


def phrase_s(message: str) -> tuple[float, str] | None:
    """Find "try again in 1m12.5s", "retry after 27 seconds" in a message, and give the words too."""
    match = _PHRASE.search(message.lower())
    return None if match is None else (_sum(match[1]), match[0])


def _instant_s(value: str, reference_utc: datetime) -> float | None:
    if len(value) > MAX_VALUE_CHARS:
        return None
    try:
        instant = datetime.fromisoformat(value.strip())
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return bounded((instant - reference_utc).total_seconds())
    except (ValueError, OverflowError):
        return None


def _sum(duration: str) -> float:
    parts = _PARTS.findall(duration)
    return bounded(sum(float(figure) * _scale(unit) for figure, unit in parts))


def _scale(unit: str) -> float:
    return _UNITS[unit] if unit in _UNITS else _UNITS[unit.removesuffix("s")]
