"""Several sidecars and a simple operator over links that lose time and break: nobody hammers, all come back.

The operator here is a stand-in with the rules of the contract and no more; the real one has its own tests.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliproxy_api.report import Report, TrialSettled, TrialStarted, Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Position
from cliproxy_api.state import FleetCooldown, FleetState, StatePush
from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.outcome import SUCCESS
from cliproxy_sidecar.core.permit import Permit
from support.cooling import KEY, SENT, failed, provider, rules, target

COOLING, HALF_OPEN, RAMP = CooldownPhase.COOLING, CooldownPhase.HALF_OPEN, CooldownPhase.RAMP
STEP_S = 0.1
RAMP_STEPS = (10, 25, 50, 100)
STEP_OF_RAMP_S = 2.0
POLICY = rules(recovery={"check_interval_s": STEP_OF_RAMP_S, "backoff_s": 3.0})
PROVIDER = provider(cooldown=POLICY)
TARGET = target(PROVIDER)


class Operator:
    """Merges trips, hands out one permit at a time, leads the ramp."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.entries: dict[Scope, FleetCooldown] = {}
        self.turn = 0
        self.silent = False

    def hear(self, report: Report, now: float) -> None:
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
                self._put(entry, RAMP, now + STEP_OF_RAMP_S, share=RAMP_STEPS[0])

    def tick(self, now: float) -> None:
        for entry in list(self.entries.values()):
            if self.silent or seconds(entry) > now:
                continue
            if entry.phase is RAMP:
                later = [share for share in RAMP_STEPS if share > entry.share_percent]
                if later:
                    self._put(entry, RAMP, now + STEP_OF_RAMP_S, share=later[0])
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

    def document(self, now: float) -> StatePush:
        state = FleetState(cooldowns=tuple(self.entries.values()))
        return StatePush(position=Position(1, 1), sent_at_utc=SENT + timedelta(seconds=now), state=state)


def seconds(entry: FleetCooldown) -> float:
    return (entry.until_utc - SENT).total_seconds()


@dataclass(eq=False)
class Sidecar:
    """One pod: its machine, its link, its attempts under way."""

    cooldowns: Cooldowns
    attached: bool = False
    delay_s: float = 0.0
    outbox: deque[tuple[float, Report]] = field(default_factory=deque)
    inbox: deque[tuple[float, StatePush]] = field(default_factory=deque)
    under_way: deque[tuple[float, Permit, bool]] = field(default_factory=deque)
    """When it ends, the permit, and whether the provider refused it."""

    def tell(self, reports: tuple[Report, ...], now: float) -> None:
        if self.attached:
            self.outbox.extend((now + self.delay_s, report) for report in reports)

    def link(self, now: float, *, up: bool) -> None:
        if self.attached == up:
            return
        self.attached = up
        self.outbox.clear()
        self.inbox.clear()
        self.cooldowns.attach(up, now)
        self.tell(self.cooldowns.standing_reports(now) if up else (), now)


class World:
    """A provider that refuses until `open_at`, sidecars with steady traffic, an operator."""

    def __init__(self, count: int, *, seed: int, delay_s: float, latency_s: float) -> None:
        self.now, self.delay_s, self.latency_s = 0.0, delay_s, latency_s
        names = [f"s{number}" for number in range(count)]
        self.operator = Operator(names)
        chance = Random(seed)  # noqa: S311 - no secret
        self.sidecars = [Sidecar(Cooldowns(sidecar=name, chance=chance)) for name in names]
        for sidecar in self.sidecars:
            sidecar.cooldowns.configure((PROVIDER,), 0.0)
            sidecar.delay_s = delay_s
            sidecar.link(0.0, up=True)
        self.open_at = 0.0
        self.hint_s: float | None = None
        self.asked: list[float] = []
        self.refused: list[float] = []
        self._sent: list[FleetCooldown] = []

    def run(self, until: float) -> None:
        while self.now < until:
            self.now = round(self.now + STEP_S, 6)
            self._operate()
            for sidecar in self.sidecars:
                self._serve(sidecar)

    def link(self, number: int, *, up: bool) -> None:
        self.sidecars[number].link(self.now, up=up)
        if up:
            self.sidecars[number].inbox.append((self.now, self.operator.document(self.now)))

    def under_way(self) -> int:
        return sum(len(sidecar.under_way) for sidecar in self.sidecars)

    def is_well(self) -> bool:
        return not self.operator.entries and all(one.cooldowns.is_idle for one in self.sidecars)

    def _operate(self) -> None:
        for sidecar in self.sidecars:
            while sidecar.outbox and sidecar.outbox[0][0] <= self.now:
                self.operator.hear(sidecar.outbox.popleft()[1], self.now)
        self.operator.tick(self.now)
        entries = list(self.operator.entries.values())
        if entries != self._sent:
            self._sent = entries
            for sidecar in self.sidecars:
                if sidecar.attached:
                    sidecar.inbox.append((self.now + self.delay_s, self.operator.document(self.now)))

    def _serve(self, sidecar: Sidecar) -> None:
        machine = sidecar.cooldowns
        while sidecar.inbox and sidecar.inbox[0][0] <= self.now:
            machine.adopt(sidecar.inbox.popleft()[1], self.now)
        while sidecar.under_way and sidecar.under_way[0][0] <= self.now:
            _, permit, refused = sidecar.under_way.popleft()
            outcome = failed(hint_s=self.hint_s) if refused else SUCCESS
            sidecar.tell(machine.settle(permit, outcome, (KEY,) if refused else (), self.now), self.now)
        machine.advance(self.now)
        permit_or_not = machine.admit(TARGET, self.now)
        if isinstance(permit_or_not, Permit):
            sidecar.tell(permit_or_not.reports, self.now)
            refused = self.now < self.open_at
            self.asked.append(self.now)
            self.refused += [self.now] * refused
            sidecar.under_way.append((self.now + self.latency_s, permit_or_not, refused))


worlds = st.builds(
    World,
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
    world = World(3, seed=1, delay_s=0.0, latency_s=0.3)
    world.open_at, world.hint_s = 1.0, 3.0
    world.run(silent_from)
    world.operator.silent = True
    world.run(silent_from + 90.0)
    assert all(sidecar.attached for sidecar in world.sidecars)
    assert all(sidecar.cooldowns.is_idle for sidecar in world.sidecars)


def test_permits_are_neither_lost_nor_kept() -> None:
    world = World(4, seed=7, delay_s=0.1, latency_s=0.5)
    world.open_at, world.hint_s = 5.0, None
    world.run(60.0)
    assert sum(sidecar.cooldowns.outstanding for sidecar in world.sidecars) == world.under_way()
