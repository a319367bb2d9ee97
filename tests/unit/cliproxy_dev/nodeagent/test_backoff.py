from __future__ import annotations

from cliproxy_dev.nodeagent.backoff import HEALTHY_AFTER_S, Backoff


def test_the_first_restart_is_at_once_and_the_wait_is_bounded() -> None:
    backoff = Backoff()

    assert [backoff.after_end(0.1) for _ in range(8)] == [0.2, 1, 2, 4, 8, 10, 10, 10]


def test_a_healthy_run_forgives() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after_end(0.1)

    assert backoff.after_end(HEALTHY_AFTER_S) == 0.2
    assert backoff.after_end(HEALTHY_AFTER_S - 0.1) == 1
