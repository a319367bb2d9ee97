"""Several sidecars and a simple operator over links that lose time and break: nobody hammers, all come back.

The operator here is a stand-in with the rules of the contract and no more; the real fleet plays the same game
in tests/integration.
"""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliproxy_api.report import Report, TrialSettled, TrialStarted, Tripped, Trying
from cliproxy_api.scope import Scope
from cliproxy_api.state import FleetCooldown, FleetState
from cliproxy_api.vocabulary import CooldownPhase
from support.cooling import SENT
from support.parties import RAMP_STEP_S, STEP_S, World

COOLING, HALF_OPEN, RAMP = CooldownPhase.COOLING, CooldownPhase.HALF_OPEN, CooldownPhase.RAMP
RAMP_STEPS = (10, 25, 50, 100)


class StandIn:
    """Merges trips, hands out one permit at a time, leads the ramp."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.entries: dict[Scope, FleetCooldown] = {}
        self.turn = 0
        self.silent = False

    def hear(self, name: str, report: Report, now: float) -> None:
        if self.silent:
            return
        if isinstance(report, Tripped):
            self._tripped(report, now)
        elif isinstance(report, TrialStarted | TrialSettled):
            entry = self.entries.get(report.scope)
            if entry is None or entry.phase is not HALF_OPEN or entry.level != report.level:
                return
            if isinstance(report, TrialStarted):
                self._put(entry, HALF_OPEN, now + 60.0, trial=entry.trial_sidecar)
            else:
                self._put(entry, RAMP, now + RAMP_STEP_S, share=RAMP_STEPS[0])

    def tick(self, now: float) -> None:
        for entry in list(self.entries.values()):
            if self.silent or seconds(entry) > now:
                continue
            if entry.phase is RAMP:
                later = [share for share in RAMP_STEPS if share > entry.share_percent]
                if later:
                    self._put(entry, RAMP, now + RAMP_STEP_S, share=later[0])
                else:
                    del self.entries[entry.scope]
            else:
                self.turn += 1
                self._put(entry, HALF_OPEN, now + 5.0, trial=self.names[self.turn % len(self.names)])

    def _tripped(self, report: Tripped, now: float) -> None:
        known = self.entries.get(report.scope)
        until = now + report.remaining_s
        cooling = known is not None and known.phase is COOLING
        if known is not None and not cooling and report.level <= known.level:
            return
        if known is not None and cooling:
            until, level = max(until, seconds(known)), max(report.level, known.level)
        else:
            level = report.level
        self.entries[report.scope] = FleetCooldown(
            scope=report.scope,
            phase=COOLING,
            outcome_class=report.outcome_class,
            since_utc=SENT + timedelta(seconds=now),
            until_utc=SENT + timedelta(seconds=until),
            level=level,
        )

    def _put(
        self,
        entry: FleetCooldown,
        phase: CooldownPhase,
        until: float,
        *,
        share: int = 0,
        trial: str | None = None,
    ) -> None:
        self.entries[entry.scope] = FleetCooldown(
            scope=entry.scope,
            phase=phase,
            outcome_class=entry.outcome_class,
            since_utc=entry.since_utc,
            until_utc=SENT + timedelta(seconds=until),
            level=entry.level,
            share_percent=share,
            trial_sidecar=trial,
        )

    def state(self) -> FleetState:
        return FleetState(cooldowns=tuple(self.entries.values()))

    def greeted(self, name: str, trying: tuple[Trying, ...], now: float) -> None:
        """Take no notice: permits go round among all."""

    def gone(self, name: str, now: float) -> None:
        """Take no notice: permits go round among all."""


def seconds(entry: FleetCooldown) -> float:
    return (entry.until_utc - SENT).total_seconds()


def world_of(count: int, *, seed: int, delay_s: float, latency_s: float) -> World:
    names = [f"s{number}" for number in range(count)]
    return World(names, StandIn(names), seed=seed, delay_s=delay_s, latency_s=latency_s)


worlds = st.builds(
    world_of,
    st.integers(2, 5),
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
    assert len(trials) <= 1 + outage_s / min(hint_s or 1.0, 1.0)
    apart = [later - earlier for earlier, later in pairwise(trials)]
    assert all(gap > world.latency_s for gap in apart), "one after the other"
    world.run(world.now + 120.0)
    assert world.is_well()
    assert len([at for at in world.asked if at > world.now - 1.0]) == 10 * len(world.sidecars)


@given(world=worlds, cut=st.integers(0, 1), hint_s=st.sampled_from((3.0, 8.0)))
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


@given(world=worlds, breaks=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 80)), max_size=12))
@settings(max_examples=30, deadline=None)
def test_whatever_links_do_all_come_back(world: World, breaks: list[tuple[int, int]]) -> None:
    world.open_at, world.hint_s = 6.0, 2.0
    for number, tenths in breaks:
        world.run(world.now + tenths / 10)
        world.link(number, up=not world.sidecars[number].attached)
    for number in range(len(world.sidecars)):
        world.link(number, up=True)
    world.run(max(world.now, world.open_at) + 150.0)
    assert world.is_well()


@pytest.mark.parametrize("silent_from", [0.5, 3.5, 4.5])
def test_an_operator_that_falls_silent_shuts_nobody_out(silent_from: float) -> None:
    world = world_of(3, seed=1, delay_s=0.0, latency_s=0.3)
    world.open_at, world.hint_s = 1.0, 3.0
    world.run(silent_from)
    assert isinstance(world.operator, StandIn)
    world.operator.silent = True
    world.run(silent_from + 90.0)
    assert all(sidecar.attached for sidecar in world.sidecars)
    assert all(sidecar.cooldowns.is_idle for sidecar in world.sidecars)


def test_permits_are_neither_lost_nor_kept() -> None:
    world = world_of(4, seed=7, delay_s=0.1, latency_s=0.5)
    world.open_at, world.hint_s = 5.0, None
    world.run(60.0)
    assert sum(sidecar.cooldowns.outstanding for sidecar in world.sidecars) == world.under_way()
