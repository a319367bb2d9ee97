"""Durations as users write them in objects: `250ms`, `30s`, `5m`, `1h30m`.

A subset of Go's syntax, so that the API server's CEL `duration()` reads every accepted text the same way.
Bounds of single fields stand with the fields (`cliproxy_api.resources`).
"""

import re
from functools import lru_cache
from typing import Final

DURATION_PATTERN: Final = r"^([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$"
"""Together with a minimum length of 2: at least one whole number with a unit, larger units first."""
DURATION_HELP: Final = (
    "a duration such as 250ms, 30s, 5m or 1h30m (whole numbers; units h, m, s, ms in this order)"
)

_UNITS_MS: Final = (3_600_000, 60_000, 1_000, 1)
_NAMES: Final = ("h", "m", "s", "ms")
_DURATION: Final = re.compile(DURATION_PATTERN, re.ASCII)


@lru_cache(maxsize=4096)  # the same few texts stand in hundreds of objects
def parse_duration_s(text: str) -> float:
    """Return the duration in seconds, at least 0.

    Raises:
        ValueError: not a duration; the message says what one looks like. The writer's fault.

    """
    match = _DURATION.match(text) if len(text) >= len("0s") and not text.endswith("\n") else None
    if match is None:
        raise ValueError(f"{text[:40]!r} is not {DURATION_HELP}")
    parts = zip(match.groups(), _NAMES, _UNITS_MS, strict=True)
    return sum(int(part.removesuffix(name)) * unit for part, name, unit in parts if part) / 1000


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration_s` reads as these seconds, rounded to milliseconds.

    Raises:
        ValueError: negative or not finite; a bug of the caller.

    """
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds} seconds cannot be written as a duration")
    left_ms = round(seconds * 1000)
    text = ""
    for name, unit in zip(_NAMES, _UNITS_MS, strict=True):
        count, left_ms = divmod(left_ms, unit)
        if count:
            text += f"{count}{name}"
    return text or "0s"
