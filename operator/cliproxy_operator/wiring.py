"""The parts of the operator put together: what the leader does, on what every replica sees.

Every replica watches and keeps the store (`replica.py`); the leader compiles, pushes and writes. Nothing is
decided here.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from cliproxy_operator.activation import Activation
from cliproxy_operator.adopting import Adoptions
from cliproxy_operator.alerting import Alerting
from cliproxy_operator.apply import Writer
from cliproxy_operator.clock import Clock
from cliproxy_operator.collect import Collector
from cliproxy_operator.configtrail import ConfigurationTrail
from cliproxy_operator.exporting import Exporter
from cliproxy_operator.following import Following
from cliproxy_operator.hearing import Hearing
from cliproxy_operator.host import FleetHost
from cliproxy_operator.injected import Group
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.keeping import SnapshotKeeper
from cliproxy_operator.kubeconfig import Access
from cliproxy_operator.leader import Standing
from cliproxy_operator.manual import Manual
from cliproxy_operator.money.leases import Leases
from cliproxy_operator.money.totals import Owner
from cliproxy_operator.notify.channels import Channels
from cliproxy_operator.notify.http import HttpSender
from cliproxy_operator.publish import Publisher
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.replica import Replica
from cliproxy_operator.settings import Settings
from cliproxy_operator.showing import Showing
from cliproxy_operator.spending import Spending
from cliproxy_operator.statuses import Statuses
from cliproxy_operator.store import Change
from cliproxy_operator.survey import Survey
from cliproxy_operator.transport import Transport
from cliproxy_operator.view import SidecarId
from cliproxy_operator.watch import Event

EXPIRY_S: Final = 10.0
MIDNIGHT_S: Final = 5.0
"""So that not all is written in the first moment of a day."""


class Operator:
    """All parts of one replica. Made inside the main loop."""

    def __init__(
        self, *, settings: Settings, access: Access, clock: Clock, transport: Transport | None = None
    ) -> None:
        """`transport` stands in for the one that the settings choose."""
        self.replica = replica = Replica(
            settings=settings, access=access, clock=clock, listener=self, transport=transport
        )
        kube, store, gatherer, leader = replica.kube, replica.store, replica.gatherer, replica.leader
        metrics, tasks = replica.metrics, replica.tasks
        self.publisher = Publisher(
            transport=replica.channel.transport, clock=clock, metrics=metrics, tasks=tasks
        )
        self.host = FleetHost(
            publisher=self.publisher,
            clock=clock,
            metrics=metrics,
            on_change=self._cooldowns_changed,
            leases=self._leases,
        )
        self.spending = Spending(
            clock=clock,
            on_leases=self.host.settle,
            on_day=self._new_day,
            on_parts=self._parts,
            sidecars=self._present,
        )
        self.collector = Collector(
            clock=clock, wanted=self.publisher.wanted_digest, behind=self.publisher.versions.behind
        )
        self.adoptions = Adoptions()
        self.reconciler = Reconciler(
            gatherer=gatherer,
            vault=replica.vault,
            publisher=self.publisher,
            collector=self.collector,
            host=self.host,
            spending=self.spending,
            adoptions=self.adoptions,
            clock=clock,
            metrics=metrics,
            tasks=tasks,
            on_done=self._compiled,
        )
        self.writer = Writer(
            kube=kube,
            store=store,
            clock=clock,
            metrics=metrics,
            may_write=leader.may_write,
            instance=settings.pod_name,
        )
        self.keeper = self._keeper()
        self.http = HttpSender(clock=clock)
        self.alerting = Alerting(
            store=store,
            gatherer=gatherer,
            reconciler=self.reconciler,
            collector=self.collector,
            spending=self.spending,
            vault=replica.vault,
            adoptions=self.adoptions,
            channels=Channels(self.http, replica.addresses),
            may_write=leader.may_write,
            clock=clock,
            metrics=metrics,
            tasks=tasks,
            on_change=self._alerts_changed,
        )
        self.showing = Showing(store=store, collector=self.collector, alerting=self.alerting, metrics=metrics)
        self.exporter = Exporter(
            kube=kube,
            store=store,
            gatherer=gatherer,
            reconciler=self.reconciler,
            clock=clock,
            metrics=metrics,
            tasks=tasks,
            may_write=leader.may_write,
            on_change=self._alerts_changed,
        )
        self.survey = Survey(
            kube=kube,
            store=store,
            settings=settings,
            clock=clock,
            metrics=metrics,
            may_write=leader.may_write,
            on_change=self._surveyed,
        )
        self.statuses = Statuses(
            store=store,
            gatherer=gatherer,
            reconciler=self.reconciler,
            collector=self.collector,
            host=self.host,
            spending=self.spending,
            leader=leader,
            writer=self.writer,
            manual=Manual(store=store, host=self.host, writer=self.writer, audit=replica.audit),
            keeper=self.keeper,
            alerting=self.alerting,
            exporter=self.exporter,
            survey=self.survey,
            adoptions=self.adoptions,
            clock=clock,
            metrics=metrics,
            tasks=tasks,
        )
        self.hearing = Hearing(
            host=self.host,
            spending=self.spending,
            collector=self.collector,
            reconciler=self.reconciler,
            statuses=self.statuses,
            publisher=self.publisher,
            leader=leader,
        )
        self.publisher.listen(self.hearing)
        self.following = Following(
            store=store,
            vault=replica.vault,
            resync=replica.resync,
            gatherer=gatherer,
            reconciler=self.reconciler,
            statuses=self.statuses,
            publisher=self.publisher,
            collector=self.collector,
            host=self.host,
            spending=self.spending,
            pki=replica.pki,
        )
        self.trail = ConfigurationTrail(replica.audit, began_utc=clock.utc(), leads=leader.may_write)
        self.activation = Activation(
            resync=replica.resync,
            gatherer=gatherer,
            reconciler=self.reconciler,
            publisher=self.publisher,
            collector=self.collector,
            host=self.host,
            statuses=self.statuses,
            alerting=self.alerting,
            exporter=self.exporter,
            pki=replica.pki,
            keeper=self.keeper,
            metrics=metrics,
            tasks=tasks,
        )
        self.conditions: list[Callable[[], str]] = []
        """What else readiness depends on: each says what is missing, "" when nothing is."""
        self._warm = False

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Start all loops."""
        loops = {
            "reconcile": self.reconciler.queue.run,
            "status": self.statuses.queue.run,
            "sweep": self.statuses.sweeps.run,
            "fleet": self.host.run,
            "spending": self.spending.run,
            "expiry": self._expire,
            "alerts": self.alerting.run,
            "notify": self.alerting.queue.run,
            "export": self.exporter.queue.run,
        }
        if self.keeper is not None:
            loops["snapshots"] = self.keeper.queue.run
        for name, work in loops.items():
            self.replica.tasks.forever(work, name)
        self.replica.start()

    async def stop(self) -> None:
        """Give the lease back, close all links, end all loops."""
        self.reconciler.active = False
        # First of all: a successor waits for it, and taking hundreds of links down takes its time. From here
        # on nothing is written, and what is still pushed is of an epoch that sidecars refuse after the next.
        await self.replica.resign()
        self.host.reset()
        self.publisher.deactivate()
        await self.replica.close()
        await self.http.close()

    def problems(self) -> list[str]:
        """Return why this replica is not ready; empty: it is."""
        synced, standing = self.replica.resync.synced.is_set(), self.replica.leader.standing
        found = self.replica.problems()
        # In a roll-out the old leader goes as soon as we are ready: by then we must have read what we need.
        self._warm = self._warm or (synced and self.reconciler.queue.idle())
        if not self._warm and standing is Standing.STANDBY:
            found.append("the Secrets that the configuration names are being read")
        return found + [words for condition in self.conditions if (words := condition())]

    def figures(self) -> bytes:
        """Return the metrics, those that are read off now brought up to date."""
        self.showing.refresh()
        return self.replica.metrics.text()

    def _present(self, owner: Owner) -> int:
        """Return how many sidecars, ready or linked, could use a provider, or serve a consumer."""
        kind, name = owner
        if kind == "provider":
            return self.collector.view(self.reconciler.holders(name)).present
        namespace, profile, _ = name.split("/", 2)
        return self.collector.view([(namespace, profile)]).present

    def _parts(self, sidecars: Iterable[SidecarId]) -> None:
        for sidecar in sidecars:
            if (parts := self.spending.parts(sidecar)) is not None:
                self.publisher.publish_parts(sidecar, *parts)

    def _new_day(self) -> None:
        for namespace in self.replica.gatherer.namespaces():
            self.statuses.look_at_all(namespace, MIDNIGHT_S)

    def _leases(self, namespace: str) -> Leases:
        return self.spending.leases(namespace)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_S)
            if self.replica.channel.renewed():
                self.publisher.renew()
            for provider_id in self.collector.expire():
                self.following.cooldowns_changed(provider_id)

    # ------------------------------------------------------------------ what pods mount

    def _keeper(self) -> SnapshotKeeper | None:
        replica = self.replica
        if not replica.settings.snapshot_secrets:
            return None
        return SnapshotKeeper(
            kube=replica.kube,
            settings=replica.settings,
            publisher=self.publisher,
            clock=replica.clock,
            metrics=replica.metrics,
            tasks=replica.tasks,
            may_write=replica.leader.may_write,
            profiles=self._profiles,
            told=lambda key: self.statuses.look_at(ObjectKey(Kind.PROXY_PROFILE, *key)),
        )

    def _profiles(self, namespace: str) -> set[str] | None:
        replica = self.replica
        return replica.gatherer.profiles(namespace) if replica.resync.synced.is_set() else None

    # ------------------------------------------------------------------ what the replica sees

    def heard(self, event: Event) -> None:
        """Take one watch event."""
        self.following.heard(event)

    def changed(self, change: Change) -> None:
        """Take note that an object in the store has changed."""
        self.following.changed(change)
        self.trail.changed(change)

    def secret_changed(self, namespaces: frozenset[str]) -> None:
        """Take note that a Secret has changed which snapshots of these namespaces name."""
        self.following.secret_changed(namespaces)

    def stands(self, standing: Standing, epoch: int) -> None:
        """Take note of a new standing in the election."""
        self.activation.stands(standing, epoch)

    def went_back(self) -> None:
        """Take note that the API server's data may be of another history than what is known."""
        if self.keeper is not None:
            self.keeper.take_stock()

    # ------------------------------------------------------------------ to parts that are made later

    def _cooldowns_changed(self, provider_id: str) -> None:
        self.following.cooldowns_changed(provider_id)

    def _alerts_changed(self, rule: ObjectKey) -> None:
        self.statuses.look_at(rule)

    def _compiled(self, namespace: str, news: frozenset[ObjectKey]) -> None:
        if self.keeper is not None:
            self.keeper.published(namespace)
        self.exporter.compiled(namespace)
        for key in news:
            self.statuses.look_at(key)

    def _surveyed(self, groups: frozenset[Group]) -> None:
        for namespace, profile in groups:
            if profile:
                self.statuses.look_at(ObjectKey(Kind.PROXY_PROFILE, namespace, profile))
