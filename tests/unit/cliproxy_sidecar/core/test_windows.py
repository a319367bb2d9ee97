import pytest

from cliproxy_api.percentile import BOUNDS_MS, OVERFLOW
from cliproxy_api.report import ProviderTraffic
from cliproxy_sidecar.core.windows import SLOT_S, SLOTS, TrafficWindow, TrafficWindows


def test_figures_of_one_minute() -> None:
    window = TrafficWindow()
    window.record(100.0, error=False, latency_ms=4, tokens=10)
    window.record(101.0, error=True, latency_ms=700)
    window.record(130.0, error=False, latency_ms=61_000, tokens=5)
    assert window.traffic(131.0) == ProviderTraffic(
        requests=3,
        errors=1,
        tokens=15,
        latency_sum_ms=61_704,
        latency_buckets={5: 1, 1000: 1, OVERFLOW: 1},
    )


def test_kinds_of_errors_are_counted_for_a_minute() -> None:
    window = TrafficWindow()
    for _ in range(3):
        window.record(100.0, error=True, latency_ms=4)
        window.rate_limited(100.0)
    window.record(130.0, error=True, latency_ms=4)
    window.key_refused(130.0)
    assert (window.traffic(131.0).rate_limited, window.traffic(131.0).key_refusals) == (3, 1)
    assert (window.traffic(165.0).rate_limited, window.traffic(165.0).key_refusals) == (0, 1)
    assert window.traffic(195.0) == ProviderTraffic()


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    window = TrafficWindow()
    window.record(100.0, error=True, latency_ms=4, tokens=10)
    window.record(120.0, error=False, latency_ms=4)
    assert window.traffic(154.9).requests == 2
    assert window.traffic(160.0).requests == 1
    assert window.traffic(180.0) == ProviderTraffic()


def test_a_long_silence_leaves_nothing_behind() -> None:
    window = TrafficWindow()
    for second in range(60):
        window.record(float(second), error=False, latency_ms=4)
    window.record(1e6, error=False, latency_ms=4)
    assert window.traffic(1e6).requests == 1


def test_time_that_begins_anywhere() -> None:
    window = TrafficWindow()
    window.record(5e8, error=False, latency_ms=1)
    assert window.traffic(5e8).requests == 1
    assert TrafficWindow().traffic(5e8) == ProviderTraffic()


@pytest.mark.parametrize(
    ("latency_ms", "bound"), [(0, 5), (5, 5), (6, 10), (60_000, 60_000), (60_001, OVERFLOW)]
)
def test_a_bound_belongs_to_its_bucket(latency_ms: int, bound: int) -> None:
    window = TrafficWindow()
    window.record(0.0, error=False, latency_ms=latency_ms)
    assert window.traffic(0.0).latency_buckets == {bound: 1}


def test_the_providers_word_on_what_is_left() -> None:
    window = TrafficWindow()
    window.remain(10, None)
    window.remain(None, 2000)
    window.remain(9, None)
    traffic = window.traffic(0.0)
    assert (traffic.remaining_requests, traffic.remaining_tokens) == (9, 2000)


def test_memory_is_bounded() -> None:
    window = TrafficWindow()
    for second in range(10_000):
        window.record(float(second), error=False, latency_ms=1)
    assert len(window._slots) == SLOTS
    assert all(slot is None or len(slot) == 7 + len(BOUNDS_MS) + 1 for slot in window._slots)
    assert SLOTS * SLOT_S == 60.0


def test_one_window_per_provider() -> None:
    windows = TrafficWindows()
    windows.configure(["a", "b"])
    windows.of("a").record(0.0, error=False, latency_ms=1)
    windows.of("gone").record(0.0, error=False, latency_ms=1)
    assert set(windows.traffic(0.0)) == {"a"}
    windows.configure(["a", "c"])
    assert windows.traffic(0.0)["a"].requests == 1
    windows.configure(["c"])
    assert windows.traffic(0.0) == {}


def test_a_lifetime_forgets_nothing() -> None:
    window = TrafficWindow()
    for second in range(0, 900, 3):
        window.record(float(second), error=second % 2 == 0, latency_ms=second * 100, tokens=2)
        window.spent(float(second), 5)
    window.rate_limited(899.0)
    before = window.lifetime()
    assert (before.attempts, before.errors, before.tokens, before.nano_usd) == (300, 150, 600, 1500)
    assert (before.rate_limited, before.key_refusals) == (1, 0)
    assert sum(before.latencies) == 300
    assert before.latency_sum_ms == sum(range(0, 90_000, 300))
    window.traffic(1e6)
    assert window.lifetime() == before
    windows = TrafficWindows()
    windows.configure(["team/gpt"])
    windows.of("team/gpt").record(0.0, error=False, latency_ms=1)
    windows.configure(["team/gpt", "team/claude"])
    assert {name: one.attempts for name, one in windows.lifetimes().items()} == {
        "team/gpt": 1,
        "team/claude": 0,
    }
