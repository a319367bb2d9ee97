"""A fleet that shares one rate, in virtual time: real limits at the sidecars, the operator's real division.

Reports go out each second, at each pod's own moment; what the operator decides arrives after a delay. A pod
asks so many times a second; a refusal is a request lost.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from cliproxy_api.report import Taken
from cliproxy_api.snapshot import Position, Profile, RateLimit, Snapshot
from cliproxy_api.state import FleetState, PartsPush, StatePush
from cliproxy_operator.money.shares import Shares
from cliproxy_operator.money.totals import Group
from cliproxy_operator.view import SidecarId
from cliproxy_sidecar.core.limits.gates import Gate
from cliproxy_sidecar.core.limits.limits import Limits
from cliproxy_sidecar.core.target import Target
from support import build

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEP_S = 0.1
TOKENS = 100
"""Of each request; exactly what is reserved."""


@dataclass(eq=False)
class Pod:
    """A sidecar's limits, without the sidecar."""

    id: SidecarId
    limits: Limits
    gate: Gate
    report_at: float
    rate: float = 0.0
    """Requests a second that it would send."""
    owed: float = 0.0
    done: list[float] = field(default_factory=list)
    refused: int = 0
    linked: bool = True

    def recent(self, now: float, within_s: float = 60.0) -> int:
        """Return how many passed lately."""
        return sum(at > now - within_s for at in reversed(self.done))


class RateFleet:
    """Pods, an operator, and a clock."""

    def __init__(self, limit: RateLimit, *, seed: int = 0, delay_s: float = 0.2) -> None:
        self.now = 1000.0
        self.random = Random(seed)  # noqa: S311 -- no secret
        self.limit, self.delay_s = limit, delay_s
        self.provider = build.built(name="alpha", rate_limit=limit).provider
        self.target = Target(self.provider, self.provider.credentials[0], self.provider.models[0])
        self.owner = ("provider", self.provider.id)
        self.group = Group("", frozenset({self.provider.id}))
        self.pods: list[Pod] = []
        self.past: list[float] = []
        """When requests of pods that are gone passed."""
        self.pushes = 0
        """Documents that sidecars were sent."""
        self.state_changes = 0
        self._named = 0
        self._sequence = 0
        self._wire: list[tuple[float, Pod, StatePush | PartsPush]] = []
        self._floor: int | None = None
        self._told: dict[SidecarId, dict[str, int]] = {}
        self.lead()

    # ------------------------------------------------------------------ events
    def lead(self) -> None:
        """Let a new leader begin, which knows nothing but what it hears; sidecars link to it at once."""
        self.away = False
        self.shares = Shares(self.now)
        self.shares.configure([self.owner])
        self._told.clear()
        for pod in self.pods:
            self._link(pod)

    def leave(self) -> None:
        """Let there be no operator."""
        self.away = True
        self._wire.clear()
        for pod in self.pods:
            pod.limits.attach(attached=False)

    def join(self, rate: float = 0.0) -> Pod:
        """Start a pod."""
        self._named += 1
        name = SidecarId("team-a", f"pod-{self._named}")
        utc = NOON + timedelta(seconds=self.now)
        limits = Limits(salt=b"0123456789abcdef", boot=name.pod, now=self.now, utc=utc)
        snapshot = Snapshot(namespace="team-a", profile=Profile(), providers=(self.provider,))
        force = limits.configure(snapshot, {}, self.now)
        assert force.gates is not None
        pod = Pod(name, limits, force.gates[self.provider.id], self.now + self.random.random(), rate)
        self.pods.append(pod)
        if not self.away:
            self._link(pod)
        return pod

    def _link(self, pod: Pod) -> None:
        pod.limits.attach(attached=True)
        pod.report_at = self.now + self.random.random() * 0.1
        self.shares.greet(pod.id, keeps_parts=True)
        self._divide()
        self._send(pod, self._state(), at_once=True)

    def kill(self, pod: Pod) -> None:
        """End a pod."""
        self.pods.remove(pod)
        self.past += pod.done
        self.shares.gone(pod.id, self.now)
        self._told.pop(pod.id, None)

    # -------------------------------------------------------------------- time
    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / STEP_S)):
            self.step()

    def step(self) -> None:
        """Let a tenth of a second pass."""
        before, self.now = self.now, self.now + STEP_S
        self._deliver()
        for pod in self.random.sample(self.pods, len(self.pods)):
            pod.owed += pod.rate * STEP_S * (0.5 + self.random.random())
            while pod.owed >= 1:
                pod.owed -= 1
                self.ask(pod)
        if self.away:
            return
        wants = False
        for pod in self.pods:
            if pod.report_at <= self.now and pod.linked:
                pod.report_at = self.now + 1.0
                wants |= self._report(pod)
        if wants or int(self.now) != int(before):
            self._divide()

    def ask(self, pod: Pod) -> bool:
        """Let a pod send one request, if its gate lets it."""
        if pod.gate.limited(TOKENS, self.now):
            pod.refused += 1
            return False
        pod.gate.take(self.target, TOKENS, self.now).settle(TOKENS, 0, self.now)
        pod.done.append(self.now)
        return True

    # ---------------------------------------------------------------- operator
    def _report(self, pod: Pod) -> bool:
        taken: dict[str, Taken] = pod.limits.taken(self.now)[0]
        return self.shares.hear(
            pod.id, self.group, {("provider", name): told for name, told in taken.items()}, self.now
        )

    def _divide(self) -> None:
        changed = self.shares.divide(lambda _: len(self.pods), self.now)
        for pod in self.pods:
            if pod.id in changed:
                told = self.shares.parts(pod.id)
                parts = {name: part for (_, name), part in (told or {}).items()}
                if self._told.get(pod.id) != parts:
                    self._told[pod.id] = parts
                    self._sequence += 1
                    self._send(pod, PartsPush(position=Position(1, self._sequence), providers=parts))
        floor = self.shares.floors.get(self.owner)
        if floor != self._floor:
            self._floor = floor
            self.state_changes += 1
            for pod in self.pods:
                self._send(pod, self._state())

    def _state(self) -> StatePush:
        floors = {} if self._floor is None else {self.provider.id: self._floor}
        utc = NOON + timedelta(seconds=self.now)
        return StatePush(position=Position(1, 1), sent_at_utc=utc, state=FleetState(floors=floors))

    def _send(self, pod: Pod, push: StatePush | PartsPush, *, at_once: bool = False) -> None:
        self.pushes += 1
        self._wire.append((self.now if at_once else self.now + self.delay_s, pod, push))
        if at_once:
            self._deliver()

    def _deliver(self) -> None:
        due = [one for one in self._wire if one[0] <= self.now and one[1].linked]
        self._wire = [one for one in self._wire if one not in due]
        for _, pod, push in due:
            if isinstance(push, StatePush):
                pod.limits.adopt(push, self.now)
            else:
                pod.limits.keep(push)

    # ------------------------------------------------------------------- facts
    def worst_minute(self, since: float) -> int:
        """Return the most that passed in any sixty seconds that began after `since`."""
        times = sorted(at for at in [*self.past, *(at for pod in self.pods for at in pod.done)] if at > since)
        worst, begin = 0, 0
        for end, at in enumerate(times):
            while times[begin] <= at - 60.0:
                begin += 1
            worst = max(worst, end - begin + 1)
        return worst
