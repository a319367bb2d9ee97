"""The sliding minute: exact counts, known returns."""

import pytest

from cliproxy_sidecar.core.limits.window import MINUTE_S, PARTS, Window

PART_S = MINUTE_S / PARTS


def test_room_comes_back_when_what_was_taken_leaves_the_window() -> None:
    window = Window(3)
    for at in (0.0, 10.0, 20.0):
        assert window.free_at(1, at) <= at
        window.take(1, at)
    until = window.free_at(1, 20.0)
    assert 60.0 < until <= 60.0 + PART_S
    assert window.free_at(1, until - 0.001) > until - 0.001
    assert window.free_at(1, until) == until
    assert window.free_at(2, until) == pytest.approx(until + 10.0)


def test_more_than_the_limit_counts_as_the_limit() -> None:
    window = Window(100)
    assert window.free_at(5000, 0.0) <= 0.0
    window.take(1, 0.0)
    assert window.free_at(5000, 0.0) == pytest.approx(60.0 + PART_S)


def test_what_is_given_back_makes_room_at_once() -> None:
    window = Window(10)
    part = window.take(10, 5.0)
    assert window.free_at(1, 5.0) > 5.0
    window.give_back(part, 4)
    assert window.free_at(4, 6.0) == 6.0
    assert window.free_at(5, 6.0) > 6.0


def test_nothing_is_given_back_twice_or_after_the_window() -> None:
    window = Window(10)
    part = window.take(3, 0.0)
    window.give_back(part, 10)
    assert window.used(0.0) == 0
    window.take(5, 100.0)
    window.give_back(part, 3)
    assert window.used(100.0) == 5


def test_less_than_one_a_minute_is_one_in_a_longer_window() -> None:
    window = Window(0.5)
    window.take(1, 0.0)
    assert window.free_at(1, 100.0) == pytest.approx(120.0 + 2.0)


def test_a_new_limit_keeps_what_was_taken() -> None:
    window = Window(10)
    for _ in range(6):
        window.take(1, 1.0)
    window.limit(5)
    assert window.free_at(1, 1.0) > 1.0
    window.limit(0.5)
    assert window.free_at(1, 1.0) > 60.0
    window.limit(20)
    assert window.free_at(14, 1.0) <= 1.0


def test_what_was_taken_slowly_is_not_moved_into_the_future() -> None:
    window = Window(0.02)  # a step is fifty seconds
    window.take(1, 1001.0)
    window.limit(60)
    for second in range(1002, 1012):
        window.take(1, float(second))
    assert window.used(1062.5) == 10
    assert window.used(1067.5) == 5
