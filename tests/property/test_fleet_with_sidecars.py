"""One Fleet and three sidecars' Cooldowns over slow, repeating, breaking links, in virtual time.

However messages are delayed, and links break, at most one trial of a scope is under way among sidecars that
stay connected; and once the provider is well and the links stand, everything closes.
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
from cliproxy_api.snapshot import CooldownRules, Position, Provider, Recovery
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
SLOWEST_S = 0.4
"""A line is slower than this only if its link breaks."""
RULES = CooldownRules(
    rate_limit_s=20.0,
    error_s=10.0,
    error_threshold=3,
    jitter=0.1,
    recovery=Recovery(check_interval_s=5.0, trials=2, ramp_percent=(20, 100), backoff_s=3.0),
)
PROVIDER = provider(cooldown=RULES)


@dataclass
class Sidecar:
    """One sidecar, its link, and the attempts that are under way."""

    id: SidecarId
    cooldowns: Cooldowns
    attached: bool = False
    link: int = 0
    """Counts links: what an earlier one still carried is lost."""
    newest: Position = field(default_factory=lambda: Position(0, 0))
    led: int = 0
    """The link that has brought a document: before, the sidecar goes on alone."""
    attempts: list[tuple[float, Permit, int]] = field(default_factory=list)


class World:
    """Everything, and the queue of what is still on its way."""

    def __init__(self, seed: int, of: Provider = PROVIDER) -> None:
        self.dice = random.Random(seed)  # noqa: S311 -- a test's dice
        self.now = 0.0
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.sent = 0
        self.of = of
        self.fleet = Fleet(chance=self.dice)
        self.fleet.configure({of.id: of}, self.utc)
        self.sidecars = [self._sidecar(f"web-{number}") for number in range(3)]
        self.shown = self.fleet.state("ns", frozenset({of.id}))
        self.outcome: Callable[[], Outcome] = lambda: SUCCESS

    @property
    def utc(self) -> datetime:
        return BEGIN + timedelta(seconds=self.now)

    def _sidecar(self, name: str) -> Sidecar:
        cooldowns = Cooldowns(sidecar=name, chance=self.dice)
        cooldowns.configure((self.of,), self.now)
        return Sidecar(SidecarId("ns", name), cooldowns)

    # ------------------------------------------------------------------ links
    def attach(self, sidecar: Sidecar) -> None:
        if sidecar.attached:
            return
        sidecar.attached, sidecar.link = True, sidecar.link + 1
        sidecar.cooldowns.attach(attached=True, now=self.now)
        trying = sidecar.cooldowns.trying(self.now)
        self.fleet.greeted(sidecar.id, frozenset({self.of.id}), trying, self.utc)
        self.tell(sidecar, sidecar.cooldowns.standing_reports(self.now))
        self.push(sidecar)

    def detach(self, sidecar: Sidecar) -> None:
        if sidecar.attached:
            sidecar.attached, sidecar.link = False, sidecar.link + 1
            sidecar.cooldowns.attach(attached=False, now=self.now)
            self.fleet.gone(sidecar.id, self.utc)

    def tell(self, sidecar: Sidecar, reports: tuple[Report, ...]) -> None:
        for report in reports:
            for _ in range(2 if self.dice.random() < 0.1 else 1):
                self.send(sidecar, partial(self.hear, sidecar, report))

    def hear(self, sidecar: Sidecar, report: Report) -> None:
        self.fleet.hear(sidecar.id, report, self.utc)

    def push(self, sidecar: Sidecar) -> None:
        self.sent += 1
        push = StatePush(position=Position(1, self.sent), sent_at_utc=self.utc, state=self.shown)

        def arrive() -> None:
            if push.position > sidecar.newest:
                sidecar.newest, sidecar.led = push.position, sidecar.link
                self.tell(sidecar, sidecar.cooldowns.adopt(push, self.now))

        self.send(sidecar, arrive)

    def send(self, sidecar: Sidecar, arrive: Callable[[], object]) -> None:
        link, at = sidecar.link, self.now + self.dice.uniform(0, SLOWEST_S)
        self.sent += 1

        def deliver() -> None:
            if sidecar.attached and sidecar.link == link:
                arrive()

        heapq.heappush(self.queue, (at, self.sent, deliver))

    # --------------------------------------------------------------- requests
    def request(self, sidecar: Sidecar) -> None:
        permit = sidecar.cooldowns.admit(Target(self.of, self.of.credentials[0], self.of.models[0]), self.now)
        if isinstance(permit, Permit):
            self.tell(sidecar, permit.reports)
            sidecar.attempts.append((self.now + self.dice.uniform(0.1, 4.0), permit, sidecar.led))

    def finish(self, sidecar: Sidecar) -> None:
        for attempt in [attempt for attempt in sidecar.attempts if attempt[0] <= self.now]:
            sidecar.attempts.remove(attempt)
            outcome = self.outcome()
            scopes = () if outcome is SUCCESS else (Scope(provider=self.of.id, model="up"),)
            if outcome.cls is OutcomeClass.RATE_LIMITED:
                scopes = (Scope(provider=self.of.id, credential="k", model="up"),)
            self.tell(sidecar, sidecar.cooldowns.settle(attempt[1], outcome, scopes, self.now))

    # ------------------------------------------------------------------- time
    def step(self, rate: float) -> None:
        self.now += STEP_S
        while self.queue and self.queue[0][0] <= self.now:
            heapq.heappop(self.queue)[2]()
        wake = self.fleet.wake_at()
        assert (wake is None) == (not self.fleet.cooldowns(self.of.id))
        if wake is not None and wake <= self.utc:
            self.fleet.tick(self.utc)
        for sidecar in self.sidecars:
            self.finish(sidecar)
            if self.dice.random() < rate:
                self.request(sidecar)
        shown = self.fleet.state("ns", frozenset({self.of.id}))
        if shown != self.shown:
            self.shown = shown
            for sidecar in self.sidecars:
                if sidecar.attached:
                    self.push(sidecar)
        self.check()

    def check(self) -> None:
        """At most one trial per scope of those that the fleet's permit allowed.

        What a sidecar found while it was cut off, and nobody else knows, it also tries alone.
        """
        trials = [
            (trial.scope, trial.level)
            for sidecar in self.sidecars
            for _, permit, link in sidecar.attempts
            if sidecar.attached and sidecar.link == link
            for trial in permit.trials
            if trial.trial is permit
            and trial.scope in {report.scope for report in permit.reports if isinstance(report, TrialStarted)}
        ]
        assert len(trials) == len(set(trials)), trials

    def is_closed(self) -> bool:
        return not self.fleet.cooldowns(self.of.id) and not any(
            sidecar.cooldowns.active(self.now) for sidecar in self.sidecars
        )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bad_share=st.floats(0.05, 1.0),
    rate=st.floats(0.05, 1.0),
    breaks=st.booleans(),
)
def test_one_trial_at_a_time_and_all_closes(
    *, seed: int, bad_share: float, rate: float, breaks: bool
) -> None:
    world = World(seed)
    dice = world.dice
    for sidecar in world.sidecars:
        world.attach(sidecar)

    def ill() -> Outcome:
        if dice.random() > bad_share:
            return SUCCESS
        if dice.random() < 0.5:
            return failed(OutcomeClass.SERVER_ERROR, status=500)
        return failed(OutcomeClass.RATE_LIMITED, hint_s=dice.choice([None, 2.0, 8.0]))

    world.outcome = ill
    for _ in range(round(60 / STEP_S)):
        if breaks and dice.random() < 0.05:
            sidecar = dice.choice(world.sidecars)
            world.detach(sidecar) if sidecar.attached else world.attach(sidecar)
        world.step(rate)

    world.outcome = lambda: SUCCESS
    for sidecar in world.sidecars:
        world.attach(sidecar)
    for _ in range(round(400 / STEP_S)):
        world.step(max(rate, 0.3))
        if world.is_closed():
            break
    assert world.is_closed(), (world.fleet.cooldowns(PROVIDER.id), world.shown)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_429_at_one_sidecar_stops_all_and_a_new_leader_keeps_the_deadline(seed: int) -> None:
    world = World(seed)
    for sidecar in world.sidecars:
        world.attach(sidecar)
    world.outcome = lambda: failed(OutcomeClass.RATE_LIMITED, hint_s=30.0)
    world.request(world.sidecars[0])
    while not world.fleet.cooldowns(PROVIDER.id):
        world.step(0.0)
    until = world.fleet.cooldowns(PROVIDER.id)[0].until_utc
    for _ in range(4):
        world.step(0.0)
    for sidecar in world.sidecars:
        (active,) = sidecar.cooldowns.active(world.now)
        assert abs((BEGIN + timedelta(seconds=active.until) - until).total_seconds()) <= SLOWEST_S + 1

    # The leader dies; the next one reads status, and the sidecars' links come back to it.
    status = merge_provider_status(
        None,
        generation=1,
        enabled=True,
        diagnostics=(),
        view=ProviderView(provider=PROVIDER, cooldowns=world.fleet.cooldowns(PROVIDER.id)),
        now_utc=world.utc,
    )
    for sidecar in world.sidecars:
        world.detach(sidecar)
    world.fleet = Fleet(chance=world.dice)
    world.fleet.configure({PROVIDER.id: PROVIDER}, world.utc)
    read = msgspec.convert(to_wire(status), LLMProviderStatus)
    assert world.fleet.restore(PROVIDER.id, read, world.utc)
    for sidecar in world.sidecars:
        world.attach(sidecar)
    for _ in range(8):
        world.step(1.0)
    assert [cooldown.until_utc for cooldown in world.fleet.cooldowns(PROVIDER.id)] == [until]
    assert not any(sidecar.attempts for sidecar in world.sidecars if sidecar is not world.sidecars[0])
