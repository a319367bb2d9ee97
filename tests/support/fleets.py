"""A Fleet with a clock of its own, for tests: time is moved by hand, reports are short to write."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cliproxy_api.report import Failed, Probed, Report, TrialSettled, TrialStarted, Tripped, Trying
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import Evidence, FleetCooldown
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass
from cliproxy_operator.fleet import Fleet
from cliproxy_operator.view import SidecarId
from support.cooling import Scripted, provider

BEGIN = datetime(2026, 11, 30, 12, tzinfo=UTC)
WEB_0, WEB_1, WEB_2 = (SidecarId("ns", f"web-{number}") for number in range(3))
KEY = Scope(provider="ns/p", credential="k", model="up")
WHOLE = Scope(provider="ns/p")


class TimedFleet:
    """A fleet of some providers, "ns/p" unless told otherwise, and connected sidecars."""

    def __init__(self, *providers: Provider, sidecars: Iterable[SidecarId] = (WEB_0,)) -> None:
        self.now = BEGIN
        self.chance = Scripted()
        self.fleet = Fleet(chance=self.chance)
        self.providers = {one.id: one for one in providers or (provider(),)}
        self.fleet.configure(self.providers, self.now)
        for sidecar in sidecars:
            self.present(sidecar)

    def present(self, sidecar: SidecarId) -> bool:
        return self.fleet.present(sidecar, frozenset(self.providers), self.now)

    def greeted(self, sidecar: SidecarId, *trying: Trying) -> bool:
        return self.fleet.greeted(sidecar, frozenset(self.providers), trying, self.now)

    def gone(self, sidecar: SidecarId) -> bool:
        return self.fleet.gone(sidecar, self.now)

    def configure(self, *providers: Provider) -> bool:
        self.providers = {one.id: one for one in providers}
        return self.fleet.configure(self.providers, self.now)

    def hear(self, report: Report, sidecar: SidecarId = WEB_0) -> bool:
        return self.fleet.hear(sidecar, report, self.now)

    def wait(self, seconds: float) -> bool:
        """Move on in time, ticking whenever the fleet asks for it; return whether anything changed."""
        end = self.now + timedelta(seconds=seconds)
        changed = False
        while (wake := self.fleet.wake_at()) is not None and wake <= end:
            self.now = max(self.now, wake)
            changed |= self.fleet.tick(self.now)
        self.now = end
        return self.fleet.tick(self.now) or changed

    def one(self, provider_id: str = "ns/p") -> FleetCooldown:
        """Return the only cooldown of a provider."""
        (only,) = self.fleet.cooldowns(provider_id)
        return only

    def phase(self, provider_id: str = "ns/p") -> CooldownPhase | None:
        """Return the phase of the only cooldown, None if there is none."""
        cooldowns = self.fleet.cooldowns(provider_id)
        return cooldowns[0].phase if cooldowns else None

    def seconds(self, moment: datetime) -> float:
        """Return an instant as seconds from the beginning."""
        return (moment - BEGIN).total_seconds()


def tripped(
    remaining_s: float = 10.0,
    *,
    scope: Scope = KEY,
    level: int = 0,
    cls: OutcomeClass | None = OutcomeClass.RATE_LIMITED,
    fleet: bool = True,
    reason: str = "429",
    age_s: float = 0.0,
) -> Tripped:
    evidence = Evidence(status=429, code="c" * 200, header="h" * 200)
    return Tripped(
        scope=scope,
        outcome_class=cls,
        reason=reason,
        remaining_s=remaining_s,
        level=level,
        fleet=fleet,
        evidence=evidence,
        age_s=age_s,
    )


def counted(count: int = 1, *, scope: Scope = KEY, cls: OutcomeClass = OutcomeClass.SERVER_ERROR) -> Failed:
    return Failed(scope=scope, outcome_class=cls, count=count, evidence=Evidence(status=500))


def started(level: int = 0, scope: Scope = KEY) -> TrialStarted:
    return TrialStarted(scope=scope, level=level)


def trying(age_s: float = 0.0, level: int = 0, scope: Scope = KEY) -> Trying:
    return Trying(scope=scope, level=level, age_s=age_s)


def settled(level: int = 0, scope: Scope = KEY) -> TrialSettled:
    return TrialSettled(scope=scope, level=level)


def probed(*, ok: bool = True, healthy: bool | None = None, provider_id: str = "ns/p") -> Probed:
    verdict = ok if healthy is None else healthy
    return Probed(provider=provider_id, ok=ok, healthy=verdict, latency_ms=5, error="" if ok else "refused")
