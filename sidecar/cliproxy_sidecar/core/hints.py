"""How long a provider says to wait: which of the places it may say so counts.

Order: the body's own hint (RetryInfo, resets_in_seconds, resets_at) > `retry-after-ms` > `Retry-After` > the
reset header of the *exhausted* bucket > "try again in ..." > the bucket that the error's type names > none.
Reading the values is left to `waits`, clamping to a policy to `cliproxy_api.trip`. Nothing here raises.

Providers' instants are read against their own `Date` header, so that clock skew does not matter.
Sources: the providers' rate limit pages; issue threads (read 2026-11).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cliproxy_sidecar.core import waits
from cliproxy_sidecar.core.errorbody import ErrorBody

MAX_SKEW_S: Final = 86_400.0
"""A `Date` header further off than this is not a clock."""
MAX_SOURCE_CHARS: Final = 128
"""`Evidence.header` takes no more."""

_EMPTY: Final = re.compile(r"-\d+(?:\.\d+)?|0+(?:\.0+)?", re.ASCII)
_UNIFIED: Final = "anthropic-ratelimit-unified-"
_OVERALL: Final = "anthropic-ratelimit-unified-status"


@dataclass(frozen=True, slots=True)
class Hint:
    """A wait, and where it was read."""

    seconds: float
    """Finite, at least 0."""
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
    text = _phrase(error.message)
    if long:
        return max((item for item in (exhausted, text) if item), key=lambda item: item.seconds, default=None)
    return exhausted or text or _named_bucket(error, headers, reference)


def provider_clock(headers: Mapping[str, str], now_utc: datetime) -> datetime:
    """Return the provider's own time from its `Date` header, ours if that is missing or nonsense."""
    date = waits.http_date(headers.get("date", ""))
    if date is None or abs((date - now_utc).total_seconds()) > MAX_SKEW_S:
        return now_utc
    return date


def exhausted_bucket(headers: Mapping[str, str], reference_utc: datetime) -> Hint | None:
    """Return the reset of the bucket whose remaining is 0; of several the latest, since all must be free."""
    resets = (
        reset
        for remaining, reset in buckets(headers)
        if _EMPTY.fullmatch(headers.get(remaining, "0").strip())
    )
    return _latest(headers, resets, reference_utc)


def is_unified_rejected(headers: Mapping[str, str]) -> bool:
    """Whether Anthropic says that a window of the subscription is used up.

    The overall status decides where it is given. Source: issue threads on subscriptions (read 2026-11).
    """
    if _OVERALL in headers:
        return _is_rejected(headers[_OVERALL])
    return bool(_rejected_windows(headers))


def unified_reset(headers: Mapping[str, str], reference_utc: datetime) -> Hint | None:
    """Return the latest reset among the *rejected* subscription windows, else the overall one.

    Windows seen: 5h, 7d, 7d_oi; any other name is read the same way.
    """
    windows = _rejected_windows(headers)
    names = [name.removesuffix("status") + "reset" for name in windows or [_OVERALL]]
    return _latest(headers, names, reference_utc)


def _rejected_windows(headers: Mapping[str, str]) -> list[str]:
    """Name the status headers of used-up windows. "overage" is the account's policy, not a window."""
    return [
        name
        for name, value in headers.items()
        if name.startswith(_UNIFIED)
        and name.endswith("-status")
        and name not in {_OVERALL, f"{_UNIFIED}overage-status"}
        and _is_rejected(value)
    ]


def _is_rejected(value: str) -> bool:
    return value.strip().lower() == "rejected"


def _body_hint(error: ErrorBody, reference: datetime) -> Hint | None:
    delays = (("retryDelay", error.retry_delay), ("resets_in_seconds", error.resets_in_s))
    for name, value in delays:
        seconds = _delay_s(value)
        if seconds is not None:
            return _hint(name, value, seconds)
    seconds = waits.reset_s(_written(error.resets_at), reference)
    return None if seconds is None else _hint("resets_at", error.resets_at, seconds)


def _delay_s(value: object) -> float | None:
    """Read a delay in a body: 13680, "45.8s", or protobuf's {"seconds": 45}."""
    if isinstance(value, dict):
        value = value.get("seconds")
    written = _written(value)
    seconds = waits.duration_s(written)
    return waits.duration_s(f"{written}s") if seconds is None else seconds


def _written(value: object) -> str:
    """Write a JSON number as a header would hold it; texts as they are, anything else unreadable."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value) if not isinstance(value, float) else f"{value:.9f}"


def _retry_after(headers: Mapping[str, str], reference: datetime) -> Hint | None:
    milliseconds = headers.get("retry-after-ms", "")
    seconds = waits.milliseconds_s(milliseconds)
    if seconds is not None:
        return _hint("retry-after-ms", milliseconds, seconds)
    value = headers.get("retry-after", "")
    seconds = waits.retry_after_s(value, reference)
    return None if seconds is None else _hint("retry-after", value, seconds)


def _phrase(message: str) -> Hint | None:
    found = waits.phrase_s(message)
    return None if found is None else _hint("message", found[1], found[0])


def _named_bucket(error: ErrorBody, headers: Mapping[str, str], reference: datetime) -> Hint | None:
    """Return the reset of the bucket that the error's type names: it may have room, yet too little."""
    names = (f"x-ratelimit-reset-{word}" for word in error.words if word in {"requests", "tokens"})
    return _latest(headers, names, reference)


def buckets(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pair the names of remaining and reset headers, in all spellings known; either may be missing."""
    for name in headers:
        if name.startswith(("x-ratelimit-remaining", "ratelimit-remaining")):
            yield name, name.replace("remaining", "reset", 1)
        elif name.startswith("anthropic-ratelimit-") and name.endswith("-remaining"):
            yield name, name.removesuffix("remaining") + "reset"
    # A limit told without its remaining: after a refusal it is the one that was hit.
    for prefix in ("x-ratelimit", "ratelimit"):
        if f"{prefix}-remaining" not in headers:
            yield f"{prefix}-remaining", f"{prefix}-reset"


def _latest(headers: Mapping[str, str], names: Iterable[str], reference: datetime) -> Hint | None:
    found = (
        _hint(name, headers[name], seconds)
        for name in names
        if (seconds := waits.reset_s(headers.get(name, ""), reference)) is not None
    )
    return max(found, key=lambda hint: hint.seconds, default=None)


def _hint(name: str, value: object, seconds: float) -> Hint:
    text = f"{name}: {value}"[:MAX_SOURCE_CHARS]
    return Hint(seconds, "".join(char if char.isprintable() else "?" for char in text))
