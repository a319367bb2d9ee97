"""The sliding minute agrees with a plain count, to the width of a slot."""

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.percentile import percentile_ms
from cliproxy_sidecar.core.windows import SLOT_S, TrafficWindow

records = st.lists(
    st.tuples(st.floats(0.0, 40.0), st.booleans(), st.integers(0, 100_000), st.integers(0, 5000)), max_size=60
)


@given(steps=records, begin=st.floats(0.0, 1e7), quiet_s=st.floats(0.0, 90.0))
def test_the_figures_are_those_of_the_last_minute(
    steps: list[tuple[float, bool, int, int]], begin: float, quiet_s: float
) -> None:
    window, now, told = TrafficWindow(), begin, []
    for passed_s, error, latency_ms, tokens in steps:
        now += passed_s
        window.record(now, error=error, latency_ms=latency_ms, tokens=tokens)
        told.append((now, error, latency_ms, tokens))
    now += quiet_s
    traffic = window.traffic(now)
    oldest = (now // SLOT_S - 11) * SLOT_S
    counted = [item for item in told if item[0] // SLOT_S * SLOT_S >= oldest]
    assert traffic.requests == len(counted)
    assert traffic.errors == sum(error for _, error, _, _ in counted)
    assert traffic.latency_sum_ms == sum(latency_ms for _, _, latency_ms, _ in counted)
    assert traffic.tokens == sum(tokens for _, _, _, tokens in counted)
    assert sum(traffic.latency_buckets.values()) == len(counted)
    assert all(count > 0 for count in traffic.latency_buckets.values())


@given(latencies=st.lists(st.integers(0, 60_000), min_size=1, max_size=200), share=st.floats(0.01, 1.0))
def test_an_estimate_lies_in_the_bucket_of_the_true_percentile(latencies: list[int], share: float) -> None:
    window = TrafficWindow()
    for latency_ms in latencies:
        window.record(0.0, error=False, latency_ms=latency_ms)
    buckets = window.traffic(0.0).latency_buckets
    true = sorted(latencies)[max(0, -int(-share * len(latencies) // 1) - 1)]
    bound = next(bound for bound in sorted(buckets) if bound >= true)
    estimate = percentile_ms(buckets, share)
    assert estimate is not None
    assert estimate <= bound + 1e-6
    assert all(other >= bound or estimate >= other - 1e-6 for other in buckets)
