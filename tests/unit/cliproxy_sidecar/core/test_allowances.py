from datetime import UTC, datetime

import pytest

from cliproxy_sidecar.core.allowances import FLOOR, READ_EVERY_S, READ_LOW_EVERY_S, Allowances
from support.cooling import provider, target

NOW_UTC = datetime(2026, 11, 21, 12, tzinfo=UTC)
A, B = target(provider("a")), target(provider("b"))


Headers = list[tuple[bytes, bytes]]


def told(left: int, *, of: int = 100, reset: str = "30s", what: str = "requests") -> Headers:
    return [
        (f"X-RateLimit-Limit-{what}".encode(), str(of).encode()),
        (f"x-ratelimit-remaining-{what}".encode(), str(left).encode()),
        (f"x-ratelimit-reset-{what}".encode(), reset.encode()),
    ]


def read(allowances: Allowances, headers: Headers, now: float = 0.0) -> None:
    allowances.read(A.id, headers, now, lambda: NOW_UTC)


def test_nothing_is_known_at_first_and_of_answers_without_limits() -> None:
    allowances = Allowances()
    read(allowances, [(b"content-type", b"application/json"), (b"date", b"nonsense")])
    assert allowances.left(A.id, 0.0) is None
    assert not allowances.low


def test_the_tightest_limit_counts_until_its_reset() -> None:
    allowances = Allowances()
    read(allowances, told(80) + told(300, of=1000, what="tokens", reset="10s"))
    assert allowances.left(A.id, 9.9) == 0.3
    assert allowances.left(A.id, 10.0) == 0.8
    assert allowances.left(A.id, 30.0) == 1.0


def test_what_is_on_its_way_is_taken_off_its_own_limit() -> None:
    allowances = Allowances()
    read(allowances, told(80) + told(900, of=1000, what="tokens"))
    assert allowances.left(A.id, 1.0, requests=30, tokens=100) == 0.5
    assert allowances.left(A.id, 1.0, requests=0, tokens=2000) == 0.0


def test_anthropic_s_buckets_are_read() -> None:
    allowances = Allowances()
    headers = [
        (b"anthropic-ratelimit-input-tokens-limit", b"1000"),
        (b"anthropic-ratelimit-input-tokens-remaining", b"50"),
        (b"anthropic-ratelimit-input-tokens-reset", b"2026-11-21T12:00:20Z"),
    ]
    read(allowances, headers)
    assert allowances.left(A.id, 19.0) == 0.05
    assert A.id in allowances.low
    assert allowances.left(A.id, 20.0) == 1.0


@pytest.mark.parametrize("value", ["", "-1", "many", "9" * 16, "\u0663"])
def test_unreadable_figures_are_no_figures(value: str) -> None:
    allowances = Allowances()
    headers = [
        (b"x-ratelimit-limit-requests", b"100"),
        (b"x-ratelimit-remaining-requests", value.encode("utf-8")),
    ]
    read(allowances, headers)
    assert allowances.left(A.id, 0.0) is None


def test_a_limit_of_nothing_is_no_limit() -> None:
    allowances = Allowances()
    read(allowances, told(0, of=0))
    assert allowances.left(A.id, 0.0) is None


def test_headers_are_due_a_few_times_a_second_and_more_often_when_low() -> None:
    allowances = Allowances()
    assert allowances.is_due(A.id, 0.0)
    read(allowances, told(80))
    assert not allowances.is_due(A.id, READ_EVERY_S - 0.01)
    assert allowances.is_due(A.id, READ_EVERY_S)
    read(allowances, told(3), now=1.0)
    assert allowances.is_due(A.id, 1.0 + READ_LOW_EVERY_S)
    assert allowances.is_due(B.id, 1.0)


@pytest.mark.parametrize(("left", "factor"), [(5, 0.5), (9, 0.9), (0, FLOOR)])
def test_who_is_low_takes_part_in_proportion(left: int, factor: float) -> None:
    allowances = Allowances()
    read(allowances, told(left))
    targets = (A, B)
    assert allowances.part(targets, (0, 1), 1.0, lambda: factor - 0.001) == ([0, 1], [])
    assert allowances.part(targets, (0, 1), 1.0, lambda: factor + 0.001) == ([1], [0])


def test_never_all_sit_out() -> None:
    allowances = Allowances()
    read(allowances, told(0))
    assert allowances.part((A,), (0,), 1.0, lambda: 0.99) == ((0,), [])


def test_it_ends_with_the_reset_or_with_better_news() -> None:
    allowances = Allowances()
    read(allowances, told(0))
    assert allowances.part((A, B), (0, 1), 30.0, lambda: 0.99) == ([0, 1], [])
    assert not allowances.low
    read(allowances, told(0), now=40.0)
    read(allowances, told(10), now=41.0)
    assert not allowances.low


def test_targets_that_are_gone_are_forgotten() -> None:
    allowances = Allowances()
    read(allowances, told(0))
    low = allowances.low
    allowances.retain(frozenset({B.id}))
    assert allowances.left(A.id, 0.0) is None
    assert allowances.low is low == {}
