"""Finished requests by provider and model: one look-up per request, then only additions.

Names, bounds and what a scrape looks like are `metrics`'; when a request has ended is the ledger's.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from cliproxy_sidecar.core.usage import Usage

MAX_SERIES: Final = 10_000
"""Label sets of one metric; 500 providers x 20 models. A scrape of that size is about 1 MB."""
OTHER: Final = "other"
DURATION_BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
SIZE_BOUNDS_BYTES: Final = (1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216)
TOKEN_TYPES: Final = ("input", "output", "cached_input", "cache_write", "reasoning")

Labels = tuple[str, ...]
Distribution = tuple[list[int], list[float]]
"""Observations up to each bound and above the last; in a list of one, their sum."""


def distribution(bounds: tuple[float, ...]) -> Distribution:
    """Return one without observations."""
    return [0] * (len(bounds) + 1), [0.0]


class Series:
    """What the requests of one provider and model came to."""

    __slots__ = ("_duration_sum", "_durations", "_size_sum", "_sizes", "statuses", "tokens")

    def __init__(self, durations: Distribution, sizes: Distribution) -> None:
        self._durations, self._duration_sum = durations
        self._sizes, self._size_sum = sizes
        self.statuses: dict[int, int] = {}
        """Requests by the status that the caller got."""
        self.tokens = [0] * len(TOKEN_TYPES)

    def add(self, status: int, duration_s: float, body_bytes: int, usage: Usage) -> None:
        """Count one request."""
        try:
            self.statuses[status] += 1
        except KeyError:
            self.statuses[status] = 1
        self._durations[bisect_left(DURATION_BOUNDS_S, duration_s)] += 1
        self._duration_sum[0] += duration_s
        self._sizes[bisect_left(SIZE_BOUNDS_BYTES, body_bytes)] += 1
        self._size_sum[0] += body_bytes
        tokens = self.tokens
        tokens[0] += usage.input
        tokens[1] += usage.output
        if usage.cached_input or usage.cache_write or usage.reasoning:
            tokens[2] += usage.cached_input
            tokens[3] += usage.cache_write
            tokens[4] += usage.reasoning


class Finished:
    """All series; label values beyond the bound fold into `other`."""

    def __init__(self, *, max_series: int = MAX_SERIES) -> None:
        self._max_series = max_series
        self.duration_s: dict[Labels, Distribution] = {}
        """From the request's head to the last byte of the answer, by provider and model."""
        self.body_bytes: dict[Labels, Distribution] = {}
        """Sent to callers, by provider."""
        self._series: dict[Labels, Series] = {}

    def of(self, provider: str, model: str) -> Series:
        """Return where the requests of this provider and model are counted."""
        labels = (provider, model)
        return self._series.get(labels) or self._begin(labels)

    def _begin(self, labels: Labels) -> Series:
        if len(self._series) >= self._max_series:
            labels = (OTHER, OTHER)
            if (other := self._series.get(labels)) is not None:
                return other
        durations = self.duration_s.setdefault(labels, distribution(DURATION_BOUNDS_S))
        sizes = self.body_bytes.setdefault(labels[:1], distribution(SIZE_BOUNDS_BYTES))
        series = self._series[labels] = Series(durations, sizes)
        return series

    def requests(self) -> Mapping[Labels, int]:
        """Return how many, by provider, model and status."""
        return {
            (*labels, str(status)): count
            for labels, series in self._series.items()
            for status, count in series.statuses.items()
        }

    def tokens(self) -> Mapping[Labels, int]:
        """Return model tokens, by provider, model and type."""
        return {
            (*labels, name): count
            for labels, series in self._series.items()
            for name, count in zip(TOKEN_TYPES, series.tokens, strict=True)
            if count
        }
