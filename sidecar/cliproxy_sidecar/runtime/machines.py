"""The one host of the sans-IO machines: gives them the time, carries their reports, arms their timer.

Data path, prober and admin ask here; what the answers are is the machines' business. Nothing but `change`
awaits, so every step is whole.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_api.report import Probed, Report, Traffic, Trying
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import PartsPush, StatePush
from cliproxy_sidecar.core.allowances import Allowances
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.decisions import Decisions
from cliproxy_sidecar.core.health import Health
from cliproxy_sidecar.core.limits.limits import Limits
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.permit import ActiveCooldown, Permit
from cliproxy_sidecar.core.remaining import remaining
from cliproxy_sidecar.core.retry_budget import FurtherAttempts
from cliproxy_sidecar.core.selection import Chooser
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.core.windows import TrafficWindows
from cliproxy_sidecar.runtime.clock import now_s, request_id, secret_bytes, utc_now
from cliproxy_sidecar.runtime.timers import WakeTimer
from cliproxy_sidecar.runtime.transitions import Transitions

LOOK_S: Final = 0.01
"""From a step to its log line: while a scope comes back, every request is a step."""


class Machines:
    """Cooldowns, health and traffic of all providers."""

    def __init__(self, *, sidecar: str, chance: Chance, tell: Callable[[Iterable[Report]], None]) -> None:
        self.sidecar = sidecar
        self.chance = chance
        self.cooldowns = Cooldowns(sidecar=sidecar, chance=chance)
        self.allowances = Allowances()
        self.decisions = Decisions()
        self.health = Health(sidecar=sidecar)
        self.limits = Limits(salt=secret_bytes(), boot=request_id(), now=now_s(), utc=utc_now())
        self.windows = TrafficWindows()
        self.providers: tuple[Provider, ...] = ()
        self.chooser: Chooser | None = None
        """The newest plan's, for people to look at."""
        self.further_attempts = FurtherAttempts()
        self.waiting = 0
        """Requests that wait for a change."""
        self._tell = tell
        self._probed: dict[str, Probed] = {}
        self._change = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer = WakeTimer(self._loop, self._woken)
        self._transitions = Transitions()
        self._looks = False
        """A look at what has changed is on its way."""

    # --------------------------------------------------------------- attempts
    def began(self, permit: Permit) -> None:
        """Tell the operator if this attempt is the fleet's trial."""
        if permit.reports:
            self._tell(permit.reports)

    def force(self, target: Target, now: float) -> Permit:
        """Let an attempt through whatever cools; the permit wants `settle`, once."""
        permit = self.cooldowns.force(target, now)
        self.began(permit)
        return permit

    def answered(self, permit: Permit) -> None:
        """Note that good content has begun to come; the permit still wants `settle`."""
        if permit.trials:
            now = now_s()
            self._moved(self.cooldowns.answered(permit, now), now)

    def settle(self, permit: Permit, outcome: Outcome, scopes: tuple[Scope, ...], now: float) -> None:
        """Say how an attempt ended."""
        reports = self.cooldowns.settle(permit, outcome, scopes, now)
        if reports or permit.trials:
            self._moved(reports, now)
        elif self.waiting and permit.passage is not None:
            self._let_look()

    def heard(self, target: Target, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Take an answer's word on what is left of the provider's limits; a few times a second per target."""
        now = now_s()
        if self.allowances.is_due(target.id, now):
            self.allowances.read(target.id, headers, now, utc_now)
            self.windows.of(target.provider_id).remain(*remaining(headers))

    async def change(self) -> None:
        """Wait until something about the machines has changed: a target may have come back."""
        self.waiting += 1
        try:
            await self._change.wait()
        finally:
            self.waiting -= 1

    # --------------------------------------------------------------- operator
    def configure(self, providers: tuple[Provider, ...]) -> None:
        """Take a new snapshot's providers."""
        now = now_s()
        self.providers = providers
        self.cooldowns.configure(providers, now)
        self.health.configure(providers)
        known = {provider.id for provider in providers}
        self.windows.configure(known)
        self._probed = {name: probed for name, probed in self._probed.items() if name in known}
        self._moved((), now)

    def adopt(self, push: StatePush) -> None:
        """Take the fleet's word."""
        now = now_s()
        reports = self.cooldowns.adopt(push, now)
        self.health.adopt(push.state)
        self.limits.adopt(push, now)
        self._moved(reports, now)

    def keep(self, push: PartsPush) -> None:
        """Take our parts of limits that the fleet shares."""
        self.limits.keep(push)
        if self.waiting:
            self._let_look()

    def led_anew(self) -> None:
        """Note that another leader leads, who may not know what the one before had been told."""
        self.cooldowns.led_anew(now_s())

    def attach(self, attached: bool) -> None:  # noqa: FBT001 -- the one thing it says
        """Note whether the operator listens."""
        now = now_s()
        self.cooldowns.attach(attached, now)
        self.health.attach(attached)
        self.limits.attach(attached)
        self._moved((), now)

    def trying(self) -> tuple[Trying, ...]:
        """Return the half-open trials that are under way."""
        return self.cooldowns.trying(now_s())

    def standing(self) -> tuple[Report, ...]:
        """Return what is true and the operator may not know."""
        now = now_s()
        # What others have to probe they tell: each result counts once.
        probed = (probed for name, probed in self._probed.items() if not self.health.stands_in(name))
        return (*self.cooldowns.standing_reports(now), *probed, *self.limits.standing(now))

    def traffic(self) -> Traffic:
        """Return the last minute of all providers, and what is taken of shared limits."""
        now = now_s()
        taken, consumers = self.limits.taken(now)
        return Traffic(providers=self.windows.traffic(now), taken=taken, consumers_taken=consumers)

    def used(self) -> tuple[Report, ...]:
        """Return what was used since the operator was told last."""
        return self.limits.reports(now_s(), utc_now())

    # ----------------------------------------------------------- probes, people
    def probed(self, provider: Provider, *, ok: bool, latency_ms: int, error: str) -> None:
        """Take the end of one probe."""
        now = now_s()
        healthy = self.health.record(provider.id, ok=ok, now=now, error=error)
        report = Probed(provider=provider.id, ok=ok, healthy=healthy, latency_ms=latency_ms, error=error)
        self._probed[provider.id] = report
        self._moved((report,), now)

    def cool(self, provider_id: str, duration_s: float, reason: str) -> None:
        """Cool a provider in the whole fleet because a person says so."""
        now = now_s()
        self._moved(self.cooldowns.cooldown(provider_id, duration_s, reason, now), now)

    def recover(self, provider_id: str, by: str) -> None:
        """End all cooldowns of a provider because a person says so."""
        now = now_s()
        self._moved(self.cooldowns.recover(provider_id, by, now), now)

    def active(self) -> tuple[ActiveCooldown, ...]:
        """Return every scope that is not closed."""
        return self.cooldowns.active(now_s())

    # ------------------------------------------------------------------- time
    def _moved(self, reports: Iterable[Report], now: float) -> None:
        self._tell(reports)
        self._timer.arm(self.cooldowns.wake_at(), now)
        if not self._looks:
            self._looks = True
            self._loop.call_later(LOOK_S, self._look)
        if self.waiting:
            self._let_look()

    def _let_look(self) -> None:
        """Wake all who wait for a change."""
        self._change.set()
        self._change = asyncio.Event()

    def _look(self) -> None:
        self._looks = False
        now = now_s()
        self._transitions.look(self.cooldowns.active(now), self.health.unhealthy, now)

    def _woken(self) -> None:
        now = now_s()
        self.cooldowns.advance(now)
        self._moved((), now)
