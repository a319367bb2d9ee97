"""One half-open permit per scope, whoever leads: leaders and sidecars die at any step, in virtual time.

Leaders are killed, with or without their links' ends being noticed, or paused and woken up; their clocks
differ, what they wrote may be late or lost; sidecars are killed, cut off, slow to be linked. Never are two
trials of one scope under way that the fleet permitted, and in the end everything closes.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliproxy_api.report import Report, TrialStarted
from cliproxy_api.resources.common import to_wire
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import CooldownRules, Position, Recovery, Timeouts
from cliproxy_api.state import StatePush
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_operator.fleet import Fleet
from cliproxy_operator.status.provider import merge_provider_status
from cliproxy_operator.view import ProviderView, SidecarId
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.outcome import SUCCESS, Outcome
from cliproxy_sidecar.core.permit import Permit
from cliproxy_sidecar.core.target import Target
from support.cooling import failed, provider

pytestmark = pytest.mark.timeout(300)  # the machine may be busy; the work is bounded

BEGIN = datetime(2026, 11, 30, 12, tzinfo=UTC)
STEP_S = 0.25
LINE_S = 0.4
"""A line or document is slower than this only if its link breaks."""
NOTICED_S = 3.0
"""A leader whose links have been taken from it knows by then that it does not lead."""
LONGEST_S = 15.0
"""No attempt takes longer."""
RULES = CooldownRules(
    rate_limit_s=8.0,
    error_s=8.0,
    error_threshold=3,
    jitter=0.1,
    recovery=Recovery(check_interval_s=4.0, trials=2, ramp_percent=(20, 100), backoff_s=3.0),
)
PROVIDER = provider(cooldown=RULES, timeouts=Timeouts(total_s=LONGEST_S))
IDS = frozenset({PROVIDER.id})
TARGET = Target(PROVIDER, PROVIDER.credentials[0], PROVIDER.models[0])


@dataclass(eq=False)
class Leader:
    """One leadership: its fleet, its clock, its links."""

    epoch: int
    fleet: Fleet
    skew_s: float
    sent: int = 0
    paused_until: float = 0.0
    deposed_at: float = float("inf")
    linked: set[SidecarId] = field(default_factory=set)


@dataclass(eq=False)
class Sidecar:
    """One life of a sidecar process: its machine, who reads it, the attempts under way."""

    id: SidecarId
    cooldowns: Cooldowns
    epoch: int = 0
    newest: Position = field(default_factory=lambda: Position(0, 0))
    reader: Leader | None = None
    link: int = 0
    """Counts links: what an earlier one still carried is lost."""
    cut_until: float = 0.0
    """No new link can be made before."""
    attempts: list[tuple[float, Permit]] = field(default_factory=list)


class World:
    """Everything, and the queue of what is still on its way."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 -- a test's dice
        self.now = 0.0
        self.queue: list[tuple[float, int, Callable[[], object]]] = []
        self.order = 0
        self.written = LLMProviderStatus()
        self.written_by = 0
        self.leaders: list[Leader] = []
        self.epoch = 0
        self.leads_at: float | None = 0.0
        self.sidecars = [self._sidecar(f"web-{number}") for number in range(3)]
        self.outcome: Callable[[], Outcome] = lambda: SUCCESS

    def _sidecar(self, name: str) -> Sidecar:
        cooldowns = Cooldowns(sidecar=name, chance=self.dice)
        cooldowns.configure((PROVIDER,), self.now)
        return Sidecar(SidecarId("ns", name), cooldowns)

    def utc(self, leader: Leader) -> datetime:
        return BEGIN + timedelta(seconds=self.now + leader.skew_s)

    def later(self, after_s: float, what: Callable[[], object]) -> None:
        self.order += 1
        heapq.heappush(self.queue, (self.now + after_s, self.order, what))

    # ---------------------------------------------------------------- leaders
    @property
    def leader(self) -> Leader | None:
        """The newest, if it is there."""
        found = [one for one in self.leaders if one.epoch == self.epoch]
        return found[0] if found else None

    def lead(self) -> None:
        self.epoch += 1
        leader = Leader(self.epoch, Fleet(chance=self.dice), skew_s=self.dice.uniform(-5, 5))
        utc = self.utc(leader)
        leader.fleet.configure({PROVIDER.id: PROVIDER}, utc)
        leader.fleet.restore(PROVIDER.id, msgspec.convert(to_wire(self.written), LLMProviderStatus), utc)
        leader.fleet.expect([(sidecar.id, IDS) for sidecar in self.sidecars], utc)
        self.leaders.append(leader)
        self.leads_at = None

    def kill(self, leader: Leader, *, noticed: bool) -> None:
        """End a leader's process; if its node dies with it, nobody is told that the links have ended."""
        self.leaders.remove(leader)
        if noticed:
            for sidecar in self.sidecars:
                if sidecar.reader is leader:
                    self.unlink(sidecar)

    def act(self, leader: Leader) -> None:
        """What a leader does in a step: links, what is due, documents if anything changed, status."""
        if self.now < leader.paused_until:
            return
        if self.now >= leader.deposed_at:
            self.kill(leader, noticed=True)
            return
        for sidecar in self.sidecars:
            if sidecar.id in leader.linked and sidecar.reader is not leader:
                leader.linked.discard(sidecar.id)
                leader.fleet.gone(sidecar.id, self.utc(leader))
            if sidecar.id not in leader.linked and self.now >= sidecar.cut_until and self.dice.random() < 0.4:
                self.link(leader, sidecar)
        before = leader.fleet.state("ns", IDS)
        wake = leader.fleet.wake_at()
        if wake is not None and wake <= self.utc(leader):
            leader.fleet.tick(self.utc(leader))
        self.tell_if_changed(leader, before)

    def tell_if_changed(self, leader: Leader, before: object) -> None:
        if leader.fleet.state("ns", IDS) == before:
            return
        for sidecar in self.sidecars:
            if sidecar.reader is leader:
                self.push(leader, sidecar)
        shown = leader.fleet.cooldowns(PROVIDER.id)

        def write() -> None:
            if leader in self.leaders and leader.epoch == self.epoch:  # the deadline check before every write
                self.written = merge_provider_status(
                    None,
                    generation=1,
                    enabled=True,
                    diagnostics=(),
                    view=ProviderView(provider=PROVIDER, cooldowns=shown),
                    now_utc=self.utc(leader),
                )

        self.later(self.dice.uniform(0, 2.0), write)

    # ------------------------------------------------------------------ links
    def link(self, leader: Leader, sidecar: Sidecar) -> None:
        if leader.epoch < sidecar.epoch:
            leader.deposed_at = min(leader.deposed_at, self.now)
            return
        if sidecar.reader is not None and sidecar.reader.epoch < leader.epoch:
            sidecar.reader.deposed_at = min(sidecar.reader.deposed_at, self.now + NOTICED_S)
        sidecar.reader, sidecar.link = leader, sidecar.link + 1
        if leader.epoch > sidecar.epoch:
            sidecar.epoch = leader.epoch
            sidecar.cooldowns.led_anew(self.now)
        sidecar.cooldowns.attach(attached=True, now=self.now)
        trying = sidecar.cooldowns.trying(self.now)
        standing = sidecar.cooldowns.standing_reports(self.now)

        def greeted() -> None:
            before = leader.fleet.state("ns", IDS)
            leader.linked.add(sidecar.id)
            leader.fleet.greeted(sidecar.id, IDS, trying, self.utc(leader))
            self.push(leader, sidecar)
            self.tell_if_changed(leader, before)

        self.carry(leader, sidecar, greeted)
        self.tell(sidecar, standing)

    def unlink(self, sidecar: Sidecar) -> None:
        sidecar.reader, sidecar.link = None, sidecar.link + 1
        sidecar.cooldowns.attach(attached=False, now=self.now)

    def carry(self, leader: Leader, sidecar: Sidecar, arrive: Callable[[], object]) -> None:
        """Bring something over a link, in order, unless the link breaks or an end of it dies before."""
        link = sidecar.link

        def deliver() -> None:
            if leader not in self.leaders or sidecar not in self.sidecars or sidecar.link != link:
                return
            if self.now < leader.paused_until:
                self.later(leader.paused_until - self.now, deliver)  # it waits in a socket
            else:
                arrive()

        self.later(LINE_S, deliver)

    def tell(self, sidecar: Sidecar, reports: tuple[Report, ...]) -> None:
        leader = sidecar.reader
        if leader is None:
            return

        def hear(report: Report) -> None:
            before = leader.fleet.state("ns", IDS)
            leader.fleet.hear(sidecar.id, report, self.utc(leader))
            self.tell_if_changed(leader, before)

        for report in reports:
            self.carry(leader, sidecar, partial(hear, report))

    def push(self, leader: Leader, sidecar: Sidecar) -> None:
        leader.sent += 1
        push = StatePush(
            position=Position(leader.epoch, leader.sent),
            sent_at_utc=self.utc(leader),
            state=leader.fleet.state("ns", IDS),
        )
        link = sidecar.link

        def arrive() -> None:
            if sidecar in self.sidecars and sidecar.link == link and push.position > sidecar.newest:
                sidecar.newest = push.position
                self.tell(sidecar, sidecar.cooldowns.adopt(push, self.now))

        self.later(self.dice.uniform(0, LINE_S), arrive)

    def end_life(self, sidecar: Sidecar) -> None:
        """Kill a sidecar: what it had under way is over; it is started again."""
        place = self.sidecars.index(sidecar)
        self.sidecars[place] = self._sidecar(sidecar.id.pod)
        self.sidecars[place].cut_until = self.now + self.dice.uniform(0.5, 12.0)

    # --------------------------------------------------------------- requests
    def request(self, sidecar: Sidecar) -> None:
        permit = sidecar.cooldowns.admit(TARGET, self.now)
        if isinstance(permit, Permit):
            self.tell(sidecar, permit.reports)
            lasts_s = self.dice.choice([0.2, 1.0, 5.0, LONGEST_S])
            sidecar.attempts.append((self.now + lasts_s, permit))

    def finish(self, sidecar: Sidecar) -> None:
        for attempt in [attempt for attempt in sidecar.attempts if attempt[0] <= self.now]:
            sidecar.attempts.remove(attempt)
            outcome = self.outcome()
            scopes = () if outcome is SUCCESS else (Scope(provider=PROVIDER.id, model="up"),)
            self.tell(sidecar, sidecar.cooldowns.settle(attempt[1], outcome, scopes, self.now))

    # ------------------------------------------------------------------- time
    def step(self, rate: float) -> None:
        self.now += STEP_S
        while self.queue and self.queue[0][0] <= self.now:
            heapq.heappop(self.queue)[2]()
        if self.leads_at is not None and self.now >= self.leads_at:
            self.lead()
        for leader in list(self.leaders):
            self.act(leader)
        for sidecar in self.sidecars:
            sidecar.cooldowns.advance(self.now)
            self.finish(sidecar)
            if self.dice.random() < rate:
                self.request(sidecar)
        self.check()

    def check(self) -> None:
        permitted = [
            (trial.scope, trial.level, sidecar.id.pod)
            for sidecar in self.sidecars
            for _, permit in sidecar.attempts
            for trial in permit.trials
            if trial.trial is permit
            and trial.scope in {report.scope for report in permit.reports if isinstance(report, TrialStarted)}
        ]
        scopes = [one[:2] for one in permitted]
        assert len(scopes) == len(set(scopes)), (self.now, permitted)

    def disturb(self) -> None:
        dice, leader = self.dice, self.leader
        match dice.randrange(40):
            case 0 if leader is not None:
                self.kill(leader, noticed=dice.random() < 0.7)
                self.leads_at = self.now + dice.uniform(0.25, 12.0)
            case 1 if leader is not None:
                leader.paused_until = self.now + dice.uniform(5.0, 30.0)
                self.leads_at = self.now + 5.0
            case 2:
                self.end_life(dice.choice(self.sidecars))
            case 3 | 4:
                sidecar = dice.choice(self.sidecars)
                sidecar.cut_until = self.now + dice.choice([0.5, 5.0, 25.0])
                if sidecar.reader is not None and dice.random() < 0.7:
                    self.unlink(sidecar)
                elif sidecar.reader is not None:  # the leader notices first
                    sidecar.reader.linked.discard(sidecar.id)
                    sidecar.reader.fleet.gone(sidecar.id, self.utc(sidecar.reader))
                    sidecar.reader, sidecar.link = None, sidecar.link + 1
            case _:
                pass

    def is_closed(self) -> bool:
        leader = self.leader
        return (
            leader is not None
            and not leader.fleet.cooldowns(PROVIDER.id)
            and not any(sidecar.cooldowns.active(self.now) for sidecar in self.sidecars)
        )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), bad_share=st.floats(0.1, 1.0), rate=st.floats(0.05, 1.0))
def test_never_two_permitted_trials_and_never_stuck(*, seed: int, bad_share: float, rate: float) -> None:
    world = World(seed)
    dice = world.dice

    def ill() -> Outcome:
        if dice.random() > bad_share:
            return SUCCESS
        return failed(OutcomeClass.RATE_LIMITED, hint_s=dice.choice([None, 1.0, 4.0]))

    world.outcome = ill
    for _ in range(round(60 / STEP_S)):
        world.disturb()
        world.step(rate)

    world.outcome = lambda: SUCCESS
    for sidecar in world.sidecars:
        sidecar.cut_until = min(sidecar.cut_until, world.now + 5.0)
    for _ in range(round(400 / STEP_S)):
        world.step(max(rate, 0.3))
        if world.is_closed():
            break
    leader = world.leader
    assert world.is_closed(), (leader and leader.fleet.cooldowns(PROVIDER.id), world.written)
