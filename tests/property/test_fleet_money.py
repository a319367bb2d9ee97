"""A fleet in virtual time: sidecars' limits and the operator's sums play together, as ADR 13 promises.

Every step is a tenth of a second; reports go out each second, leases come back a second later at most.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from cliproxy_api.snapshot import Position, Profile, Quota, RateLimit, Snapshot
from cliproxy_api.state import FleetState, StatePush
from cliproxy_api.vocabulary import QuotaReset, QuotaUnit
from cliproxy_operator.money.leases import Leases, leases, with_leases
from cliproxy_operator.money.totals import Group, Totals
from cliproxy_operator.view import SidecarId
from cliproxy_sidecar.core.limits.gates import Gate
from cliproxy_sidecar.core.limits.limits import Limits
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.core.usage import Usage
from support import build

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEP_S = 0.1
TOKENS = 100
"""Of each request; exactly what is reserved."""


@dataclass
class Pod:
    """A sidecar's limits, without the sidecar."""

    name: str
    limits: Limits
    gate: Gate
    done: list[float] = field(default_factory=list)
    """When requests passed."""


class World:
    """Pods, an operator, and a clock."""

    def __init__(self, count: int, quota: Quota | None, rate: RateLimit | None, seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)  # noqa: S311 -- no secret
        self.provider = build.built(name="alpha", quota=quota, rate_limit=rate).provider
        self.target = Target(self.provider, self.provider.credentials[0], self.provider.models[0])
        self.pods = [self._pod(f"pod-{number}") for number in range(count)]
        self.totals = Totals(NOON - timedelta(hours=1))
        self.leases = Leases()
        self.attach(attached=True)

    def _pod(self, name: str) -> Pod:
        limits = Limits(salt=b"0123456789abcdef", boot=name, now=0.0, utc=NOON)
        snapshot = Snapshot(namespace="team-a", profile=Profile(), providers=(self.provider,))
        force = limits.configure(snapshot, {}, 0.0)
        assert force.gates is not None
        return Pod(name, limits, force.gates[self.provider.id])

    def utc(self) -> datetime:
        return NOON + timedelta(seconds=self.now)

    def attach(self, *, attached: bool) -> None:
        self.attached = attached
        for pod in self.pods:
            pod.limits.attach(attached)

    def ask(self, pod: Pod) -> bool:
        """Let a pod send one request, if its gate lets it."""
        if pod.gate.exhausted(self.now) or pod.gate.limited(TOKENS, self.now):
            return False
        passage = pod.gate.take(self.target, TOKENS, self.now)
        cost = pod.limits.count(self.target, "", Usage(input=TOKENS), self.now, self.utc())
        passage.settle(TOKENS, cost, self.now)
        pod.done.append(self.now)
        return True

    def step(self, eagerness: float) -> None:
        """Let a tenth of a second pass; each pod asks with this chance."""
        before, self.now = self.now, self.now + STEP_S
        for pod in self.pods:
            if self.random.random() < eagerness:
                self.ask(pod)
        if self.attached and int(self.now) != int(before):
            self._exchange()

    def _exchange(self) -> None:
        group = Group("", frozenset({self.provider.id}))
        for pod in self.pods:
            for report in pod.limits.reports(self.now, self.utc()):
                self.totals.hear(SidecarId("team-a", pod.name), group, report, self.utc())
        providers = {self.provider.id: self.provider}
        told = leases(
            "team-a", providers, {}, self.totals, self.leases, self.utc(), sidecars=lambda _: len(self.pods)
        )
        if told != self.leases:
            self.leases = told
            state = with_leases(FleetState(), told)
            push = StatePush(position=Position(1, 1), sent_at_utc=self.utc(), state=state)
            for pod in self.pods:
                pod.limits.adopt(push, self.now)

    def passed(self) -> int:
        return sum(len(pod.done) for pod in self.pods)


worlds = {"count": st.integers(1, 8), "seed": st.integers(0, 1000)}


@settings(max_examples=30, deadline=None)
@given(**worlds, limit=st.integers(1, 60))
def test_a_quota_is_overshot_by_two_seconds_use_at_most_and_is_used_up(
    count: int, seed: int, limit: int
) -> None:
    quota = Quota(limit=limit * TOKENS, unit=QuotaUnit.TOKENS, reset=QuotaReset.DAILY)
    world = World(count, quota, None, seed)
    for _ in range(400):
        world.step(0.3)
    in_two_seconds = count * 2 / STEP_S
    assert limit <= world.passed() <= limit + in_two_seconds
    assert all(pod.gate.exhausted(world.now) for pod in world.pods)
    world.now += 12 * 3600
    assert all(world.ask(pod) for pod in world.pods)


@settings(max_examples=30, deadline=None)
@given(**worlds)
def test_cut_off_the_fleet_keeps_to_what_was_left(count: int, seed: int) -> None:
    quota = Quota(limit=100 * TOKENS, unit=QuotaUnit.TOKENS, reset=QuotaReset.DAILY)
    world = World(count, quota, None, seed)
    for pod in world.pods:
        world.ask(pod)
    for _ in range(25):
        world.step(0.0)
    world.attach(attached=False)
    for _ in range(1500):
        world.step(0.5)
    # Each may go one request beyond its part: a part is never too small for anything at all.
    assert world.passed() <= 100 + count


@settings(max_examples=12, deadline=None)
@given(**worlds, limit=st.integers(1, 120))
def test_a_rate_holds_in_every_minute_once_all_have_joined_in(count: int, seed: int, limit: int) -> None:
    world = World(count, None, RateLimit(requests_per_minute=limit), seed)
    for pod in world.pods:
        world.ask(pod)
    steps = int((90 + 61 * max(count / limit, 1)) / STEP_S)
    for _ in range(steps):
        world.step(0.5)
    times = sorted(at for pod in world.pods for at in pod.done if at > 61.0)
    for begin in times:
        assert sum(begin <= at < begin + 60 for at in times) <= max(limit, count)
    assert len(times) >= min(limit, 1)
