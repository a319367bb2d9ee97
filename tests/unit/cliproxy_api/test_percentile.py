import pytest

from cliproxy_api.percentile import BOUNDS_MS, OVERFLOW, add_up, average_ms, percentile_ms
from cliproxy_api.report import ProviderTraffic


@pytest.mark.parametrize(
    ("buckets", "share", "estimate"),
    [
        ({}, 0.5, None),
        ({100: 0}, 0.5, None),
        ({100: 10}, 0.5, 75.0),
        ({100: 10}, 1.0, 100.0),
        ({100: 10}, 0.0, 50.0),
        ({5: 10}, 0.5, 2.5),
        ({50: 90, 1000: 10}, 0.9, 50.0),
        ({50: 90, 1000: 10}, 0.95, 750.0),
        ({50: 50, OVERFLOW: 50}, 0.95, 60_000.0),
        ({OVERFLOW: 1}, 0.5, 60_000.0),
        # Bounds of a newer sidecar, in between and above.
        ({75: 10}, 1.0, 75.0),
        ({75: 10, 100: 10}, 0.75, 87.5),
        ({90_000: 10}, 0.5, 75_000.0),
        ({90_000: 10, OVERFLOW: 90}, 0.99, 90_000.0),
        # Nonsense from the wire harms nobody.
        ({100: -5, 50: 1}, 1.0, 50.0),
        ({100: 10}, 7.0, 100.0),
        ({100: 10}, -1.0, 50.0),
        ({-7: 10, 0: 10, 50: 1}, 1.0, 50.0),
    ],
)
def test_percentiles(buckets: dict[int, int], share: float, estimate: float | None) -> None:
    assert percentile_ms(buckets, share) == estimate


def test_percentiles_grow_with_the_share() -> None:
    buckets = dict.fromkeys(BOUNDS_MS, 3)
    estimates = [percentile_ms(buckets, share / 100) for share in range(101)]
    assert estimates == sorted(estimates, key=lambda value: value or 0.0)


def test_adding_up_sidecars() -> None:
    one = ProviderTraffic(
        requests=2, errors=1, tokens=10, latency_sum_ms=60, latency_buckets={50: 2}, remaining_requests=7
    )
    two = ProviderTraffic(
        requests=1, tokens=5, latency_sum_ms=90, latency_buckets={50: 1, 100: 1}, remaining_requests=6
    )
    assert add_up([one, two]) == ProviderTraffic(
        requests=3,
        errors=1,
        tokens=15,
        latency_sum_ms=150,
        latency_buckets={50: 3, 100: 1},
        remaining_requests=6,
        remaining_tokens=None,
    )
    assert add_up([]) == ProviderTraffic()


def test_the_average() -> None:
    assert average_ms(ProviderTraffic(requests=4, latency_sum_ms=10)) == 2.5
    assert average_ms(ProviderTraffic()) is None
