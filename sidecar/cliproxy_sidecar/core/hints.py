"""How long a provider says to wait, from body, headers and text, in the order of trust.

Order: the body's own hint (RetryInfo, resets_in_seconds, resets_at) > `retry-after-ms` > `Retry-After` > the
reset header of the *exhausted* bucket > "try again in ..." > the bucket that the error type names > none.
Nothing here raises: all of it comes from the provider. Every answer is finite, at least 0 and at most
`MAX_HINT_S`; clamping to a policy is `cliproxy_api.trip`'s.

Providers' instants are read against their own `Date` header, so that clock skew does not matter.
Sources: RFC 9110 section 10.2.3; the providers' rate limit pages (read 2026-11).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from cliproxy_sidecar.core.errorbody import ErrorBody

MAX_HINT_S: Final = 366 * 86_400.0
"""Keeps `timedelta` arithmetic safe; every policy's `maxDuration` is far below."""
EPOCH_FROM_S: Final = 30 * 86_400
"""A bare number from here on is an instant, not a delay (some send the epoch in `x-ratelimit-reset`)."""
EPOCH_MS_FROM: Final = 100_000_000_000
"""From here on it is an instant in milliseconds: in seconds it would be the year 5138."""
MAX_SKEW_S: Final = 86_400.0
"""A `Date` header further off than this is not a clock."""
MAX_VALUE_CHARS: Final = 64
"""No readable value is longer."""
MAX_SOURCE_CHARS: Final = 128
"""`Evidence.header` takes no more."""

_NUMBER: Final = re.compile(r"\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_ZERO: Final = re.compile(r"-\d+(?:\.\d+)?|0+(?:\.0+)?", re.ASCII)
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
_PART: Final = (
    r"\d{1,18}(?:\.\d{1,18})?\s?(?:(?:millisecond|second|sec|minute|min|hour|day)s?|ns|us|µs|ms|s|m|h|d)"
)
_PARTS: Final = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s?([a-zµ]+)", re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_PART}\s?)+")
_TEXT: Final = re.compile(rf"\b(?:try again|retry) (?:in|after) (?:about )?((?:{_PART} ?)+)(?![\w])")

_UNIFIED: Final = "anthropic-ratelimit-unified-"


@dataclass(frozen=True, slots=True)
class Hint:
    """A wait, and where it was read."""

    seconds: float
    source: str
    """"name: value", printable, at most 128 characters."""


def read_hint(error: ErrorBody, headers: Mapping[str, str], *, now_utc: datetime, long: bool) -> Hint | None:
    """Return the most trusted wait that the answer gives, None if it gives none that can be read.

    `long`: a day's or plan's limit was hit. Then the text's wait counts as well as an exhausted bucket's (the
    later one), since headers often know of the minute's buckets only.
    """
    reference = provider_clock(headers, now_utc)
    hint = _body_hint(error, reference) or _retry_after(headers, reference)
    if hint is not None:
        return hint
    exhausted = exhausted_bucket(headers, reference)
    text = text_hint(error.message)
    if long:
        return max((item for item in (exhausted, text) if item), key=lambda item: item.seconds, default=None)
    return exhausted or text or _named_bucket(error, headers, reference)


def provider_clock(headers: Mapping[str, str], now_utc: datetime) -> datetime:
    """Return the provider's own time from its `Date` header, ours if that is missing or nonsense."""
    date = http_date(headers.get("date", ""))
    if date is None or abs((date - now_utc).total_seconds()) > MAX_SKEW_S:
        return now_utc
    return date


def http_date(value: str) -> datetime | None:
    """Read an HTTP-date as an aware instant; None if unreadable."""
    if not 0 < len(value) <= MAX_VALUE_CHARS:
        return None
    try:
        date = parsedate_to_datetime(value)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def number_s(value: str, reference_utc: datetime) -> float | None:
    """Read a bare number: seconds from now, or an instant (seconds or milliseconds of the epoch) if large."""
    if _NUMBER.fullmatch(value) is None:
        return None
    number = float(value)
    if number < EPOCH_FROM_S:
        return number
    if number >= EPOCH_MS_FROM:
        number /= 1000
    ahead = number - reference_utc.timestamp()
    # Long past: neither a delay nor an instant anyone meant.
    return None if ahead < -MAX_SKEW_S else bounded(ahead)


def duration_s(value: str) -> float | None:
    """Read a duration such as `12ms`, `6m0s`, `2m59.56s`, `1 hour 5 minutes`; None if unreadable."""
    if len(value) > MAX_VALUE_CHARS or _DURATION.fullmatch(value) is None:
        return None
    return _sum_parts(value)


def retry_after_s(value: str, now_utc: datetime) -> float | None:
    """Read a Retry-After header as seconds from now, at least 0; None if unreadable.

    Accepts delay-seconds (fractions too, and epochs, which some send) and HTTP-date. Never raises.
    Source: RFC 9110 section 10.2.3.
    """
    value = value.strip()
    seconds = number_s(value, now_utc)
    if seconds is not None:
        return seconds
    date = http_date(value)
    return None if date is None else bounded((date - now_utc).total_seconds())


def reset_s(value: str, reference_utc: datetime) -> float | None:
    """Read a reset header: a Go-like duration, an RFC 3339 instant, or a number; None if unreadable."""
    value = value.strip()
    if len(value) > MAX_VALUE_CHARS:
        return None
    for read in (number_s(value, reference_utc), duration_s(value)):
        if read is not None:
            return read
    try:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return bounded((instant - reference_utc).total_seconds())
    except (ValueError, OverflowError):
        return None


def exhausted_bucket(headers: Mapping[str, str], reference_utc: datetime) -> Hint | None:
    """Return the reset of the bucket whose remaining is 0; of several the latest, since all must be free."""
    return _latest(
        headers,
        (reset for remaining, reset in _buckets(headers) if _is_empty(headers, remaining)),
        reference_utc,
    )


def unified_reset(headers: Mapping[str, str], reference_utc: datetime) -> Hint | None:
    """Return the latest reset among Anthropic's *rejected* subscription windows, None if none is rejected.

    Windows seen: 5h, 7d, 7d_oi; any other name is read the same way. The overall status counts when no window
    names itself. Source: issue threads about Anthropic subscriptions (read 2026-11).
    """
    rejected = [
        name.removesuffix("status")
        for name, value in headers.items()
        if name.startswith(_UNIFIED) and name.endswith("status") and value.strip().lower() == "rejected"
    ]
    windows = [name for name in rejected if name != _UNIFIED] or rejected
    return _latest(headers, (f"{name}reset" for name in windows), reference_utc)


def is_unified_rejected(headers: Mapping[str, str]) -> bool:
    """Whether one of Anthropic's subscription windows is used up."""
    return any(
        name.startswith(_UNIFIED) and name.endswith("status") and value.strip().lower() == "rejected"
        for name, value in headers.items()
    )


def text_hint(message: str) -> Hint | None:
    """Read "try again in 1m12.5s", "retry after 27 seconds" from an error message."""
    match = _TEXT.search(message.lower())
    if match is None:
        return None
    seconds = _sum_parts(match[1])
    return None if seconds is None else Hint(seconds, f"message: {match[0].strip()}"[:MAX_SOURCE_CHARS])


def bounded(seconds: float) -> float:
    """Clamp to 0 .. `MAX_HINT_S`; what is no number is 0."""
    return min(max(seconds, 0.0), MAX_HINT_S) if seconds == seconds else 0.0  # noqa: PLR0124 - NaN


def _body_hint(error: ErrorBody, reference: datetime) -> Hint | None:
    for name, value in (
        ("retryDelay", error.retry_delay),
        ("resets_in_seconds", error.resets_in_s),
    ):
        seconds = _delay_s(value)
        if seconds is not None:
            return _hint(name, value, seconds)
    seconds = _delay_s(error.resets_at)
    if seconds is None:
        return None
    at = number_s(repr(error.resets_at), reference)
    return None if at is None else _hint("resets_at", error.resets_at, at)


def _delay_s(value: object) -> float | None:
    """Read a delay in a body: "45.8s", 13680, or protobuf's seconds and nanos."""
    if isinstance(value, str):
        return duration_s(value.strip())
    if isinstance(value, dict):
        value = value.get("seconds")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An int of thousands of digits does not fit a float; comparing it does.
    return bounded(float(min(value, MAX_HINT_S))) if value >= 0 else None


def _retry_after(headers: Mapping[str, str], reference: datetime) -> Hint | None:
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        if name == "retry-after-ms":
            seconds = float(value) * scale if _NUMBER.fullmatch(value.strip()) else None
        else:
            seconds = retry_after_s(value, reference)
        if seconds is not None:
            return _hint(name, value, bounded(seconds))
    return None


def _named_bucket(error: ErrorBody, headers: Mapping[str, str], reference: datetime) -> Hint | None:
    """Return the reset of the bucket that the error's type names: it may have room, yet too little."""
    names = (f"x-ratelimit-reset-{word}" for word in error.words if word in {"requests", "tokens"})
    return _latest(headers, names, reference)


def _buckets(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pair the names of remaining and reset headers, in all spellings known."""
    for name in headers:
        if name.startswith(("x-ratelimit-remaining", "ratelimit-remaining")):
            yield name, name.replace("remaining", "reset", 1)
        elif name.startswith("anthropic-ratelimit-") and name.endswith("-remaining"):
            yield name, name.removesuffix("remaining") + "reset"
    # A limit told without its remaining: after a refusal it is the one.
    for prefix in ("x-ratelimit", "ratelimit"):
        if f"{prefix}-remaining" not in headers:
            yield f"{prefix}-remaining", f"{prefix}-reset"


def _is_empty(headers: Mapping[str, str], name: str) -> bool:
    return _ZERO.fullmatch(headers.get(name, "0").strip()) is not None


def _latest(headers: Mapping[str, str], names: Iterator[str], reference: datetime) -> Hint | None:
    best: Hint | None = None
    for name in names:
        seconds = reset_s(headers.get(name, ""), reference)
        if seconds is not None and (best is None or seconds > best.seconds):
            best = _hint(name, headers[name], seconds)
    return best


def _sum_parts(value: str) -> float | None:
    total = 0.0
    for number, unit in _PARTS.findall(value):
        scale = _UNITS.get(unit, _UNITS.get(unit.removesuffix("s")))
        if scale is None:
            return None
        total += float(number) * scale
    return bounded(total)


def _hint(name: str, value: object, seconds: float) -> Hint:
    text = "".join(char if char.isprintable() else "?" for char in str(value)[:MAX_VALUE_CHARS])
    return Hint(seconds, f"{name}: {text}"[:MAX_SOURCE_CHARS])
