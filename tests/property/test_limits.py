"""Limits under any order of calls: never above the limit, every hold settled once, no dead end."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.snapshot import Quota, RateLimit
from cliproxy_api.vocabulary import QuotaReset, QuotaUnit
from cliproxy_sidecar.core.limits.gates import Gate
from cliproxy_sidecar.core.limits.limiter import Hold, Limiter
from cliproxy_sidecar.core.limits.period import Wall
from cliproxy_sidecar.core.limits.window import MINUTE_S, PARTS, Window
from cliproxy_sidecar.core.target import Target
from support import build

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEPS = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 60)), max_size=80)


@given(limit=st.integers(1, 50), steps=STEPS)
def test_no_window_ever_holds_more_than_the_limit(limit: int, steps: list[tuple[float, int]]) -> None:
    window, now = Window(limit), 1000.0
    taken: list[tuple[float, int]] = []
    for pause_s, wish in steps:
        now += pause_s
        amount = min(wish, limit)
        if window.free_at(amount, now) <= now:
            window.take(amount, now)
            taken.append((now, amount))
    for begin, _ in taken:
        assert sum(amount for at, amount in taken if begin <= at < begin + MINUTE_S) <= limit


@given(limit=st.floats(0.01, 50), steps=STEPS, wish=st.integers(1, 1000))
def test_room_always_comes_when_it_was_said_to(
    limit: float, steps: list[tuple[float, int]], wish: int
) -> None:
    window, now = Window(limit), 1000.0
    for pause_s, amount in steps:
        now += pause_s
        window.take(amount, now)
    at = window.free_at(wish, now)
    longest_s = max(MINUTE_S, MINUTE_S / limit)
    assert at <= now + longest_s * (1 + 2 / PARTS) + 0.001
    assert window.free_at(wish, at + 1e-6) <= at + 1e-6


@given(
    limit=st.builds(
        RateLimit,
        requests_per_minute=st.none() | st.integers(1, 20),
        tokens_per_minute=st.none() | st.integers(1, 500),
        max_concurrent=st.none() | st.integers(1, 5),
    ),
    sharers=st.integers(1, 8),
    steps=st.lists(st.tuples(st.floats(0, 20), st.integers(0, 300), st.booleans()), max_size=60),
)
def test_whatever_is_held_ends_and_the_limiter_is_whole_again(
    limit: RateLimit, sharers: int, steps: list[tuple[float, int, bool]]
) -> None:
    limiter, now = Limiter(limit), 1000.0
    limiter.share(sharers)
    holds: list[tuple[Hold, int]] = []
    for pause_s, tokens, settles in steps:
        now += pause_s
        if settles and holds:
            hold, used = holds.pop(0)
            hold.settle(used, now)
            hold.settle(used, now)
        refused = limiter.refusal(tokens, now)
        if refused is None:
            holds.append((limiter.take(tokens, now), tokens // 2))
        else:
            assert refused.until > now
        assert limiter.in_flight == len(holds)
        if limit.max_concurrent is not None:
            assert limiter.in_flight <= max(limit.max_concurrent // sharers, 1)
    for hold, used in holds:
        hold.settle(used, now, sent=False)
    assert limiter.in_flight == 0
    assert limiter.refusal(10**6, now + 60 * sharers * 61 / 60 + 61) is None


@given(
    limit=st.integers(1, 200),
    steps=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.booleans()), max_size=60),
)
def test_a_quota_is_overshot_by_what_is_in_flight_at_most(
    limit: int, steps: list[tuple[int, int, bool]]
) -> None:
    quota = Quota(limit=limit, unit=QuotaUnit.TOKENS, reset=QuotaReset.DAILY)
    provider = build.built(name="alpha", quota=quota).provider
    target = Target(provider, provider.credentials[0], provider.models[0])
    gate, now = Gate(provider, Wall(0.0, NOON), 0.0), 0.0
    passages = []
    used = beyond = 0
    for reserved, really, settles in steps:
        now += 1.0
        if gate.exhausted(now) is None:
            assert used < limit
            passages.append((gate.take(target, reserved, now), reserved, really))
        if settles and passages:
            passage, kept, spent = passages.pop()
            passage.settle(spent, 0, now)
            used += spent
            beyond += max(spent - kept, 0)
    assert used <= limit + 50 + beyond
    for passage, _, spent in passages:
        passage.settle(spent, 0, now)
        used += spent
    assert gate.period is not None
    assert gate.period.reserved == 0
    assert gate.period.used(now) == used
    assert gate.exhausted(gate.period.ends(now)) is None
