"""What a caller's `Cache-Control` asks of us.

Source: RFC 9111 section 5.2.1, request directives. What providers say in theirs is meant for browsers and
passes unread: they call every answer private and not to be kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cliproxy_sidecar.core.headers import Header

MAX_AGE_S: Final = 2**31
"""Longer ages mean "any" (RFC 9111 section 1.2.2)."""


@dataclass(frozen=True, slots=True)
class Directives:
    """How one request may be answered."""

    read: bool = True
    """From what is kept, or from another's answer in flight."""
    write: bool = True
    """Its answer may be kept."""
    max_age_s: int | None = None
    """Kept answers that are older are not wanted; None: any."""


ANY: Final = Directives()
_FRESH: Final = Directives(read=False)
_PRIVATE: Final = Directives(read=False, write=False)


def directives_of(headers: Iterable[Header]) -> Directives:
    """Return what the caller wants; a directive that is not known is passed over."""
    value = b",".join([value for name, value in headers if name == b"cache-control"])
    if not value:
        return ANY
    words = [word.strip().lower() for word in value.split(b",")]
    if b"no-store" in words:
        return _PRIVATE
    if b"no-cache" in words:
        return _FRESH
    ages = [_age_s(word[8:]) for word in words if word.startswith(b"max-age=")]
    if not ages:
        return ANY
    least_s = min(ages)
    return Directives(max_age_s=least_s) if least_s > 0 else _FRESH


def _age_s(text: bytes) -> int:
    """Return the age; one that cannot be read wants a fresh answer."""
    text = text.strip(b'" ')
    return min(int(text), MAX_AGE_S) if text.isdigit() and len(text) < 20 else 0  # noqa: PLR2004 -- of 64 bits
