"""The fleet's decisions on cooldown and health: merges what all sidecars tell, hands out trials and probes.

Instants are aware UTC datetimes of the operator's clock, since deadlines are persisted in status. Nothing
here waits: `wake_at` says when to `tick`. A provider's cooldowns are in `fleet_provider`, those kept to one
sidecar in `fleet_local`, health in `fleet_health`, who tries and who probes in `fleet_duty`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import assert_never

from cliproxy_api.chance import Chance
from cliproxy_api.report import (
    Applied,
    Failed,
    Heartbeat,
    Hello,
    Probed,
    Recovered,
    Report,
    Traffic,
    TrialSettled,
    TrialStarted,
    Tripped,
    Trying,
    Used,
)
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import FleetCooldown, FleetState
from cliproxy_api.vocabulary import CooldownScope
from cliproxy_operator.fleet_duty import Duty
from cliproxy_operator.fleet_health import ProviderHealth
from cliproxy_operator.fleet_local import LocalCooldowns, is_own, own
from cliproxy_operator.fleet_provider import ProviderCooldowns
from cliproxy_operator.fleet_restore import read_cooldown
from cliproxy_operator.instants import later, read_instant
from cliproxy_operator.view import HealthView, SidecarId


@dataclass(frozen=True, slots=True)
class _Known:
    cooldowns: ProviderCooldowns
    health: ProviderHealth


class Fleet:
    """Cooldowns and health of all providers, over all sidecars of all namespaces."""

    def __init__(self, *, chance: Chance) -> None:
        """Begin with nothing known; `chance` gives jitter."""
        self._chance = chance
        self._known: dict[str, _Known] = {}
        self._duty = Duty()
        self._local = LocalCooldowns()
        self._due: datetime | None = None
        self._due_known = True

    def configure(self, providers: Mapping[str, Provider], now_utc: datetime) -> bool:
        """Take the enabled and accepted providers, by id; return whether any state document changed.

        State of providers that are gone is dropped. A changed key ends the credential's Auth and QuotaMoney
        cooldowns; a changed address ends all that failures started.
        """
        changed = self._begin(now_utc)
        for provider_id in [known for known in self._known if known not in providers]:
            del self._known[provider_id]
            self._local.drop(provider_id)
            changed = True
        for provider_id, provider in providers.items():
            changed |= self._configure(provider_id, provider, now_utc)
        return self._assign() or changed

    def restore(self, provider_id: str, status: LLMProviderStatus, now_utc: datetime) -> bool:
        """Take over cooldowns and health that an earlier leader wrote; after `configure`, before `hear`.

        `until` stays as it is written. Merges with what is known already; unknown providers are ignored.
        """
        self.tick(now_utc)
        known = self._known.get(provider_id)
        if known is None:
            return False
        known.cooldowns.recovered = later(known.cooldowns.recovered, read_instant(status.last_recovered_time))
        rules = known.cooldowns.provider.cooldown
        shared = rules.enabled and rules.scope is CooldownScope.FLEET
        changed = False
        for written in status.cooldowns:
            restored = read_cooldown(provider_id, written, now_utc)
            if restored is not None and (shared or written.class_ is None):
                changed |= known.cooldowns.restore(restored, now_utc)
        changed |= known.health.restore(status, known.cooldowns.provider.health_check, now_utc)
        self._sooner(known)
        return self.tick(now_utc) or changed  # what is over is not told as if it still cooled

    def expect(self, sidecars: Iterable[tuple[SidecarId, frozenset[str] | None]], now_utc: datetime) -> None:
        """Note all sidecars that an earlier leader may have permitted a trial, and their providers (ids).

        After `restore`, before the first is heard. A provider that one of them may be trying is nobody's to
        try before that one has greeted or is forgotten, or its trial would have taken too long. None: its
        providers are not known.
        """
        for sidecar, providers in sidecars:
            self._duty.expect(sidecar, providers, now_utc)

    def greeted(
        self, sidecar: SidecarId, providers: frozenset[str], trying: tuple[Trying, ...], now_utc: datetime
    ) -> bool:
        """Note that a link stands, and the trials under way there; as `present`."""
        self._duty.heard(sidecar)
        tried: dict[str, list[Trying]] = {}
        for one in trying:
            tried.setdefault(one.scope.provider, []).append(one)
        for provider_id, its in tried.items():
            if (known := self._known.get(provider_id)) is not None:
                known.cooldowns.greeted(sidecar, its, now_utc)
        for known in self._cooling(providers - tried.keys()):
            known.cooldowns.greeted(sidecar, (), now_utc)
        changed = self.present(sidecar, providers, now_utc)
        for known in self._cooling(providers | tried.keys()):
            changed |= known.cooldowns.share(now_utc)
            self._sooner(known)
        return changed

    def forget(self, sidecar: SidecarId, now_utc: datetime) -> bool:
        """Note that a sidecar is no more, nor the trials that it had under way; after `gone`."""
        changed = self._begin(now_utc)
        self._duty.heard(sidecar)
        for known in self._cooling(self._known):
            changed |= known.cooldowns.forget(sidecar, now_utc)
        return changed

    def present(self, sidecar: SidecarId, providers: frozenset[str], now_utc: datetime) -> bool:
        """Note that a sidecar's report stream is read, and which providers (ids) its snapshot holds."""
        before = self._duty.serves(sidecar)
        if before == providers and self._duty.is_present(sidecar):
            return self.tick(now_utc)
        changed = self.tick(now_utc)
        self._duty.present(sidecar, providers)
        lost, new = before - providers, providers - before
        for known in self._cooling(lost):
            changed |= known.cooldowns.went(sidecar, now_utc, linked=True)
            self._sooner(known)
        for known in self._cooling(new):
            changed |= known.cooldowns.came(now_utc)
            self._sooner(known)
        if lost or self._is_unprobed(new):
            changed |= self._assign()
        return changed

    def gone(self, sidecar: SidecarId, now_utc: datetime) -> bool:
        """Note that a sidecar's stream has ended: its duties go to others."""
        changed = self._begin(now_utc)
        before = self._duty.serves(sidecar)
        self._duty.gone(sidecar)
        self._local.gone(sidecar)
        for known in self._cooling(before):
            changed |= known.cooldowns.went(sidecar, now_utc, linked=False)
        return self._assign() or changed

    def hear(self, sidecar: SidecarId, report: Report, now_utc: datetime) -> bool:
        """Take one report; return whether any state document changed. Unknown providers are ignored."""
        changed = self.tick(now_utc)
        match report:
            case Tripped() | Failed() | TrialStarted() | TrialSettled():
                known = self._known.get(report.scope.provider)
                if known is None:
                    return changed
                changed |= self._scoped(known, sidecar, report, now_utc)
                self._sooner(known)
                return changed
            case Recovered():
                before = self.recovered(report.provider)
                changed |= self.recover(report.provider, now_utc)
                return changed or self.recovered(report.provider) != before
            case Probed():
                return self._probed(report, now_utc) or changed
            case Traffic():
                used = [id_ for id_, traffic in report.providers.items() if traffic.requests > 0]
                self._duty.used(sidecar, used, now_utc)
                return changed
            case Hello() | Applied() | Used() | Heartbeat():
                return changed
            case _:
                assert_never(report)

    def tick(self, now_utc: datetime) -> bool:
        """Move on what is due; return whether any state document changed. Cheap if nothing is."""
        due = self.wake_at()
        if due is None or now_utc < due:
            return False
        self._due_known = False
        changed = False
        for known in self._known.values():
            changed |= known.cooldowns.advance(now_utc)
            changed |= known.health.expire(now_utc)
        self._local.expire(now_utc)
        return changed

    def wake_at(self) -> datetime | None:
        """Return when the next `tick` has something to do; None: not before something happens."""
        if not self._due_known:
            instants = [self._local.wake_at()]
            for known in self._known.values():
                instants += [known.cooldowns.wake_at(), known.health.expires_at()]
            self._due = min((instant for instant in instants if instant is not None), default=None)
            self._due_known = True
        return self._due

    def knows(self, provider_id: str) -> bool:
        """Whether a provider is enabled and accepted."""
        return provider_id in self._known

    def cooldown(self, provider_id: str, duration_s: float, reason: str, now_utc: datetime) -> bool:
        """Cool a whole provider because a person says so; return whether anything changed.

        Unknown providers are ignored; a later deadline that is in force already stays.
        """
        self._begin(now_utc)
        known = self._known.get(provider_id)
        return known is not None and known.cooldowns.manual(duration_s, reason, now_utc)

    def recover(self, provider_id: str, now_utc: datetime) -> bool:
        """End all cooldowns of a provider at once, without trial or ramp; whether there were any."""
        self._begin(now_utc)
        self._local.drop(provider_id)
        known = self._known.get(provider_id)
        return known is not None and known.cooldowns.recover(now_utc)

    def recovered(self, provider_id: str) -> datetime | None:
        """Return when a person last ended all cooldowns of a provider."""
        known = self._known.get(provider_id)
        return known.cooldowns.recovered if known is not None else None

    def state(self, namespace: str, providers: frozenset[str]) -> FleetState:
        """Return the document for a namespace's sidecars, whose snapshots hold these providers (ids).

        Sidecars are named by pod. One of another namespace appears as "namespace/pod", which no pod's name
        can equal.
        """
        theirs = {
            provider_id: self._known[provider_id] for provider_id in sorted(providers & set(self._known))
        }
        probes = self._duty.probes
        return FleetState(
            cooldowns=tuple(one for known in theirs.values() for one in known.cooldowns.shown(namespace)),
            unhealthy=tuple(id_ for id_, known in theirs.items() if known.health.healthy is False),
            probes={id_: probes[id_].seen_from(namespace) for id_ in theirs if id_ in probes},
            recovered={id_: at for id_, known in theirs.items() if (at := known.cooldowns.recovered)},
        )

    def cooldowns(self, provider_id: str) -> tuple[FleetCooldown, ...]:
        """Return a provider's cooldowns for status, sorted by scope."""
        known = self._known.get(provider_id)
        return known.cooldowns.shown(None) if known is not None else ()

    def local_cooldowns(self, provider_id: str) -> tuple[FleetCooldown, ...]:
        """Return cooldowns that a policy keeps to single sidecars, the last to end first."""
        return self._local.of(provider_id)

    def health(self, provider_id: str, now_utc: datetime) -> HealthView:
        """Return what probes have told."""
        known = self._known.get(provider_id)
        return known.health.view(now_utc) if known is not None else HealthView()

    def trips_last_day(self, provider_id: str, now_utc: datetime) -> int:
        """Return how many cooldowns of the provider began in the last 24 hours (since this leader began)."""
        known = self._known.get(provider_id)
        return known.cooldowns.trips.total(now_utc) if known is not None else 0

    def _sooner(self, known: _Known) -> None:
        """Take note that one provider may be due sooner than all.

        That it is due later is found out at the old instant, in vain and once. A new leader takes over
        hundreds of providers and then hears of hundreds of sidecars; looking at all providers for each of
        either would take seconds.
        """
        instants = (self._due, self._local.wake_at(), known.cooldowns.wake_at(), known.health.expires_at())
        self._due = min((instant for instant in instants if instant is not None), default=None)

    def _begin(self, now: datetime) -> bool:
        """Tick before a change; the next due instant is to be found anew after it."""
        changed = self.tick(now)
        self._due_known = False
        return changed

    def _cooling(self, providers: Iterable[str]) -> list[_Known]:
        """Return those of which something is out of use or on its way back."""
        known = (self._known[id_] for id_ in providers if id_ in self._known)
        return [one for one in known if not one.cooldowns.is_idle]

    def _is_unprobed(self, providers: frozenset[str]) -> bool:
        """Whether any of these wants a probe that nobody has; hundreds of sidecars come at once."""
        probes, known = self._duty.probes, self._known
        return any(
            id_ not in probes and id_ in known and known[id_].cooldowns.provider.health_check.enabled
            for id_ in providers
        )

    def _configure(self, provider_id: str, provider: Provider, now: datetime) -> bool:
        known = self._known.get(provider_id)
        if known is None:
            pick = partial(self._duty.pick, provider_id)
            unheard = partial(self._duty.unheard, provider_id)
            cooldowns = ProviderCooldowns(provider, pick=pick, chance=self._chance, unheard=unheard)
            self._known[provider_id] = _Known(cooldowns=cooldowns, health=ProviderHealth())
            return False
        before = known.cooldowns.provider
        changed = known.cooldowns.configure(provider, now)
        if not provider.health_check.enabled or provider.base_url != before.base_url:
            changed |= known.health.forget()
        return changed

    def _scoped(
        self,
        known: _Known,
        sidecar: SidecarId,
        report: Tripped | Failed | TrialStarted | TrialSettled,
        now: datetime,
    ) -> bool:
        self._duty.used(sidecar, (report.scope.provider,), now)
        cooldowns = known.cooldowns
        match report:
            case Tripped() if is_own(report, cooldowns.provider):
                if cooldowns.is_over(report, now):
                    return False
                self._local.put(sidecar, own(report, sidecar, cooldowns.provider, now))
                return False
            case Tripped():
                return cooldowns.tripped(report, sidecar, now)
            case Failed():
                return cooldowns.failed(report, sidecar, now)
            case TrialStarted():
                return cooldowns.started(report, sidecar, now)
            case TrialSettled():
                return cooldowns.settled(report, sidecar, now)
            case _:
                assert_never(report)

    def _probed(self, report: Probed, now: datetime) -> bool:
        known = self._known.get(report.provider)
        if known is None or not known.cooldowns.provider.health_check.enabled:
            return False
        changed = known.health.record(report, known.cooldowns.provider.health_check, now)
        # A verdict can be "healthy" while this probe failed: only a passed one proves that it is back.
        back = report.healthy and report.ok
        changed |= known.cooldowns.probed(healthy=back, now=now)
        self._sooner(known)
        return changed

    def _assign(self) -> bool:
        return self._duty.assign(
            provider_id
            for provider_id, known in self._known.items()
            if known.cooldowns.provider.health_check.enabled
        )
