"""Prices as users write them to prices as everybody counts them, and what tokens cost at them."""

from dataclasses import dataclass
from typing import Final

from cliproxy_api.money import parse_nano_usd
from cliproxy_api.resources import llmprovider_parts as parts
from cliproxy_api.snapshot import Pricing
from cliproxy_api.vocabulary import PriceUnit

PER_PRICE: Final = 1_000_000
"""Tokens that a price is for."""
_PER_MILLION: Final = {PriceUnit.THOUSAND: 1000, PriceUnit.MILLION: 1}
_MAX_PRICE: Final = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Disjoint token counts."""

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.input + self.cached_input + self.cache_write + self.output + self.reasoning


def model_pricing(own: parts.Pricing | None, fallback: parts.CostPer1kTokens | None) -> Pricing | None:
    """Return a model's prices per million tokens, the provider's where it has none; None: unknown."""
    if own is not None:
        return Pricing(
            input=_price(own.input, own.per),
            output=_price(own.output, own.per),
            cached_input=None if own.cached_input is None else _price(own.cached_input, own.per),
            cache_write=None if own.cache_write is None else _price(own.cache_write, own.per),
            reasoning=None if own.reasoning is None else _price(own.reasoning, own.per),
        )
    if fallback is None:
        return None
    return Pricing(
        input=_price(fallback.input, PriceUnit.THOUSAND), output=_price(fallback.output, PriceUnit.THOUSAND)
    )


def price_list(pricing: Pricing) -> Buckets:
    """Return the price of each bucket, in nano-dollars per million tokens, with the defaults filled in."""
    return Buckets(
        input=pricing.input,
        cached_input=pricing.input if pricing.cached_input is None else pricing.cached_input,
        cache_write=pricing.input if pricing.cache_write is None else pricing.cache_write,
        output=pricing.output,
        reasoning=pricing.output if pricing.reasoning is None else pricing.reasoning,
    )


def cost_of(tokens: Buckets, pricing: Pricing) -> int:
    """Return what these tokens cost at these prices, in nano-dollars, rounded half up."""
    price = price_list(pricing)
    total = (
        tokens.input * price.input
        + tokens.cached_input * price.cached_input
        + tokens.cache_write * price.cache_write
        + tokens.output * price.output
        + tokens.reasoning * price.reasoning
    )
    return (total + PER_PRICE // 2) // PER_PRICE


def _price(amount: str, per: PriceUnit) -> int:
    """Return nano-dollars per million tokens, in 64 bits; the parser has seen to it that it is an amount."""
    return min(parse_nano_usd(amount) * _PER_MILLION[per], _MAX_PRICE)
