"""The parts of the operator put together, and how they follow the cluster and the lease.

Every replica watches and keeps the store; the leader compiles, pushes and writes. Nothing is decided here.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from cliproxy_operator.activation import Activation
from cliproxy_operator.addresses import endpoint_of
from cliproxy_operator.adopting import Adoptions
from cliproxy_operator.alerting import Alerting
from cliproxy_operator.apply import Writer
from cliproxy_operator.audit import Audit
from cliproxy_operator.clock import Clock
from cliproxy_operator.collect import Collector
from cliproxy_operator.configtrail import ConfigurationTrail
from cliproxy_operator.controlchannel import ControlChannel
from cliproxy_operator.exporting import Exporter
from cliproxy_operator.following import Following
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.hearing import Hearing
from cliproxy_operator.host import FleetHost
from cliproxy_operator.injected import Group
from cliproxy_operator.inputs import AddressRules, Kind, ObjectKey
from cliproxy_operator.keeping import SnapshotKeeper
from cliproxy_operator.kube import Kube
from cliproxy_operator.kubeconfig import Access
from cliproxy_operator.leader import Leader, Standing
from cliproxy_operator.leasewatch import LeaseWatch
from cliproxy_operator.manual import Manual
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.money.leases import Leases
from cliproxy_operator.money.totals import Owner
from cliproxy_operator.notify.channels import Channels
from cliproxy_operator.notify.http import HttpSender
from cliproxy_operator.pki import Pki
from cliproxy_operator.publish import Publisher
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.resync import Resync
from cliproxy_operator.settings import Settings
from cliproxy_operator.showing import Showing
from cliproxy_operator.spending import Spending
from cliproxy_operator.statuses import Statuses
from cliproxy_operator.store import Change, Store
from cliproxy_operator.survey import Survey
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.transport import Transport
from cliproxy_operator.vault import Vault
from cliproxy_operator.view import SidecarId
from cliproxy_operator.watch import Event, Watch

EXPIRY_S: Final = 10.0
MIDNIGHT_S: Final = 5.0
"""So that not all is written in the first moment of a day."""
ELECTION_END_S: Final = 0.2


class Operator:
    """All parts of one replica. Made inside the main loop."""

    def __init__(
        self, *, settings: Settings, access: Access, clock: Clock, transport: Transport | None = None
    ) -> None:
        """`transport` stands in for the plain one in tests."""
        self.settings = settings
        self.clock = clock
        self.metrics = metrics = Metrics()
        self.tasks = tasks = Tasks(
            on_failure=lambda name: metrics.loop_failures.labels(name.split()[0]).inc()
        )
        self.kube = Kube(access, metrics)
        self.audit = Audit(clock)
        self.store = Store(self._changed)
        self.vault = Vault(self._secret_changed, digest_key=os.urandom(32))
        self.resync = Resync(
            kube=self.kube,
            settings=settings,
            store=self.store,
            vault=self.vault,
            clock=clock,
            metrics=metrics,
        )
        self.watch = Watch(
            access=access,
            settings=settings,
            clock=clock,
            metrics=metrics,
            listener=self._heard,
            serves=self.kube.serves,
        )
        self.leader = Leader(
            kube=self.kube,
            settings=settings,
            clock=clock,
            metrics=metrics,
            listener=self._stands,
            went_back=self._went_back,
        )
        self.lease_watch = LeaseWatch(kube=self.kube, settings=settings, clock=clock, free=self.leader.look)
        self.addresses = AddressRules(
            allow_link_local=settings.allow_link_local,
            allow_api_server=settings.allow_api_server,
            api_servers=frozenset({endpoint_of(access.server)}),
        )
        self.gatherer = Gatherer(store=self.store, vault=self.vault, kube=self.kube, addresses=self.addresses)
        self.pki = self._authority() if transport is None else None
        self.channel = (
            ControlChannel.of(settings, vault=self.vault, pki=self.pki)
            if transport is None
            else ControlChannel(transport=transport)
        )
        self.publisher = Publisher(
            transport=self.channel.transport, clock=clock, metrics=metrics, tasks=tasks
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
            gatherer=self.gatherer,
            vault=self.vault,
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
            kube=self.kube,
            store=self.store,
            clock=clock,
            metrics=metrics,
            may_write=self.leader.may_write,
            instance=settings.pod_name,
        )
        self.keeper = self._keeper()
        self.http = HttpSender(clock=clock)
        self.alerting = Alerting(
            store=self.store,
            gatherer=self.gatherer,
            reconciler=self.reconciler,
            collector=self.collector,
            spending=self.spending,
            vault=self.vault,
            adoptions=self.adoptions,
            channels=Channels(self.http, self.addresses),
            may_write=self.leader.may_write,
            clock=clock,
            metrics=metrics,
            tasks=tasks,
            on_change=self._alerts_changed,
        )
        self.showing = Showing(
            store=self.store, collector=self.collector, alerting=self.alerting, metrics=metrics
        )
        self.exporter = Exporter(
            kube=self.kube,
            store=self.store,
            gatherer=self.gatherer,
            reconciler=self.reconciler,
            clock=clock,
            metrics=metrics,
            tasks=tasks,
            may_write=self.leader.may_write,
            on_change=self._alerts_changed,
        )
        self.survey = Survey(
            kube=self.kube,
            store=self.store,
            settings=settings,
            clock=clock,
            metrics=metrics,
            may_write=self.leader.may_write,
            on_change=self._surveyed,
        )
        self.statuses = Statuses(
            store=self.store,
            gatherer=self.gatherer,
            reconciler=self.reconciler,
            collector=self.collector,
            host=self.host,
            spending=self.spending,
            leader=self.leader,
            writer=self.writer,
            manual=Manual(store=self.store, host=self.host, writer=self.writer, audit=self.audit),
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
            leader=self.leader,
        )
        self.publisher.listen(self.hearing)
        self.following = Following(
            store=self.store,
            vault=self.vault,
            resync=self.resync,
            gatherer=self.gatherer,
            reconciler=self.reconciler,
            statuses=self.statuses,
            publisher=self.publisher,
            collector=self.collector,
            spending=self.spending,
            pki=self.pki,
        )
        self.trail = ConfigurationTrail(self.audit, began_utc=clock.utc(), leads=self.leader.may_write)
        self.activation = Activation(
            resync=self.resync,
            gatherer=self.gatherer,
            reconciler=self.reconciler,
            publisher=self.publisher,
            host=self.host,
            statuses=self.statuses,
            alerting=self.alerting,
            exporter=self.exporter,
            pki=self.pki,
            keeper=self.keeper,
            metrics=metrics,
            tasks=tasks,
        )
        self.conditions: list[Callable[[], str]] = []
        """What else readiness depends on: each says what is missing, "" when nothing is."""
        self._electing: asyncio.Task[Any] | None = None
        self._warm = False

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Start all loops."""
        loops = {
            "resync": self.resync.run,
            "watch": self.watch.run,
            "lease": self.lease_watch.run,
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
        if self.pki is not None:
            loops["pki"] = self.pki.queue.run
        if self.keeper is not None:
            loops["snapshots"] = self.keeper.queue.run
        for name, work in loops.items():
            self.tasks.forever(work, name)
        self._electing = self.tasks.forever(self.leader.run, "leader")

    async def stop(self) -> None:
        """Give the lease back, close all links, end all loops."""
        self.reconciler.active = False
        if self._electing is not None:
            self._electing.cancel()
            await asyncio.wait({self._electing}, timeout=ELECTION_END_S)
        # First of all: a successor waits for it, and taking hundreds of links down takes its time. From here
        # on nothing is written, and what is still pushed is of an epoch that sidecars refuse after the next.
        await self.leader.release()
        self.host.reset()
        self.publisher.deactivate()
        await self.tasks.stop()
        self.audit.close()
        await self.http.close()
        await self.channel.transport.close()
        await self.kube.close()

    def problems(self) -> list[str]:
        """Return why this replica is not ready; empty: it is."""
        found = sorted(self.resync.problems.values()) if not self.resync.synced.is_set() else []
        if self.leader.standing is Standing.UNKNOWN:
            found.append(self.leader.problem)
        # In a roll-out the old leader goes as soon as we are ready: by then we must have read what we need.
        self._warm = self._warm or (self.resync.synced.is_set() and self.reconciler.queue.idle())
        if not self._warm and self.leader.standing is Standing.STANDBY:
            found.append("the Secrets that the configuration names are being read")
        if words := self.channel.problem():
            found.append(words)
        return found + [words for condition in self.conditions if (words := condition())]

    def figures(self) -> bytes:
        """Return the metrics, those that are read off now brought up to date."""
        self.showing.refresh()
        return self.metrics.text()

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
        for namespace in self.gatherer.namespaces():
            self.statuses.look_at_all(namespace, MIDNIGHT_S)

    def _leases(self, namespace: str) -> Leases:
        return self.spending.leases(namespace)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_S)
            if self.channel.renewed():
                self.publisher.renew()
            for provider_id in self.collector.expire():
                self.following.cooldowns_changed(provider_id)

    # ------------------------------------------------------------------ what pods mount

    def _keeper(self) -> SnapshotKeeper | None:
        if not self.settings.snapshot_secrets:
            return None
        return SnapshotKeeper(
            kube=self.kube,
            settings=self.settings,
            publisher=self.publisher,
            clock=self.clock,
            metrics=self.metrics,
            tasks=self.tasks,
            may_write=self.leader.may_write,
            profiles=self._profiles,
            told=lambda key: self.statuses.look_at(ObjectKey(Kind.PROXY_PROFILE, *key)),
        )

    def _profiles(self, namespace: str) -> set[str] | None:
        return self.gatherer.profiles(namespace) if self.resync.synced.is_set() else None

    # ------------------------------------------------------------------ the control channel

    def _authority(self) -> Pki | None:
        """Return the keeper of certificates, None if they are somebody else's or there are none."""
        if self.settings.control_token is not None or self.settings.tls_dir is not None:
            return None
        return Pki(
            kube=self.kube,
            settings=self.settings,
            clock=self.clock,
            metrics=self.metrics,
            tasks=self.tasks,
            may_write=self.leader.may_write,
            digest_key=self.vault.rekey,
            wanted=self.gatherer.served,
        )

    # ------------------------------------------------------------------ to parts that are made later

    def _changed(self, change: Change) -> None:
        self.following.changed(change)
        self.trail.changed(change)

    def _secret_changed(self, namespaces: frozenset[str]) -> None:
        self.following.secret_changed(namespaces)

    def _heard(self, event: Event) -> None:
        self.following.heard(event)

    def _stands(self, standing: Standing, epoch: int) -> None:
        self.lease_watch.stands(standing)
        self.activation.stands(standing, epoch)

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

    def _went_back(self) -> None:
        """The API server's data were restored from a backup: what is known is of another history.

        kopf would go on watching from a version that is yet to come, and hear nothing until then.
        """
        self.resync.anew()
        self.gatherer.rewind()
        self.watch.restart()
        if self.keeper is not None:
            self.keeper.take_stock()
