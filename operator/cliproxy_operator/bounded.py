"""Pure: brings numbers that sidecars tell into bounds, so that they can be added up, divided and written.

A sidecar of ours stays far below them. One that does not, or whoever poses as one, must neither stop the
alerts of all by a number that no share can be made of, nor make a status that the API server refuses.
"""

from itertools import islice
from typing import Final

import msgspec

from cliproxy_api.report import ProviderTraffic, Reused

COUNT_BITS: Final = 50
MAX_COUNT: Final = 2**COUNT_BITS
"""Of requests, tokens, milliseconds or bytes of one sidecar: a thousand such make no 64 bits full."""
MAX_NANO_USD: Final = 10**18 - 1
"""A billion dollars, the most that status can say."""
MAX_BUCKETS: Final = 64
"""Of latencies; ours are a dozen."""


def count(told: int) -> int:
    """Return a number of things."""
    return told if 0 <= told <= MAX_COUNT else min(max(told, 0), MAX_COUNT)


def nano_usd(told: int) -> int:
    """Return an amount of money."""
    return told if 0 <= told <= MAX_NANO_USD else min(max(told, 0), MAX_NANO_USD)


def traffic(told: ProviderTraffic) -> ProviderTraffic:
    """Return a minute's figures; the very same if all are within bounds, which they are.

    What single buckets hold is left to who reads them (`percentile`): hundreds of sidecars tell of hundreds
    of providers every few seconds, and few of those are looked at.
    """
    buckets = told.latency_buckets
    counts = told.requests | told.errors | told.tokens | told.rate_limited | told.key_refusals
    fine = not (counts | told.latency_sum_ms) >> COUNT_BITS and 0 <= told.nano_usd <= MAX_NANO_USD
    if fine and len(buckets) <= MAX_BUCKETS:
        return told
    return ProviderTraffic(
        requests=count(told.requests),
        errors=count(told.errors),
        tokens=count(told.tokens),
        rate_limited=count(told.rate_limited),
        key_refusals=count(told.key_refusals),
        nano_usd=nano_usd(told.nano_usd),
        latency_sum_ms=count(told.latency_sum_ms),
        latency_buckets=dict(islice(buckets.items(), MAX_BUCKETS)),
        remaining_requests=told.remaining_requests,
        remaining_tokens=told.remaining_tokens,
    )


def reused(told: Reused) -> Reused:
    """Return what was not asked for."""
    return Reused(**{name: count(value) for name, value in msgspec.structs.asdict(told).items()})
