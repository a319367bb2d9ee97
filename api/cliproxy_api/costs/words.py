"""Amounts and counts in sentences, so that arithmetic can be followed with a pocket calculator."""

from cliproxy_api.money import NANO_USD_PER_USD, format_nano_usd, round_nano_usd
from cliproxy_api.pricing import PER_PRICE, Buckets, cost_of, price_list
from cliproxy_api.snapshot import Pricing

_NAMES = {
    "input": "fresh input",
    "cached_input": "read from cache",
    "cache_write": "written to cache",
    "output": "output",
    "reasoning": "reasoning",
}
_CENTS_FROM = NANO_USD_PER_USD // 100


def dollars(nano_usd: int) -> str:
    """Return an amount as `$12.34`; below a cent with four decimals, so that it is not nothing."""
    decimals = 2 if nano_usd >= _CENTS_FROM or nano_usd == 0 else 4
    return f"${format_nano_usd(round_nano_usd(nano_usd, decimals=decimals), decimals=decimals)}"


def price(nano_usd_per_million: int) -> str:
    """Return a price per million tokens as `$3.00/M`."""
    return f"${format_nano_usd(nano_usd_per_million)}/M"


def usd(nano_usd: int) -> float:
    """Return an amount in dollars, for machines."""
    return nano_usd / NANO_USD_PER_USD


def priced_sum(tokens: Buckets, pricing: Pricing) -> str:
    """Return `1,200,000 fresh input x $2.00/M + 300,000 output x $8.00/M = $4.80`."""
    prices = price_list(pricing)
    parts = [
        f"{count:,} {_NAMES[name]} x {price(getattr(prices, name))}"
        for name in _NAMES
        if (count := getattr(tokens, name))
    ]
    return f"{' + '.join(parts) or 'no tokens'} = {dollars(cost_of(tokens, pricing))}"


def share_of(tokens: int, price_per_million: int) -> int:
    """Return what tokens cost at one price, in nano-dollars, rounded half up."""
    return (tokens * price_per_million + PER_PRICE // 2) // PER_PRICE
