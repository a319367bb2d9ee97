"""Tokens to money: what an answer cost, and what a request will cost at least, in nano-dollars.

Buckets are disjoint (`core.usage`), so each token is priced once. Which model's prices count is the target's.
"""

from typing import Final

from cliproxy_api.snapshot import Pricing
from cliproxy_sidecar.core.usage import BYTES_PER_TOKEN, Usage

PER_PRICE: Final = 1_000_000
"""Tokens that a price is for."""
EXPECTED_OUTPUT_TOKENS: Final = 300
"""Reserved for an answer whose length nobody knows; settling puts it right."""


def cost_nano_usd(usage: Usage, pricing: Pricing | None) -> int:
    """Return what the tokens cost, rounded half up; 0 if the price is unknown."""
    if pricing is None:
        return 0
    fresh, output = pricing.input, pricing.output
    cached = fresh if pricing.cached_input is None else pricing.cached_input
    written = fresh if pricing.cache_write is None else pricing.cache_write
    reasoning = output if pricing.reasoning is None else pricing.reasoning
    total = (
        usage.input * fresh
        + usage.cached_input * cached
        + usage.cache_write * written
        + usage.output * output
        + usage.reasoning * reasoning
    )
    return (total + PER_PRICE // 2) // PER_PRICE


def expected_tokens(body_bytes: int) -> int:
    """Return how many tokens a request will presumably take, answer included."""
    return body_bytes // BYTES_PER_TOKEN + EXPECTED_OUTPUT_TOKENS


def expected_nano_usd(tokens: int, pricing: Pricing | None) -> int:
    """Return what `expected_tokens` will presumably cost; 0 if the price is unknown."""
    if pricing is None:
        return 0
    fresh = max(tokens - EXPECTED_OUTPUT_TOKENS, 0)
    return (fresh * pricing.input + (tokens - fresh) * pricing.output) // PER_PRICE
