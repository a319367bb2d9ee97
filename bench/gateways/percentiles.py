"""The one definition of a percentile in the benchmark."""

from collections.abc import Sequence


def percentile_us(seconds: Sequence[float], percent: float) -> float:
    """Return the value (in µs) that `percent` of the sorted values (in s) do not exceed; 0 for none."""
    if not seconds:
        return 0.0
    rank = max(0, min(len(seconds) - 1, round(percent / 100 * len(seconds)) - 1))
    return round(seconds[rank] * 1e6, 1)
