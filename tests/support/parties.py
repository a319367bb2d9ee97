"""A game in tenths of a second: sidecars with traffic, a provider that refuses for a while, an operator.

Links take time and break. The operator is anything that plays `Operator`: a stand-in or the real fleet.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Protocol

from cliproxy_api.report import Report, Trying
from cliproxy_api.snapshot import Position
from cliproxy_api.state import FleetState, StatePush
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.outcome import SUCCESS
from cliproxy_sidecar.core.permit import Permit
from support.cooling import KEY, SENT, failed, provider, rules, target

STEP_S = 0.1
RAMP_STEP_S = 2.0
PROVIDER = provider(
    # Out of reach: a burst of refusals without a hint is to end in a pause here, not in ten minutes.
    cooldown=rules(error_threshold=100, recovery={"check_interval_s": RAMP_STEP_S, "backoff_s": 3.0})
)
TARGET = target(PROVIDER)


class Operator(Protocol):
    """Whoever merges what sidecars tell; time is seconds since the game began."""

    def greeted(self, name: str, trying: tuple[Trying, ...], now: float) -> None: ...
    def gone(self, name: str, now: float) -> None: ...
    def hear(self, name: str, report: Report, now: float) -> None: ...
    def tick(self, now: float) -> None: ...
    def state(self) -> FleetState: ...


@dataclass(eq=False)
class Sidecar:
    """One pod: its machine, its link, its attempts under way."""

    name: str
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

    def __init__(
        self, names: Sequence[str], operator: Operator, *, seed: int, delay_s: float, latency_s: float
    ) -> None:
        self.now, self.delay_s, self.latency_s = 0.0, delay_s, latency_s
        self.operator = operator
        self._sent = FleetState()
        chance = Random(seed)  # noqa: S311 - no secret
        self.sidecars = [Sidecar(name, Cooldowns(sidecar=name, chance=chance)) for name in names]
        for number, sidecar in enumerate(self.sidecars):
            sidecar.cooldowns.configure((PROVIDER,), 0.0)
            sidecar.delay_s = delay_s
            self.link(number, up=True)
        self.open_at = 0.0
        self.hint_s: float | None = None
        self.asked: list[float] = []
        self.refused: list[float] = []

    def run(self, until: float) -> None:
        while self.now < until:
            self.now = round(self.now + STEP_S, 6)
            self._operate()
            for sidecar in self.sidecars:
                self._serve(sidecar)

    def link(self, number: int, *, up: bool) -> None:
        sidecar = self.sidecars[number]
        sidecar.link(self.now, up=up)
        if not up:
            self.operator.gone(sidecar.name, self.now)
        else:
            self.operator.greeted(sidecar.name, sidecar.cooldowns.trying(self.now), self.now)
            sidecar.inbox.append((self.now, self._document()))

    def under_way(self) -> int:
        return sum(len(sidecar.under_way) for sidecar in self.sidecars)

    def is_well(self) -> bool:
        return not self.operator.state().cooldowns and all(one.cooldowns.is_idle for one in self.sidecars)

    def _operate(self) -> None:
        for sidecar in self.sidecars:
            while sidecar.outbox and sidecar.outbox[0][0] <= self.now:
                self.operator.hear(sidecar.name, sidecar.outbox.popleft()[1], self.now)
        self.operator.tick(self.now)
        state = self.operator.state()
        if state != self._sent:
            self._sent = state
            for sidecar in self.sidecars:
                if sidecar.attached:
                    sidecar.inbox.append((self.now + self.delay_s, self._document()))

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

    def _document(self) -> StatePush:
        sent = SENT + timedelta(seconds=self.now)
        return StatePush(position=Position(1, 1), sent_at_utc=sent, state=self.operator.state())
