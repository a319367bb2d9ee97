"""The real fleet and real cooldowns of sidecars play the same game over links that delay and break."""

from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliproxy_api.report import Report, Trying
from cliproxy_api.state import FleetState
from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_operator.fleet import Fleet
from cliproxy_operator.view import SidecarId
from support.cooling import KEY, SENT
from support.parties import PROVIDER, RAMP_STEP_S, STEP_S, World

ALL = frozenset({PROVIDER.id})
PERMIT_S = 5.0
"""How long the operator leaves an unused permit where it is."""


class RealFleet:
    """The operator's decisions without its shell."""

    def __init__(self) -> None:
        self.fleet = Fleet(chance=Random(3))  # noqa: S311 - no secret
        self.fleet.configure({PROVIDER.id: PROVIDER}, SENT)

    def greeted(self, name: str, trying: tuple[Trying, ...], now: float) -> None:
        self.fleet.greeted(SidecarId("ns", name), ALL, trying, SENT + timedelta(seconds=now))

    def gone(self, name: str, now: float) -> None:
        self.fleet.gone(SidecarId("ns", name), SENT + timedelta(seconds=now))

    def hear(self, name: str, report: Report, now: float) -> None:
        self.fleet.hear(SidecarId("ns", name), report, SENT + timedelta(seconds=now))

    def tick(self, now: float) -> None:
        self.fleet.tick(SENT + timedelta(seconds=now))

    def state(self) -> FleetState:
        return self.fleet.state("ns", ALL)


def world_of(count: int, *, seed: int = 1, delay_s: float = 0.0, latency_s: float = 0.3) -> World:
    names = [f"s{number}" for number in range(count)]
    return World(names, RealFleet(), seed=seed, delay_s=delay_s, latency_s=latency_s)


worlds = st.builds(
    world_of,
    st.integers(1, 5),
    seed=st.integers(0, 1000),
    delay_s=st.sampled_from((0.0, 0.1, 0.5)),
    latency_s=st.sampled_from((0.0, 0.3, 1.0)),
)


@given(world=worlds, outage_s=st.sampled_from((4.0, 12.0)), hint_s=st.sampled_from((None, 3.0, 8.0)))
@settings(max_examples=30, deadline=None)
def test_one_refusal_quietens_the_whole_fleet_and_all_come_back(
    world: World, outage_s: float, hint_s: float | None
) -> None:
    world.run(2.0)
    world.open_at, world.hint_s = world.now + outage_s, hint_s
    began = world.now
    world.run(world.open_at)
    # What was asked before the first answer came and was told to all, then one trial at a time.
    first_wave_ends = began + world.latency_s + 2 * world.delay_s + 2 * STEP_S
    trials = [at for at in world.refused if at > first_wave_ends + 1e-9]
    assert all(later - earlier > world.latency_s for earlier, later in pairwise(trials))
    assert len(trials) <= 1 + outage_s / min(hint_s or 1.0, 1.0)
    world.run(world.now + 120.0)
    assert world.is_well()
    assert len([at for at in world.asked if at > world.now - 1.0]) == 10 * len(world.sidecars)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_way_back_takes_no_longer_than_it_must(count: int) -> None:
    world = world_of(count, delay_s=0.1)
    world.open_at, world.hint_s = 1.0, 8.0
    world.run(4.0)
    (cooling,) = world.operator.state().cooldowns
    assert (cooling.scope, cooling.phase) == (KEY, CooldownPhase.COOLING)
    # The hint, rounded up; the trial; four steps; lines on their way.
    world.run(1.0 + 0.3 + 8.0 + 1.0 + 0.3 + 4 * RAMP_STEP_S + 2.0)
    assert world.is_well()


@given(world=worlds, cut=st.integers(0, 0), hint_s=st.sampled_from((3.0, 8.0)))
@settings(max_examples=20, deadline=None)
def test_a_sidecar_that_is_cut_off_comes_back_alone_and_rejoins(
    world: World, cut: int, hint_s: float
) -> None:
    world.open_at, world.hint_s = 3.0, hint_s
    world.run(1.0)
    world.link(cut, up=False)
    world.run(60.0)
    assert world.sidecars[cut].cooldowns.is_idle
    world.link(cut, up=True)
    world.run(120.0)
    assert world.is_well()


@given(world=worlds, breaks=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 80)), max_size=12))
@settings(max_examples=30, deadline=None)
def test_whatever_links_do_all_come_back(world: World, breaks: list[tuple[int, int]]) -> None:
    world.open_at, world.hint_s = 6.0, 2.0
    for number, tenths in breaks:
        world.run(world.now + tenths / 10)
        which = number % len(world.sidecars)
        world.link(which, up=not world.sidecars[which].attached)
    for number, sidecar in enumerate(world.sidecars):
        if not sidecar.attached:
            world.link(number, up=True)
    world.run(max(world.now, world.open_at) + 150.0)
    assert world.is_well()


@pytest.mark.parametrize("lost_at", [0.5, 3.5, 5.5, 8.0])
def test_an_operator_that_begins_with_nothing_leaves_no_one_behind(lost_at: float) -> None:
    world = world_of(3)
    world.open_at, world.hint_s = 2.0, 4.0
    world.run(lost_at)
    for number in range(3):
        world.link(number, up=False)
    world.operator = RealFleet()
    for number in range(3):
        world.link(number, up=True)
    world.run(lost_at + 60.0)
    assert world.is_well()
