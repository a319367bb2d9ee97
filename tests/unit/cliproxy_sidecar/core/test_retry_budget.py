"""Further attempts of all requests together."""

import pytest

from cliproxy_api.snapshot import RetryBudget
from cliproxy_sidecar.core.retry_budget import WINDOW_S, FurtherAttempts

NOTHING_FREE = RetryBudget(percent=20, min_per_second=0)


def taken(attempts: FurtherAttempts, rules: RetryBudget, now: float, *, of: int = 1000) -> int:
    return sum(attempts.take(rules, now) for _ in range(of))


def test_a_share_of_the_requests_may_try_again() -> None:
    attempts = FurtherAttempts()
    for number in range(100):
        attempts.began(50.0 + number / 50)
    assert taken(attempts, NOTHING_FREE, 52.0) == 20
    assert attempts.refused == 980


def test_the_floor_comes_on_top() -> None:
    attempts = FurtherAttempts()
    attempts.began(7.0)
    assert taken(attempts, RetryBudget(percent=100, min_per_second=3), 7.0) == 1 + 3 * WINDOW_S


def test_no_percent_and_no_floor_is_no_further_attempt() -> None:
    attempts = FurtherAttempts()
    attempts.began(0.0)
    assert not attempts.take(RetryBudget(percent=0, min_per_second=0), 0.0)


@pytest.mark.parametrize(("later_s", "left"), [(9.9, 0), (10.0, 20), (25.0, 0)])
def test_what_is_older_than_the_window_is_forgotten(later_s: float, left: int) -> None:
    attempts = FurtherAttempts()
    for _ in range(100):
        attempts.began(0.0)
    assert taken(attempts, NOTHING_FREE, 0.0) == 20
    if later_s == 10.0:
        # Requests of the second in which the first ones leave the window.
        for _ in range(100):
            attempts.began(later_s)
    assert taken(attempts, NOTHING_FREE, later_s) == left


def test_the_bound_holds_over_any_window() -> None:
    attempts, made = FurtherAttempts(), []
    for tick in range(400):
        now = tick / 10
        for _ in range(5):
            attempts.began(now)
        made += [now] * taken(attempts, NOTHING_FREE, now, of=5)
        within = [at for at in made if int(at) > int(now) - WINDOW_S]
        assert len(within) <= 5 * 10 * WINDOW_S * 20 // 100
    assert len(made) > 300
