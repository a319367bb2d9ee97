"""Hosts the fleet's machine: feeds it, arms its one timer, and pushes what it decides at once.

A cooldown heard here is on its way to every sidecar of the namespaces concerned before anything else is done
about it: no compile, no API call is between. What it decides is left to `fleet.py`, status to `statuses.py`.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from cliproxy_api.report import Report, Trying
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import FleetCooldown
from cliproxy_operator.clock import Clock
from cliproxy_operator.fleet import Fleet
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.money.leases import Leases, with_leases
from cliproxy_operator.publish import Publisher
from cliproxy_operator.tasks import happens
from cliproxy_operator.view import SidecarId

MIN_SLEEP_S: Final = 0.005
MAX_SLEEP_S: Final = 60.0
"""Wall clocks are set: look again at least this often."""


class FleetHost:
    """The fleet's machine and who must hear of its decisions."""

    def __init__(
        self,
        *,
        publisher: Publisher,
        clock: Clock,
        metrics: Metrics,
        on_change: Callable[[str], None],
        leases: Callable[[str], Leases],
    ) -> None:
        """`on_change` is told the id of each provider whose cooldowns changed.

        `leases` gives what a namespace's sidecars are told of limits and money.
        """
        self._leases = leases
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._on_change = on_change
        self._wake = asyncio.Event()
        self._used: dict[str, frozenset[str]] = {}
        self._owned: dict[str, Mapping[str, Provider]] = {}
        self._told: dict[str, tuple[FleetCooldown, ...]] = {}
        self.fleet = Fleet(chance=clock.chance)

    def reset(self) -> None:
        """Forget everything, as before a new leadership."""
        self.fleet = Fleet(chance=self._clock.chance)
        self._used.clear()
        self._owned.clear()
        self._told.clear()
        self._metrics.cooldowns.clear()

    def configure(self, namespace: str, providers: Mapping[str, Provider]) -> None:
        """Take what the snapshots of a namespace hold: its own providers count, others are their owner's."""
        used = frozenset(providers)
        own = {id_: provider for id_, provider in providers.items() if id_.partition("/")[0] == namespace}
        if self._used.get(namespace) == used and self._owned.get(namespace) == own:
            return
        self._used[namespace], self._owned[namespace] = used, own
        self._configure()

    def drop(self, namespace: str) -> None:
        """A namespace holds nothing of ours any more."""
        self._used.pop(namespace, None)
        self._owned.pop(namespace, None)
        self._configure()

    def _configure(self) -> None:
        everything = {id_: provider for owned in self._owned.values() for id_, provider in owned.items()}
        self.fleet.configure(everything, self._clock.utc())
        self.settle()

    def restore(self, provider_id: str, status: LLMProviderStatus) -> None:
        """Take over what an earlier leader wrote; after `configure`, before the first link stands."""
        self.fleet.restore(provider_id, status, self._clock.utc())

    def expect(self, sidecars: Iterable[tuple[SidecarId, frozenset[str] | None]]) -> None:
        """These may be trying what an earlier leader let them: after `restore`, before the first link."""
        self.fleet.expect(sidecars, self._clock.utc())

    def greeted(self, sidecar: SidecarId, providers: frozenset[str], trying: tuple[Trying, ...]) -> None:
        """A link stands to a sidecar with these providers; it tells which trials are under way there."""
        if self.fleet.greeted(sidecar, providers, trying, self._clock.utc()):
            self.settle()
        self._wake.set()

    def forget(self, sidecar: SidecarId) -> None:
        """A sidecar is no more, after its link has gone."""
        if self.fleet.forget(sidecar, self._clock.utc()):
            self.settle()
        self._wake.set()

    def present(self, sidecar: SidecarId, providers: frozenset[str]) -> None:
        """A linked sidecar has these providers."""
        if self.fleet.present(sidecar, providers, self._clock.utc()):
            self.settle()
        self._wake.set()

    def gone(self, sidecar: SidecarId) -> None:
        """A sidecar's link is down."""
        if self.fleet.gone(sidecar, self._clock.utc()):
            self.settle()
        self._wake.set()

    def hear(self, sidecar: SidecarId, report: Report) -> None:
        """Take a report; push at once if it changed anything."""
        if self.fleet.hear(sidecar, report, self._clock.utc()):
            self.settle()
        self._wake.set()

    def cooldown(self, provider_id: str, duration_s: float, reason: str) -> bool:
        """Cool a provider because a person says so; False if it is not in use. A later end stays."""
        self.fleet.cooldown(provider_id, duration_s, reason, self._clock.utc())
        self.settle()
        self._wake.set()
        return self.fleet.knows(provider_id)

    def recover(self, provider_id: str) -> bool:
        """End a provider's cooldowns; whether there were any."""
        ended = self.fleet.recover(provider_id, self._clock.utc())
        self.settle()
        self._wake.set()
        return ended

    def settle(self) -> None:
        """Push every state document that is not what it was, and say whose status that concerns."""
        for namespace, providers in self._used.items():
            state = with_leases(self.fleet.state(namespace, providers), self._leases(namespace))
            self._publisher.publish_state(namespace, state)
        for owned in list(self._owned.values()):
            for provider_id in owned:
                self._tell(provider_id)
        for gone in [id_ for id_ in self._told if not self._owns(id_)]:
            del self._told[gone]
            namespace, _, name = gone.partition("/")
            self._metrics.cooldowns.remove(namespace, name)

    def _owns(self, provider_id: str) -> bool:
        return provider_id in self._owned.get(provider_id.partition("/")[0], {})

    def _tell(self, provider_id: str) -> None:
        now = self.fleet.cooldowns(provider_id) + self.fleet.local_cooldowns(provider_id)
        if self._told.get(provider_id, ()) == now:
            return
        self._told[provider_id] = now
        namespace, _, name = provider_id.partition("/")
        self._metrics.cooldowns.labels(namespace, name).set(len(now))
        self._on_change(provider_id)

    async def run(self) -> None:
        """Move on what becomes due by itself, until cancelled."""
        while True:
            self._wake.clear()
            pause_s = self._until_due_s()
            if pause_s > 0:  # reports may pour in: what is due does not wait for silence
                await happens(self._wake, pause_s)
                continue
            if self.fleet.tick(self._clock.utc()):
                self.settle()
            await asyncio.sleep(MIN_SLEEP_S)

    def _until_due_s(self) -> float:
        wake_at = self.fleet.wake_at()
        if wake_at is None:
            return MAX_SLEEP_S
        return min(MAX_SLEEP_S, (wake_at - self._clock.utc()).total_seconds())
