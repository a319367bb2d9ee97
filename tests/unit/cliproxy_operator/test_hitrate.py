"""Totals become the last minute's hits and lookups."""

from cliproxy_api.report import Reused
from cliproxy_operator.hitrate import HitRate


def test_only_what_came_in_the_last_minute_counts() -> None:
    rate = HitRate()
    assert rate.last_minute(0.0) == (0, 0)
    rate.note(Reused(hits=100, misses=100), 0.0)
    assert rate.last_minute(1.0) == (0, 0), "when those came, nobody knows"
    for second in range(1, 31):
        rate.note(Reused(hits=100 + second, redis_hits=second, misses=100), float(second))
    assert rate.last_minute(30.0) == (60, 60)
    hits, lookups = rate.last_minute(75.0)
    assert 25 <= hits <= 35
    assert hits == lookups
    assert rate.last_minute(91.0) == (0, 0)


def test_a_new_life_of_the_sidecar_begins_at_nothing() -> None:
    rate = HitRate()
    rate.note(Reused(hits=100, misses=100), 0.0)
    rate.note(Reused(hits=1, misses=3), 5.0)
    assert rate.last_minute(6.0) == (1, 4)


def test_samples_are_bounded() -> None:
    rate = HitRate()
    for number in range(10_000):
        rate.note(Reused(hits=number), number / 10)
    assert len(rate._samples) <= 15
    hits, _ = rate.last_minute(999.9)
    assert 550 <= hits <= 650
