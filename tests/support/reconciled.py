"""The operator's middle over real parts, without API server or links: objects in, results and news out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cliproxy_api.resources.common import to_wire
from cliproxy_api.snapshot import Running
from cliproxy_operator.adopting import Adoptions
from cliproxy_operator.collect import Collector
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.host import FleetHost
from cliproxy_operator.inputs import AddressRules, Kind, ObjectKey
from cliproxy_operator.kinds import POD, POLICY, PROVIDER
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.publish import Publisher
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.spending import Spending
from cliproxy_operator.store import Change, Store
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.vault import Vault
from cliproxy_operator.view import SidecarId
from support.listkube import ListKube
from support.manualclock import ManualClock


class Ignoring:
    """Takes every call and does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Reconciled:
    """A leader's namespaces; `compile` works on one as the queue would."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.kube = ListKube()
        self.news: list[tuple[str, frozenset[ObjectKey]]] = []
        self.on_change: Callable[[Change], None] = lambda _change: None
        self.store = Store(self._changed)
        self.vault = Vault(lambda _namespaces: None, digest_key=b"key")
        self.gatherer = Gatherer(
            store=self.store,
            vault=self.vault,
            kube=self.kube,  # type: ignore[arg-type]
            addresses=AddressRules(),
        )
        self.publisher = Publisher(
            transport=None,  # type: ignore[arg-type]
            clock=self.clock,
            metrics=self.metrics,
            tasks=Tasks(),
        )
        self.collector = Collector(
            clock=self.clock, wanted=self.publisher.wanted_digest, behind=self.publisher.versions.behind
        )
        self.spending = Spending(
            clock=self.clock,
            on_leases=lambda: None,
            on_day=lambda: None,
            on_parts=lambda _: None,
            sidecars=lambda _owner: 1,
        )
        self.host = FleetHost(
            publisher=self.publisher,
            clock=self.clock,
            metrics=self.metrics,
            on_change=lambda _: None,
            leases=self.spending.leases,
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
            clock=self.clock,
            metrics=self.metrics,
            tasks=Tasks(),
            on_done=lambda namespace, news: self.news.append((namespace, news)),
        )
        self.reconciler.active = True
        self.publisher.activate(1)
        self._version = 0

    def provider(
        self,
        name: str = "claude",
        namespace: str = "shop",
        *,
        uid: str = "u1",
        generation: int = 1,
        **spec: Any,
    ) -> ObjectKey:
        """Have a provider without a key there."""
        plain = {"type": "openai_compatible", "baseURL": "http://127.0.0.1:1", "models": [{"name": "m"}]}
        metadata = {"uid": uid, "generation": generation}
        self._put(PROVIDER, name, namespace, metadata, spec={**plain, **spec})
        return ObjectKey(Kind.LLM_PROVIDER, namespace, name)

    def policy(self, name: str = "strict", namespace: str = "shop", **spec: Any) -> ObjectKey:
        """Have a policy there."""
        self._put(POLICY, name, namespace, {"uid": "c1", "generation": 1}, spec=spec)
        return ObjectKey(Kind.COOLDOWN_POLICY, namespace, name)

    def holds(self, key: ObjectKey, status: msgspec.Struct) -> None:
        """Have the API server hold a status of a provider, as after it was written."""
        raw = self.store.get(PROVIDER, key.namespace, key.name)
        assert raw is not None
        self._put(
            PROVIDER, key.name, key.namespace, dict(raw["metadata"]), spec=raw["spec"], status=to_wire(status)
        )

    def pod(self, name: str = "app-1", namespace: str = "shop", *, uid: str = "p1") -> SidecarId:
        """Have a sidecar pod there, running and ready."""
        status = {
            "phase": "Running",
            "podIP": "127.0.0.1",
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        self._put(POD, name, namespace, {"uid": uid}, status=status)
        sidecar = SidecarId(namespace, name)
        self.collector.seen(sidecar, profile="", ready=True)
        return sidecar

    def gone(self, sidecar: SidecarId) -> None:
        """Have a pod deleted."""
        self._version += 1
        self.store.remove(POD, sidecar.namespace, sidecar.pod, version=self._version)
        self.collector.forget(sidecar)

    async def compile(self, namespace: str = "shop") -> frozenset[ObjectKey]:
        """Work on a namespace; returns the objects that it is news for."""
        self.news.clear()
        await self.reconciler._work(namespace)
        return frozenset(key for _, news in self.news for key in news)

    def runs(self, sidecar: SidecarId) -> None:
        """Have a sidecar linked that runs what it should."""
        digest = self.publisher.wanted_digest(sidecar.namespace, "")
        assert digest is not None
        self.links(sidecar, digest=digest)

    def links(self, sidecar: SidecarId, *, digest: str) -> None:
        """Have a sidecar linked that runs this."""
        self.collector.linked(sidecar, Running(digest=digest))

    def _changed(self, change: Change) -> None:
        self.on_change(change)

    def _put(self, resource: Any, name: str, namespace: str, metadata: dict[str, Any], **more: Any) -> None:
        self._version += 1
        named = {"name": name, "namespace": namespace, "resourceVersion": str(self._version)}
        self.store.upsert(resource, {"metadata": metadata | named, **more})
