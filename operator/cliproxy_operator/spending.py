"""Hosts the sums of what the fleet uses: hears reports, has leases pushed, gives status its figures.

What is added up is `money.totals`'s, what sidecars are told `money.leases`'s, the words are `money.shown`'s.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from cliproxy_api.report import Traffic, Used
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.llmprovider_status import CostStatus, LLMProviderStatus, QuotaStatus
from cliproxy_api.resources.parse import ParseFailure
from cliproxy_api.resources.proxyprofile import ConsumerSpent, ProxyProfile, ProxyProfileStatus
from cliproxy_api.snapshot import Consumer, Provider
from cliproxy_operator.clock import Clock
from cliproxy_operator.compile import Compiled
from cliproxy_operator.money.figures import Figures
from cliproxy_operator.money.leases import Leases, budget_used, leases
from cliproxy_operator.money.shares import Shares
from cliproxy_operator.money.shown import (
    consumers_status,
    cost_status,
    quota_status,
    restore_consumers,
    restore_provider,
)
from cliproxy_operator.money.totals import Group, Key, Owner, Totals
from cliproxy_operator.tasks import happens
from cliproxy_operator.view import SidecarId

LEASE_S: Final = 1.0
"""Between two looks at what sidecars should be told."""
REST_S: Final = 0.2
"""Even if somebody waits for a part: others come meanwhile, and are told in the same round."""
_NOTHING: Final = Leases()


class Spending:
    """The sums of this leadership, and what follows from them."""

    def __init__(
        self,
        *,
        clock: Clock,
        on_leases: Callable[[], None],
        on_day: Callable[[], None],
        on_parts: Callable[[Iterable[SidecarId]], None],
        sidecars: Callable[[Owner], int],
    ) -> None:
        """`on_leases` is called when some namespace's state document must be sent again.

        `on_day` is called at midnight UTC: what status shows of a day is another day's then. `on_parts` is
        called with the sidecars that are to be told other parts. `sidecars` says how many could use an
        owner's limits.
        """
        self._on_parts = on_parts
        self._wake = asyncio.Event()
        self._on_day = on_day
        self._sidecars = sidecars
        self._clock = clock
        self._on_leases = on_leases
        self._providers: dict[str, Mapping[str, Provider]] = {}
        self._consumers: dict[str, Mapping[str, tuple[Consumer, ...]]] = {}
        self._told: dict[str, Leases] = {}
        self.totals = Totals(clock.utc())
        self._shares = Shares(clock.now())

    def reset(self) -> None:
        """Forget everything, as before a new leadership."""
        self._providers.clear()
        self._consumers.clear()
        self._told.clear()
        self.totals = Totals(self._clock.utc())
        self._shares = Shares(self._clock.now())

    # ----------------------------------------------------------- configuration
    def configure(self, namespace: str, compiled: Compiled) -> None:
        """Take what a namespace came to."""
        self._providers[namespace] = compiled.providers
        self._consumers[namespace] = {
            name: snapshot.profile.consumers
            for name, snapshot in compiled.snapshots.items()
            if snapshot.profile.consumers
        }
        self._shares.configure(self._limited())
        self._divide()
        self._lease(namespace)

    def drop(self, namespace: str) -> None:
        """A namespace holds nothing of ours any more."""
        self._providers.pop(namespace, None)
        self._consumers.pop(namespace, None)
        self._told.pop(namespace, None)
        self._shares.configure(self._limited())

    def _limited(self) -> Iterator[Owner]:
        """Whose rates the fleet shares."""
        for providers in self._providers.values():
            for name, provider in providers.items():
                if provider.rate_limit is not None:
                    yield ("provider", name)
        for namespace, profiles in self._consumers.items():
            for profile, members in profiles.items():
                for consumer in members:
                    if consumer.rate_limit is not None:
                        yield ("consumer", f"{namespace}/{profile}/{consumer.name}")

    def restore(
        self,
        namespace: str,
        providers: Iterable[LLMProvider | ParseFailure],
        profiles: Iterable[ProxyProfile | ParseFailure],
    ) -> None:
        """Take over what an earlier leader wrote into a namespace's objects; after `configure`."""
        now_utc = self._clock.utc()
        known = self._providers.get(namespace, {})
        for provider in providers:
            if isinstance(provider, LLMProvider) and provider.metadata.namespace == namespace:
                provider_id = f"{namespace}/{provider.metadata.name}"
                quota = known[provider_id].quota if provider_id in known else None
                restore_provider(self.totals, provider_id, quota, provider.status, now_utc)
        for profile in profiles:
            if isinstance(profile, ProxyProfile):
                restore_consumers(self.totals, namespace, profile.metadata.name, profile.status, now_utc)
        self._lease(namespace)

    # ----------------------------------------------------------------- reports
    def hear(self, sidecar: SidecarId, profile: str, held: frozenset[str], report: Used) -> frozenset[Owner]:
        """Take one report of a sidecar whose snapshot holds these providers; return whose sums changed."""
        return self.totals.hear(sidecar, self._group(sidecar, profile, held), report, self._clock.utc())

    def _group(self, sidecar: SidecarId, profile: str, held: frozenset[str]) -> Group:
        members = self._consumers.get(sidecar.namespace, {}).get(profile, ())
        return Group(profile, held, frozenset(consumer.name for consumer in members))

    def greeted(self, sidecar: SidecarId, *, keeps_parts: bool) -> None:
        """A sidecar is linked; what it is told first must not be what others of its kind understand only."""
        before = self._shares.by_demand
        self._shares.greet(sidecar, keeps_parts=keeps_parts)
        self._wake.set()
        if before is not self._shares.by_demand:
            for namespace in list(self._providers):
                self._lease(namespace)
            self._on_leases()

    def take(self, sidecar: SidecarId, profile: str, held: frozenset[str], report: Traffic) -> None:
        """Take what a sidecar says of limits that the fleet shares."""
        group = self._group(sidecar, profile, held)
        taken = {("provider", name): told for name, told in report.taken.items() if name in held}
        for name, told in report.consumers_taken.items():
            if name in group.consumers:
                taken["consumer", f"{sidecar.namespace}/{profile}/{name}"] = told
        if self._shares.hear(sidecar, group, taken, self._clock.now()):
            self._wake.set()

    def parts(self, sidecar: SidecarId) -> tuple[dict[str, int], dict[str, int]] | None:
        """Return a sidecar's parts of limits by provider id, and by consumer's name; None: not heard yet."""
        told = self._shares.parts(sidecar)
        if told is None:
            return None
        providers = {name: part for (kind, name), part in told.items() if kind == "provider"}
        consumers = {
            name.rpartition("/")[2]: part for (kind, name), part in told.items() if kind == "consumer"
        }
        return providers, consumers

    def gone(self, sidecar: SidecarId) -> None:
        """A pod is gone."""
        self.totals.forget(sidecar)
        self._shares.gone(sidecar, self._clock.now())

    async def run(self) -> None:
        """Have changed leases pushed, until cancelled."""
        today = self._clock.utc().date()
        while True:
            await asyncio.sleep(min(REST_S, LEASE_S))
            await happens(self._wake, LEASE_S)
            self._wake.clear()
            if (day := self._clock.utc().date()) != today:
                today = day
                self._on_day()
            before = dict(self._told)
            self._divide()
            for namespace in list(self._providers):
                self._lease(namespace)
            if self._told != before:
                self._on_leases()

    def _divide(self) -> None:
        if changed := self._shares.divide(self._sidecars, self._clock.now()):
            self._on_parts(changed)

    def leases(self, namespace: str) -> Leases:
        """Return what the namespace's sidecars are to be told."""
        return self._told.get(namespace, _NOTHING)

    def _lease(self, namespace: str) -> None:
        self._told[namespace] = leases(
            namespace,
            self._providers.get(namespace, {}),
            self._consumers.get(namespace, {}),
            self.totals,
            self._told.get(namespace, _NOTHING),
            self._clock.utc(),
            sidecars=self._sidecars,
            floors=self._shares.floors if self._shares.by_demand else None,
        )

    # ------------------------------------------------------------------ status
    def provider(
        self, provider_id: str, provider: Provider | None, before: LLMProviderStatus | None
    ) -> tuple[QuotaStatus | None, CostStatus | None]:
        """Return quota and cost of a provider as status shows them; `before` is what it shows now."""
        old, now_utc = before or LLMProviderStatus(), self._clock.utc()
        quota = provider.quota if provider is not None else None
        return (
            quota_status(self.totals, quota, provider_id, old.quota, now_utc),
            cost_status(self.totals, provider, provider_id, old.cost, now_utc),
        )

    def consumers(
        self, namespace: str, profile: str, before: ProxyProfileStatus | None
    ) -> tuple[ConsumerSpent, ...]:
        """Return what a profile's consumers have spent as status shows it."""
        members = self._consumers.get(namespace, {}).get(profile)
        if members is None:
            return before.consumers if before is not None else ()
        return consumers_status(self.totals, namespace, profile, members, before, self._clock.utc())

    def budget_used(self, namespace: str, profile: str) -> float | None:
        """Return the used share of the fullest budget of a profile's consumers; None: there is none."""
        now_utc, found = self._clock.utc(), None
        for consumer in self._consumers.get(namespace, {}).get(profile, ()):
            used = budget_used(self.totals, consumer, f"{namespace}/{profile}/{consumer.name}", now_utc)
            if used is not None and (found is None or used > found):
                found = used
        return found

    def details(self, period: str) -> dict[Key, Figures]:
        """Return a day's or month's figures by provider, model, consumer, since this leadership began."""
        return self.totals.details(period)
