from datetime import UTC, datetime

import msgspec
import pytest

from cliproxy_api.snapshot import Pricing, Profile, RateLimit
from cliproxy_api.vocabulary import Strategy as Name
from cliproxy_sidecar.core.allowances import Allowances
from cliproxy_sidecar.core.strategies.base import NO_FACTS, Facts, Seen, Strategy, filled, least
from cliproxy_sidecar.core.strategies.cost import Cost
from cliproxy_sidecar.core.strategies.kinds import strategy_of
from cliproxy_sidecar.core.strategies.latency import EXPLORED_SHARE, Latency
from cliproxy_sidecar.core.strategies.quota_aware import QuotaAware
from cliproxy_sidecar.core.strategies.round_robin import RoundRobin
from cliproxy_sidecar.core.target import Target
from support.cooling import Scripted, provider, target

A, B, C = (target(provider(name)) for name in "abc")
CALM = Scripted(0.5)
KEYED = Facts(key=1)


def seen(ms: float = 100.0, *, failed: bool = False, **changes: object) -> Seen:
    plain = {"succeeded": not failed, "failed": failed, "latency_ms": ms, "stream": False}
    return Seen(**{**plain, "output_tokens": 10, "total_tokens": 30, **changes})  # type: ignore[arg-type]


def best(of: Strategy, *targets: Target, facts: Facts = NO_FACTS, now: float = 1.0) -> list[int]:
    return list(of.prefer(targets, facts, now, CALM).best)


def test_unknown_values_are_neither_good_nor_bad() -> None:
    assert filled((1.0, None, 3.0)) == [1.0, 2.0, 3.0]
    assert filled((None, None)) == [0.0, 0.0]
    assert least([1.0, 1.1, 1.2], 0.1) == [0, 1]


def test_turns_prefer_nobody() -> None:
    turns = RoundRobin()
    turns.began(A, 0.0)
    turns.observe(A, seen(), 0.0)
    turns.retain(frozenset())
    assert best(turns, A, B, C) == [0, 1, 2]
    assert turns.figures(A, 0.0) == {}


# ------------------------------------------------------------------------- latency
def latency(**ms: float) -> Latency:
    strategy = Latency(60.0)
    for one in (A, B, C):
        for _ in range(20 if one.provider.name in ms else 0):
            strategy.began(one, 0.0)
            strategy.observe(one, seen(ms[one.provider.name]), 0.0)
    return strategy


def test_the_fastest_wins_and_near_ones_are_equal() -> None:
    assert best(latency(a=100, b=300, c=900), A, B, C) == [0]
    assert best(latency(a=100, b=108, c=900), A, B, C) == [0, 1]
    assert best(latency(a=100, b=140, c=900), A, B, C) == [0]
    assert best(latency(a=100, b=140, c=900), A, B, C, facts=KEYED) == [0, 1]


def test_nothing_known_makes_all_equal_and_little_known_is_drawn_to_the_mean() -> None:
    assert best(latency(), A, B, C) == [0, 1, 2]
    strategy = latency(a=100, b=900)
    values = strategy.prefer((A, B, C), NO_FACTS, 1.0, CALM).values
    assert values[2] is None
    strategy.observe(C, seen(1.0), 1.0)
    drawn = strategy.prefer((A, B, C), NO_FACTS, 1.0, CALM).values[2]
    assert drawn is not None
    assert drawn > 100.0


def test_errors_slow_a_target_down_and_fade() -> None:
    strategy = latency(a=100, b=150)
    for _ in range(20):
        strategy.observe(A, seen(1.0, failed=True), 0.0)
    assert best(strategy, A, B) == [1]
    assert strategy.figures(A, 0.0)["error_rate"] == 0.5
    for _ in range(200):
        strategy.observe(A, seen(100.0), 300.0)
        strategy.observe(B, seen(150.0), 300.0)
    assert best(strategy, A, B, now=300.0) == [0]


def test_streams_and_whole_answers_are_kept_apart() -> None:
    strategy = latency(a=100, b=900)
    for _ in range(20):
        strategy.observe(A, seen(80.0, stream=True), 0.0)
        strategy.observe(B, seen(20.0, stream=True), 0.0)
    assert best(strategy, A, B) == [0]
    assert best(strategy, A, B, facts=Facts(stream=True)) == [1]
    figures = strategy.figures(B, 0.0)
    assert (figures["latency_ms"], figures["first_content_ms"]) == (900.0, 20.0)


def test_now_and_then_the_least_known_is_asked() -> None:
    strategy = latency(a=100, b=300)
    preference = strategy.prefer((A, B, C), NO_FACTS, 1.0, Scripted(EXPLORED_SHARE - 0.001))
    assert (preference.best, preference.explores) == ((2,), True)
    assert not strategy.prefer((A, B, C), NO_FACTS, 1.0, Scripted(EXPLORED_SHARE)).explores


def test_what_says_nothing_of_a_target_is_not_counted() -> None:
    strategy = Latency(60.0)
    strategy.observe(A, seen(succeeded=False), 0.0)
    assert strategy.figures(A, 0.0) == {"latency_ms": None, "first_content_ms": None, "error_rate": None}
    strategy.observe(A, seen(failed=True), 0.0)
    assert strategy.prefer((A, B), NO_FACTS, 0.0, CALM).values == (None, None)


# ---------------------------------------------------------------------------- cost
def priced(name: str, usd_in: int, usd_out: int) -> Target:
    one = provider(name)
    pricing = Pricing(input=usd_in * 10**9, output=usd_out * 10**9)
    models = (msgspec.structs.replace(one.models[0], pricing=pricing),)
    return target(msgspec.structs.replace(one, models=models))


def test_the_cheapest_for_this_request_wins() -> None:
    reader, writer = priced("r", 1, 20), priced("w", 10, 2)
    cost = Cost()
    assert best(cost, reader, writer, facts=Facts(body_bytes=400_000)) == [0]
    assert best(cost, reader, writer, facts=Facts(body_bytes=40)) == [1]
    bounded = Facts(body_bytes=4000, max_output_tokens=1)
    assert best(cost, reader, writer, facts=bounded) == [0]
    (first, _) = cost.prefer((reader, writer), bounded, 0.0, CALM).values
    assert first == 1000 * 1000 + 20 * 1000


def test_unknown_prices_are_the_mean_and_free_is_free() -> None:
    assert best(Cost(), priced("a", 1, 1), C, priced("b", 3, 3)) == [0]
    assert best(Cost(), C, priced("b", 3, 3)) == [0, 1]
    assert best(Cost(), priced("a", 0, 0), priced("b", 3, 3), priced("c", 0, 0)) == [0, 2]
    near = (priced("a", 100, 100), priced("b", 105, 105))
    assert best(Cost(), *near) == best(Cost(), *near, facts=NO_FACTS) == [0]
    assert best(Cost(), *near, facts=KEYED) == [0, 1]


def test_the_length_of_answers_is_learnt() -> None:
    cost, one = Cost(), priced("a", 1, 1)
    cost.began(one, 0.0)
    for _ in range(200):
        cost.observe(one, seen(output_tokens=5000), 0.0)
    cost.observe(one, seen(output_tokens=9, failed=True), 0.0)
    assert cost.figures(one, 0.0)["mean_output_tokens"] == 5000.0
    assert cost.figures(C, 0.0) == {
        "input_usd_per_million": None,
        "output_usd_per_million": None,
        "mean_output_tokens": None,
    }
    cost.retain(frozenset())
    assert cost.figures(one, 0.0)["mean_output_tokens"] is None


# --------------------------------------------------------------------------- quota
def told(allowances: Allowances, of: Target, left: int) -> None:
    headers = [
        (b"x-ratelimit-limit-requests", b"100"),
        (b"x-ratelimit-remaining-requests", str(left).encode()),
    ]
    allowances.read(of.id, headers, 0.0, lambda: datetime(2026, 11, 21, tzinfo=UTC))


def test_the_largest_share_wins_and_near_ones_are_equal() -> None:
    allowances = Allowances()
    quota = QuotaAware(allowances)
    assert best(quota, A, B, C) == [0, 1, 2]
    told(allowances, A, 80)
    told(allowances, B, 60)
    assert best(quota, A, B) == [0]
    assert best(quota, A, B, C) == [0]
    assert best(quota, A, B, facts=KEYED) == [0, 1]
    told(allowances, B, 76)
    assert best(quota, A, B) == [0, 1]


def test_what_is_on_its_way_counts_and_ends() -> None:
    allowances = Allowances()
    quota = QuotaAware(allowances)
    told(allowances, A, 80)
    told(allowances, B, 70)
    for _ in range(20):
        quota.began(A, 1.0)
    assert best(quota, A, B) == [1]
    for _ in range(25):
        quota.observe(A, seen(total_tokens=0), 1.0)
    assert quota.figures(A, 1.0) == {"share_left": 0.8}


def test_our_own_limits_count_and_drain() -> None:
    limited = target(provider("a", rate_limit=RateLimit(requests_per_minute=60, tokens_per_minute=6000)))
    quota = QuotaAware(Allowances())
    assert quota.figures(B, 0.0) == {"share_left": None}
    for _ in range(30):
        quota.began(limited, 0.0)
    assert quota.figures(limited, 0.0) == {"share_left": 0.5}
    quota.observe(limited, seen(total_tokens=4500), 0.0)
    assert quota.figures(limited, 0.0) == {"share_left": 0.25}
    assert quota.figures(limited, 15.0) == {"share_left": 0.5}
    assert quota.figures(limited, 60.0) == {"share_left": 1.0}
    changed = target(provider("a", rate_limit=RateLimit(requests_per_minute=30)))
    quota.began(changed, 60.0)
    assert quota.figures(changed, 60.0) == {"share_left": pytest.approx(1 - 1 / 30, abs=1e-4)}
    quota.retain(frozenset())
    assert quota.figures(changed, 60.0) == {"share_left": 1.0}


# --------------------------------------------------------------------------- kinds
@pytest.mark.parametrize("name", list(Name))
def test_a_new_snapshot_keeps_what_was_learnt(name: Name) -> None:
    profile, allowances = Profile(strategy=name), Allowances()
    first = strategy_of(profile, allowances)
    assert first.name == name.value
    assert first.unit
    again = msgspec.structs.replace(profile, name="renamed")
    assert strategy_of(again, allowances, first) is first
    other = Profile(strategy=Name.COST if name is not Name.COST else Name.LATENCY)
    assert strategy_of(other, allowances, first) is not first


def test_another_window_begins_anew() -> None:
    first = strategy_of(Profile(strategy=Name.LATENCY), Allowances())
    changed = Profile(strategy=Name.LATENCY, latency_window_s=10.0)
    assert strategy_of(changed, Allowances(), first) is not first


def test_gone_targets_are_forgotten() -> None:
    strategy = latency(a=100, b=300)
    strategy.retain(frozenset({B.id}))
    assert strategy.figures(A, 0.0)["latency_ms"] is None
    assert strategy.figures(B, 0.0)["latency_ms"] == 300.0
