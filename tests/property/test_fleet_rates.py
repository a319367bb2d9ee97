"""A shared rate in virtual time: never above the limit, nobody starved, and rest when nothing changes.

`docs/limits.md` and ADR 13 promise what is held to here; the fleet is `support.ratefleet`.
"""

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cliproxy_api.snapshot import RateLimit
from support.ratefleet import RateFleet

QUICK = (Phase.explicit, Phase.generate)
"""A fleet's minutes take seconds: a failing example is told as it was found."""


def fleet(*rates: float, limit: int = 120, seed: int = 0, delay_s: float = 0.2) -> RateFleet:
    """Return a fleet whose pods have been there for a while."""
    made = RateFleet(RateLimit(requests_per_minute=limit), seed=seed, delay_s=delay_s)
    for _ in rates:
        made.join()
    made.run(20)
    for pod, rate in zip(made.pods, rates, strict=True):
        pod.rate = rate
    return made


EVENTS = st.lists(
    st.tuples(
        st.floats(0.5, 25),
        st.sampled_from(["rate", "rate", "rate", "join", "kill", "cut", "mend", "away", "lead"]),
        st.integers(0, 20),
        st.sampled_from([0.0, 0.05, 0.3, 1.0, 4.0]),
    ),
    max_size=20,
)


@settings(max_examples=12, deadline=None, phases=QUICK)
@given(
    count=st.integers(2, 6),
    limit=st.integers(5, 120),
    seed=st.integers(0, 1000),
    delay_s=st.floats(0, 2),
    events=EVENTS,
)
def test_no_minute_holds_more_than_the_limit_and_one_request_of_each_newcomer(
    count: int, limit: int, seed: int, delay_s: float, events: list[tuple[float, str, int, float]]
) -> None:
    world = fleet(*[0.0] * count, limit=limit, seed=seed, delay_s=delay_s)
    begun, most = world.now, len(world.pods)
    for wait_s, what, which, rate in events:
        world.run(wait_s)
        pod = world.pods[which % len(world.pods)] if world.pods else None
        if what == "join" and not world.away:  # to whom nobody has spoken, takes itself for the only one
            world.join(rate)
            most += 1
        elif pod is None:
            continue
        elif what == "rate":
            pod.rate = rate
        elif what == "kill" and len(world.pods) > 1:
            world.kill(pod)
        elif what in {"cut", "mend"}:
            pod.linked = what == "mend"
        elif what == "away" and not world.away:
            world.leave()
        elif what == "lead" and world.away and all(one.linked for one in world.pods):
            world.lead()
    world.run(30)
    # A part is never too small for one request; a fleet that grows is told of smaller floors a little later.
    assert world.worst_minute(begun) <= limit * 1.1 + most + 1


@settings(max_examples=6, deadline=None, phases=QUICK)
@given(
    rates=st.lists(st.sampled_from([0.0, 0.05, 0.3, 1.0, 4.0]), min_size=2, max_size=8),
    seed=st.integers(0, 1000),
)
def test_all_get_their_fair_part_within_two_minutes_and_little_is_said_after(
    rates: list[float], seed: int
) -> None:
    limit = 120
    world = fleet(*rates, limit=limit, seed=seed)
    world.run(240)
    said = world.pushes
    world.run(180)
    # Chance demand moves parts now and then; parts that chase each other would be told each second.
    assert world.pushes - said <= 9 * len(rates)
    wanted = sum(min(rate * 60, limit) for rate in rates)
    passed = sum(pod.recent(world.now) for pod in world.pods)
    assert passed >= 0.8 * min(wanted, limit) - len(rates)
    for pod, rate in zip(world.pods, rates, strict=True):
        fair = min(rate * 60, limit / len(rates))
        assert pod.recent(world.now) >= 0.7 * fair - 2, (rate, pod.recent(world.now))


def test_two_busy_among_498_idle_share_the_limit_and_a_third_begins_at_once() -> None:
    world = fleet(*[0.0] * 500)
    one, two, three = world.pods[:3]
    said = world.pushes
    one.rate = two.rate = 4
    world.run(90)
    assert world.pushes - said <= 20  # of five hundred
    assert one.recent(world.now) + two.recent(world.now) >= 0.8 * 120
    assert abs(one.recent(world.now) - two.recent(world.now)) <= 0.1 * 120
    three.rate = 4
    world.run(1)
    assert len(three.done) >= 1
    world.run(119)
    assert three.recent(world.now) >= 0.7 * 120 / 3
    assert world.worst_minute(world.now - 200) <= 120 + 3


def test_a_busy_one_gives_back_what_it_no_longer_takes() -> None:
    world = fleet(4.0, 4.0)
    world.run(120)
    one, two = world.pods
    assert abs(one.recent(world.now) - 60) <= 8
    two.rate = 0.1
    world.run(180)
    assert one.recent(world.now) >= 90
    assert two.recent(world.now) >= 5


def test_without_an_operator_the_last_parts_hold_for_ever() -> None:
    world = fleet(4.0, 4.0, 0.0)
    world.run(120)
    begun = world.now
    parts = [pod.gate._limiter.part for pod in world.pods if pod.gate._limiter is not None]
    world.leave()
    world.pods[2].rate = 4
    world.run(600)
    assert [pod.gate._limiter.part for pod in world.pods if pod.gate._limiter is not None] == parts
    assert world.worst_minute(begun) <= 120 + 1
    assert world.pods[2].recent(world.now) >= 1


def test_a_new_leader_takes_over_what_each_keeps_to() -> None:
    world = fleet(4.0, 1.0, 0.0)
    world.run(150)
    before = [pod.recent(world.now) for pod in world.pods]
    begun = world.now
    world.leave()
    world.run(10)
    world.lead()
    world.run(120)
    assert world.worst_minute(begun) <= 120 + 3
    for pod, was in zip(world.pods, before, strict=True):
        assert pod.recent(world.now) >= 0.8 * was - 1


def test_alone_a_sidecar_has_all_of_the_limit() -> None:
    world = fleet(4.0)
    world.run(90)
    assert world.pods[0].recent(world.now) >= 112
    second = world.join()
    world.run(70)
    assert world.pods[0].recent(world.now) >= 110
    world.kill(second)
    world.run(130)
    assert world.pods[0].recent(world.now) >= 112
