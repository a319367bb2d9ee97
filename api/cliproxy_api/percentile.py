"""Latency histograms of many sidecars to one figure: add up, average, estimate percentiles.

The bounds are fixed so that sidecars' buckets can be added; an estimate is off by at most a bucket's width.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from cliproxy_api.report import ProviderTraffic

BOUNDS_MS: Final = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
"""Upper ends of the buckets: from a cached answer to a long completion."""
MAX_NUMBER: Final = 2**60
"""No latency in ms, and no count of attempts, is greater."""
OVERFLOW: Final = -1
"""Key of the bucket above the last bound."""


def add_up(traffic: Iterable[ProviderTraffic]) -> ProviderTraffic:
    """Return the traffic of several sidecars at one provider as one.

    What remains of the provider's limits is the least that any sidecar was told: they share them.
    """
    parts = tuple(traffic)
    buckets: dict[int, int] = {}
    for part in parts:
        for bound, count in part.latency_buckets.items():
            buckets[bound] = buckets.get(bound, 0) + count
    return ProviderTraffic(
        requests=sum(part.requests for part in parts),
        errors=sum(part.errors for part in parts),
        tokens=sum(part.tokens for part in parts),
        rate_limited=sum(part.rate_limited for part in parts),
        key_refusals=sum(part.key_refusals for part in parts),
        latency_sum_ms=sum(part.latency_sum_ms for part in parts),
        latency_buckets=buckets,
        remaining_requests=_least(part.remaining_requests for part in parts),
        remaining_tokens=_least(part.remaining_tokens for part in parts),
    )


def average_ms(traffic: ProviderTraffic) -> float | None:
    """Return the mean latency in milliseconds; None without attempts."""
    return traffic.latency_sum_ms / traffic.requests if traffic.requests else None


def percentile_ms(buckets: Mapping[int, int], share: float) -> float | None:
    """Estimate the latency in ms that `share` (0 to 1) of the attempts do not exceed; None without any.

    Attempts are taken as evenly spread inside their bucket. Above the last bound nothing more is known than
    that bound. Unknown bounds are read as bounds of their own; bounds and counts below 1 do not count, nor do
    those above `MAX_NUMBER`.
    """
    counts = {
        bound: count
        for bound, count in buckets.items()
        if 0 < count <= MAX_NUMBER and (0 < bound <= MAX_NUMBER or bound == OVERFLOW)
    }
    total = sum(counts.values())
    if not total:
        return None
    wanted = min(max(share, 0.0), 1.0) * total
    below_ms, seen = 0.0, 0
    for bound in sorted(bound for bound in counts if bound != OVERFLOW):
        lower_ms = float(max((known for known in BOUNDS_MS if known < bound), default=0))
        lower_ms = max(lower_ms, below_ms)
        count = counts[bound]
        if seen + count >= wanted:
            return lower_ms + (bound - lower_ms) * max(wanted - seen, 0.0) / count
        below_ms, seen = float(bound), seen + count
    return max(below_ms, float(BOUNDS_MS[-1]))


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)
