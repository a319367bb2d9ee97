"""What a provider says is left of its limits, from the headers of any of its answers.

Only for people and for later choices; what an exhausted limit means is `outcome`'s.
Sources: OpenAI and Anthropic API documentation, rate limits (read 2026-11). Azure and Groq use OpenAI's
names.
"""

from collections.abc import Iterable
from typing import Final

_REQUESTS: Final = frozenset({b"x-ratelimit-remaining-requests", b"anthropic-ratelimit-requests-remaining"})
_TOKENS: Final = frozenset({b"x-ratelimit-remaining-tokens", b"anthropic-ratelimit-tokens-remaining"})
_LENGTHS: Final = frozenset(map(len, _REQUESTS | _TOKENS))
_MAX_DIGITS: Final = 15


def remaining(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int | None, int | None]:
    """Return the requests and the tokens that are left; None where the provider does not say."""
    requests: int | None = None
    tokens: int | None = None
    for name, value in headers:
        if len(name) not in _LENGTHS:  # spares nearly every header the rest
            continue
        lower = name.lower()
        if lower in _REQUESTS:
            requests = _count(value)
        elif lower in _TOKENS:
            tokens = _count(value)
    return requests, tokens


def _count(value: bytes) -> int | None:
    digits = value.strip()
    return int(digits) if digits.isdigit() and len(digits) <= _MAX_DIGITS else None
