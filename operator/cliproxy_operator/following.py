"""Follows the cluster: watch events into store and vault, and what changed there to whom it concerns.

What a change concerns is `concern.py`'s word.
"""

from typing import Any, Final

from cliproxy_operator.collect import Collector
from cliproxy_operator.concern import concern, lends
from cliproxy_operator.gather import Gatherer, profile_of
from cliproxy_operator.host import FleetHost
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.kinds import CUSTOM, NAMESPACE, POD, PROVIDER, SECRET
from cliproxy_operator.pki import Pki
from cliproxy_operator.publish import Endpoint, Publisher
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.resync import Resync
from cliproxy_operator.spending import Spending
from cliproxy_operator.statuses import PROGRESS_S, Statuses
from cliproxy_operator.store import Change, Object, Store, name_of, version_of
from cliproxy_operator.vault import Vault
from cliproxy_operator.view import SidecarId
from cliproxy_operator.watch import Event

_ENDED: Final = frozenset({"Succeeded", "Failed"})


class Following:
    """What has to be done about what happens in the cluster."""

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        resync: Resync,
        gatherer: Gatherer,
        reconciler: Reconciler,
        statuses: Statuses,
        publisher: Publisher,
        collector: Collector,
        host: FleetHost,
        spending: Spending,
        pki: Pki | None,
    ) -> None:
        self._store = store
        self._vault = vault
        self._resync = resync
        self._gatherer = gatherer
        self._reconciler = reconciler
        self._statuses = statuses
        self._publisher = publisher
        self._collector = collector
        self._host = host
        self._spending = spending
        self._pki = pki

    def heard(self, event: Event) -> None:
        """Take one watch event."""
        raw = event.object
        if event.type is None:
            self._resync.soon(event.resource)
        if event.resource == SECRET:
            if self._pki is not None:
                self._pki.touched(*name_of(raw))
            if event.type == "DELETED":
                self._vault.lost(name_of(raw), version=version_of(raw))
            else:
                self._vault.put(raw)
        elif event.type == "DELETED":
            self._store.remove(event.resource, *name_of(raw), version=version_of(raw))
        else:
            self._store.upsert(event.resource, raw)

    def changed(self, change: Change) -> None:
        """One object changed in the store: have the right things done."""
        namespace = change.name if change.resource == NAMESPACE else change.namespace
        if change.resource == POD:
            sidecar = SidecarId(change.namespace, change.name)
            if change.old is not None and change.new is not None and _uid(change.old) != _uid(change.new):
                self._pod(sidecar, None)  # made again under its name: what the former told is over
            self._pod(sidecar, change.new)
        if self._pki is not None and change.new is not None:
            self._pki.want(namespace)
        what = concern(change, shares=self._shares(change))
        if what.compile and not self._is_one_more(change):
            self._reconciler.changed(namespace)
        if what.compile_all:
            for other in self._gatherer.namespaces():
                self._reconciler.changed(other)
        if what.status and change.resource in CUSTOM:
            self._statuses.look_at(ObjectKey(Kind(change.resource.kind), change.namespace, change.name))

    def secret_changed(self, namespaces: frozenset[str]) -> None:
        """A Secret that the snapshots of these namespaces name has changed."""
        for namespace in namespaces:
            self._reconciler.changed(namespace)

    def cooldowns_changed(self, provider_id: str) -> None:
        """A provider's cooldowns, or its figures, have changed; policies count them."""
        namespace, _, name = provider_id.partition("/")
        self._statuses.look_at(ObjectKey(Kind.LLM_PROVIDER, namespace, name))
        for key in self._gatherer.keys(namespace):
            if key.kind is Kind.COOLDOWN_POLICY:
                self._statuses.look_at(key, PROGRESS_S)

    def _is_one_more(self, change: Change) -> bool:
        """Whether this is a new pod that follows what others of its namespace do: compiled already."""
        if change.resource != POD or change.old is not None or change.new is None:
            return False
        result = self._reconciler.results.get(change.namespace)
        return result is not None and profile_of(change.new) in result.held

    def _shares(self, change: Change) -> bool:
        if change.resource == POD:
            return False
        if change.resource == PROVIDER:
            return lends(change.old) or lends(change.new)
        return any(lends(raw) for raw in self._store.all(PROVIDER, change.namespace))

    def _pod(self, sidecar: SidecarId, pod: Object | None) -> None:
        status: Any = pod.get("status") if pod is not None else None
        if pod is None or status.get("phase") in _ENDED:
            self._publisher.set_endpoint(sidecar, None)
            self._collector.forget(sidecar)
            self._host.forget(sidecar)
            self._spending.gone(sidecar)
            counts = True
        else:
            profile, address = profile_of(pod), status.get("podIP")
            ready = any(condition.get("status") == "True" for condition in status["conditions"])
            counts = self._collector.seen(sidecar, profile=profile, ready=ready)
            endpoint = Endpoint(sidecar, _uid(pod), address, profile) if address else None
            self._publisher.set_endpoint(sidecar, endpoint)
        if counts:
            self._statuses.look_at_all(sidecar.namespace, PROGRESS_S)


def _uid(raw: Object) -> str:
    return str(raw["metadata"].get("uid", ""))
