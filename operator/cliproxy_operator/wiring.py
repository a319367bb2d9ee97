"""The parts of the operator put together, and how they follow the cluster and the lease.

Every replica watches and keeps the store; the leader compiles, pushes and writes. Nothing is decided here.
"""

import asyncio
import hashlib
import logging
import urllib.parse
from typing import Any, Final

from cliproxy_operator.apply import Writer
from cliproxy_operator.clock import Clock
from cliproxy_operator.collect import Collector
from cliproxy_operator.concern import concern, lends
from cliproxy_operator.gather import RESOURCES, Gatherer, profile_of
from cliproxy_operator.hearing import Hearing
from cliproxy_operator.host import FleetHost
from cliproxy_operator.inputs import AddressRules, Kind, ObjectKey
from cliproxy_operator.kinds import CUSTOM, NAMESPACE, POD, PROVIDER, SECRET
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.kubeconfig import Access
from cliproxy_operator.leader import Leader, Standing
from cliproxy_operator.manual import Manual
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.publish import Endpoint, Publisher
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.resync import Resync
from cliproxy_operator.settings import Settings
from cliproxy_operator.statuses import Statuses
from cliproxy_operator.store import Change, Object, Store, name_of, version_of
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.transport import PlainTransport, Transport
from cliproxy_operator.vault import Vault
from cliproxy_operator.view import SidecarId
from cliproxy_operator.watch import Event, Watch

log = logging.getLogger(__name__)

EXPIRY_S: Final = 10.0
ELECTION_END_S: Final = 0.2
_HEALTH: Final = {"Healthy": 1.0, "Degraded": 0.5, "CoolingDown": 0.5, "Unknown": 0.5, None: 0.5}
_ENDED: Final = frozenset({"Succeeded", "Failed"})


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
        self.store = Store(self._changed)
        key = hashlib.sha256(b"digest:" + settings.control_token.reveal().encode()).digest()
        self.vault = Vault(self._secret_changed, digest_key=key)
        self.transport = transport or PlainTransport(token=settings.control_token, port=settings.control_port)
        self.resync = Resync(
            kube=self.kube,
            settings=settings,
            store=self.store,
            vault=self.vault,
            clock=clock,
            metrics=metrics,
            appeared=self._appeared,
        )
        self.watch = Watch(
            access=access, settings=settings, clock=clock, metrics=metrics, listener=self._heard
        )
        self.leader = Leader(
            kube=self.kube, settings=settings, clock=clock, metrics=metrics, listener=self._stands
        )
        self.gatherer = Gatherer(
            store=self.store, vault=self.vault, kube=self.kube, addresses=_addresses(settings, access)
        )
        self.publisher = Publisher(transport=self.transport, clock=clock, metrics=metrics, tasks=tasks)
        self.host = FleetHost(
            publisher=self.publisher, clock=clock, metrics=metrics, on_change=self._cooldowns_changed
        )
        self.collector = Collector(clock=clock, wanted=self.publisher.wanted_digest)
        self.reconciler = Reconciler(
            gatherer=self.gatherer,
            vault=self.vault,
            publisher=self.publisher,
            collector=self.collector,
            host=self.host,
            clock=clock,
            metrics=metrics,
            tasks=tasks,
            on_done=self._reconciled,
        )
        self.writer = Writer(
            kube=self.kube,
            store=self.store,
            clock=clock,
            metrics=metrics,
            may_write=self.leader.may_write,
            instance=settings.pod_name,
        )
        self.statuses = Statuses(
            store=self.store,
            gatherer=self.gatherer,
            reconciler=self.reconciler,
            collector=self.collector,
            host=self.host,
            leader=self.leader,
            writer=self.writer,
            manual=Manual(store=self.store, host=self.host, writer=self.writer),
            clock=clock,
            metrics=metrics,
            tasks=tasks,
        )
        self.hearing = Hearing(
            host=self.host,
            collector=self.collector,
            reconciler=self.reconciler,
            statuses=self.statuses,
            publisher=self.publisher,
            leader=self.leader,
        )
        self.publisher.listen(self.hearing)
        self._activation: asyncio.Task[Any] | None = None
        self._electing: asyncio.Task[Any] | None = None

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Start all loops."""
        loops = {
            "resync": self.resync.run,
            "watch": self.watch.run,
            "reconcile": self.reconciler.queue.run,
            "status": self.statuses.queue.run,
            "fleet": self.host.run,
            "expiry": self._expire,
        }
        for name, work in loops.items():
            self.tasks.forever(work, name)
        self._electing = self.tasks.forever(self.leader.run, "leader")

    async def stop(self) -> None:
        """Give the lease back, close all links, end all loops."""
        self.reconciler.active = False
        self.publisher.deactivate()
        if self._electing is not None:
            self._electing.cancel()
            await asyncio.wait({self._electing}, timeout=ELECTION_END_S)
        await self.leader.release()
        await self.tasks.stop()
        await self.transport.close()
        await self.kube.close()

    def problems(self) -> list[str]:
        """Return why this replica is not ready; empty: it is."""
        found = sorted(self.resync.problems.values()) if not self.resync.synced.is_set() else []
        if self.leader.standing is Standing.UNKNOWN:
            found.append(self.leader.problem)
        return found

    def figures(self) -> bytes:
        """Return the metrics, those that are read off now brought up to date."""
        sidecars = self.collector.all()
        linked = sum(known.linked for known in sidecars)
        self.metrics.links.labels("linked").set(linked)
        self.metrics.links.labels("down").set(len(sidecars) - linked)
        self.metrics.provider_health.clear()
        for namespace, name in self.store.keys(PROVIDER):
            raw = self.store.get(PROVIDER, namespace, name) or {}
            phase = (raw.get("status") or {}).get("phase")
            self.metrics.provider_health.labels(namespace, name).set(_HEALTH.get(phase, 0.0))
        return self.metrics.text()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_S)
            for provider_id in self.collector.expire():
                self._look_at(provider_id)

    # ------------------------------------------------------------------ the cluster

    def _heard(self, event: Event) -> None:
        """One watch event: into the vault or the store."""
        raw = event.object
        if event.type is None:
            self.resync.soon(event.resource)
        if event.resource == SECRET:
            if event.type == "DELETED":
                self.vault.lost(name_of(raw), version=version_of(raw))
            else:
                self.vault.put(raw)
        elif event.type == "DELETED":
            self.store.remove(event.resource, *name_of(raw), version=version_of(raw))
        else:
            self.store.upsert(event.resource, raw)

    def _changed(self, change: Change) -> None:
        """One object changed in the store: have the right things done."""
        namespace = change.name if change.resource == NAMESPACE else change.namespace
        if change.resource == POD:
            self._pod(SidecarId(change.namespace, change.name), change.new)
        what = concern(change, shares=self._shares(change))
        if what.compile:
            self.reconciler.changed(namespace)
        if what.compile_all:
            for other in self.gatherer.namespaces():
                self.reconciler.changed(other)
        if what.status and change.resource in CUSTOM:
            self.statuses.look_at(ObjectKey(Kind(change.resource.kind), change.namespace, change.name))

    def _shares(self, change: Change) -> bool:
        if change.resource == PROVIDER:
            return lends(change.old) or lends(change.new)
        return any(lends(raw) for raw in self.store.all(PROVIDER, change.namespace))

    def _pod(self, sidecar: SidecarId, pod: Object | None) -> None:
        status: Any = pod.get("status") if pod is not None else None
        if pod is None or status.get("phase") in _ENDED:
            self.publisher.set_endpoint(sidecar, None)
            self.collector.forget(sidecar)
            return
        profile = profile_of(pod)
        ready = any(condition.get("status") == "True" for condition in status["conditions"])
        address = status.get("podIP")
        uid = str(pod["metadata"].get("uid", ""))
        endpoint = Endpoint(sidecar, uid, address, profile) if address else None
        self.collector.seen(sidecar, profile=profile, ready=ready)
        self.publisher.set_endpoint(sidecar, endpoint)
        self.statuses.look_at_all(sidecar.namespace, after_s=0.25)

    def _secret_changed(self, namespaces: frozenset[str]) -> None:
        for namespace in namespaces:
            self.reconciler.changed(namespace)

    def _appeared(self) -> None:
        """A resource is there that was not: kopf without scanning has to look again."""
        if self.settings.namespaces:
            self.watch.restart()

    # ------------------------------------------------------------------ the lease

    def _stands(self, standing: Standing, epoch: int) -> None:
        if self._activation is not None:
            self._activation.cancel()
            self._activation = None
        if standing is Standing.LEADING:
            if self.publisher.epoch == epoch:  # it was adrift: everything still stands
                self._look_at_everything()
            else:
                self._activation = self.tasks.spawn(self._activate(epoch), "activation")
        elif standing is Standing.STANDBY:
            self.reconciler.active = False
            self.publisher.deactivate()
            self.host.reset()
            self.reconciler.reset()

    async def _activate(self, epoch: int) -> None:
        """Begin to lead: what an earlier leader wrote is known before the first sidecar is heard."""
        await self.resync.synced.wait()
        self.publisher.deactivate()
        self.host.reset()
        self.reconciler.reset()
        self.reconciler.active = True
        late: set[str] = set()
        for namespace in sorted(self.gatherer.namespaces()):
            try:
                await self.reconciler.compile(namespace)
            except ApiError as error:
                log.warning("namespace begins late", extra={"namespace": namespace, "reason": str(error)})
                late.add(namespace)
            except Exception:  # one namespace must not keep the others from being served
                log.exception("namespace begins late", extra={"namespace": namespace})
                self.metrics.loop_failures.labels("activation").inc()
                late.add(namespace)
        self.publisher.activate(epoch)
        for namespace in list(self.reconciler.results):
            self.reconciler.publish(namespace)
        for namespace in self.gatherer.namespaces() - self.reconciler.results.keys() | late:
            self.reconciler.changed(namespace)
        log.info("active", extra={"epoch": epoch, "namespaces": len(self.reconciler.results)})

    def _look_at_everything(self) -> None:
        for namespace in self.gatherer.namespaces():
            self.statuses.look_at_all(namespace)

    # ------------------------------------------------------------------ from part to part

    def _reconciled(self, namespace: str) -> None:
        self.statuses.look_at_all(namespace)

    def _cooldowns_changed(self, provider_id: str) -> None:
        self._look_at(provider_id)

    def _look_at(self, provider_id: str) -> None:
        namespace, _, name = provider_id.partition("/")
        self.statuses.look_at(ObjectKey(Kind.LLM_PROVIDER, namespace, name))
        for policy in self.store.keys(RESOURCES[Kind.COOLDOWN_POLICY]):
            if policy[0] == namespace:
                self.statuses.look_at(ObjectKey(Kind.COOLDOWN_POLICY, *policy), after_s=0.5)


def _addresses(settings: Settings, access: Access) -> AddressRules:
    url = urllib.parse.urlsplit(access.server)
    port = url.port or (443 if url.scheme == "https" else 80)
    return AddressRules(
        allow_link_local=settings.allow_link_local,
        allow_api_server=settings.allow_api_server,
        api_servers=frozenset({((url.hostname or "").lower(), port)}),
    )
