from cliproxy_sidecar.core.threshold import FailureCount


def count(*instants: float, threshold: int = 3, window_s: float = 10.0) -> list[bool]:
    failures = FailureCount()
    return [failures.add(instant, window_s=window_s, threshold=threshold) for instant in instants]


def test_reached_when_enough_lie_in_the_window() -> None:
    assert count(0, 1, 2) == [False, False, True]
    assert count(0, 1, 10) == [False, False, True]
    assert count(0, 1, 10.1) == [False, False, False]
    assert count(0, 8, 11, 12) == [False, False, False, True]


def test_a_threshold_of_one() -> None:
    assert count(0, threshold=1) == [True]


def test_a_policy_may_change_the_threshold_on_the_way() -> None:
    failures = FailureCount()
    for instant in (0.0, 1.0, 2.0):
        assert not failures.add(instant, window_s=10.0, threshold=5)
    assert failures.add(3.0, window_s=10.0, threshold=2)
    assert not failures.add(3.0, window_s=10.0, threshold=4)


def test_never_holds_more_instants_than_the_threshold() -> None:
    failures = FailureCount()
    for instant in range(1000):
        failures.add(float(instant), window_s=1e9, threshold=5)
    assert len(failures._instants) == 5


def test_a_success_ends_the_streak_but_not_the_window() -> None:
    failures = FailureCount()
    failures.add(0.0, window_s=10.0, threshold=2)
    assert failures.streak == 1
    failures.succeed()
    assert failures.streak == 0
    assert failures.add(1.0, window_s=10.0, threshold=2)


def test_clear_forgets_both() -> None:
    failures = FailureCount()
    failures.add(0.0, window_s=10.0, threshold=2)
    failures.clear()
    assert (failures.streak, failures.add(1.0, window_s=10.0, threshold=2)) == (0, False)


def test_idle_when_nothing_would_be_lost() -> None:
    failures = FailureCount()
    assert failures.is_idle(0.0, 10.0)
    failures.add(0.0, window_s=10.0, threshold=2)
    assert not failures.is_idle(100.0, 10.0)
    failures.succeed()
    assert not failures.is_idle(10.0, 10.0)
    assert failures.is_idle(10.1, 10.0)
