"""Makes documents reach sidecars: one link for each pod, the newest snapshot and fleet state on each.

Equal content is pushed once; each push content has its own place in the order (epoch of the leader, then a
sequence). What stands in them is left to `reconcile.py`; the single link to `link.py`.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from cliproxy_api.references import secret_references
from cliproxy_api.snapshot import Position, Snapshot
from cliproxy_api.state import FleetState
from cliproxy_operator.clock import Clock
from cliproxy_operator.documents import PartsDocument, Sequencer, SnapshotDocument, StateDocument
from cliproxy_operator.gate import Gate
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.link import Document, Link, Listener
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.transport import Transport
from cliproxy_operator.versions import Versions
from cliproxy_operator.view import SidecarId

log = logging.getLogger(__name__)

CONNECTING: Final = 64
"""Links that connect at once: a take-over of 500 sidecars must not starve the running ones."""
CONFIGURING_BYTES: Final = 32 * 2**20
"""Snapshots on their way at once: TLS holds an encrypted copy for each connection."""
PATIENCE_S: Final = 0.5
"""How long a slow sidecar keeps others waiting for either; most take milliseconds."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a sidecar is and what it follows."""

    sidecar: SidecarId
    uid: str
    """The pod's: a new pod of the same name is another sidecar."""
    address: str
    profile: str


class Publisher:
    """All links and the newest documents. Idle until `activate`."""

    def __init__(self, *, transport: Transport, clock: Clock, metrics: Metrics, tasks: Tasks) -> None:
        """`tasks` owns the links' tasks."""
        self._transport = transport
        self._listener: Listener | None = None
        self._clock = clock
        self._metrics = metrics
        self._tasks = tasks
        self._connecting = Gate(CONNECTING, patience_s=PATIENCE_S)
        self._configuring = Gate(CONFIGURING_BYTES, patience_s=PATIENCE_S)
        self._sequencer: Sequencer | None = None
        self._endpoints: dict[SidecarId, Endpoint] = {}
        self._links: dict[SidecarId, tuple[Endpoint, Link, asyncio.Task[None]]] = {}
        self._late: set[str] = set()
        """Namespaces whose sidecars are linked from their first publication on."""
        self._snapshots: dict[tuple[str, str], SnapshotDocument] = {}
        self._states: dict[str, StateDocument] = {}
        self._parts: dict[SidecarId, PartsDocument] = {}
        self.versions: Final = Versions()

    @property
    def epoch(self) -> int | None:
        """The epoch pushed under; None while idle."""
        return self._sequencer.epoch if self._sequencer is not None else None

    @property
    def endpoints(self) -> Collection[Endpoint]:
        """All sidecars that have an address."""
        return self._endpoints.values()

    def listen(self, listener: Listener) -> None:
        """Say who hears what links bring; before `activate`."""
        self._listener = listener

    def activate(self, epoch: int, *, late: Collection[str] = ()) -> None:
        """Begin to link and push under `epoch`; documents of an earlier one are forgotten.

        The sidecars of `late` namespaces wait for their namespace's first publication: before it nobody knows
        what they may speak of, and what they tell but once, when a link begins, would be lost.
        """
        if self.epoch == epoch:
            return
        self.deactivate()
        self._sequencer = Sequencer(epoch)
        self._late.update(late)
        self._relink()

    def deactivate(self) -> None:
        """Close all links and forget all documents."""
        self._sequencer = None
        self._late.clear()
        self._snapshots.clear()
        self.versions.clear()
        self._states.clear()
        self._parts.clear()
        self._relink()

    def set_endpoint(self, sidecar: SidecarId, endpoint: Endpoint | None) -> None:
        """Say where a sidecar is; None: it has gone or cannot be reached (no address yet)."""
        if endpoint is None:
            self._endpoints.pop(sidecar, None)
            self._parts.pop(sidecar, None)
        else:
            self._endpoints[sidecar] = endpoint
        self._relink_one(sidecar)

    def wanted_digest(self, namespace: str, profile: str) -> str | None:
        """Return the digest that followers of a profile should run; None: nothing is published for it."""
        document = self._snapshots.get((namespace, profile))
        return document.digest if document is not None else None

    def wanted(self, namespace: str) -> dict[str, str]:
        """Return the digests of a namespace's snapshots by profile."""
        return {key[1]: made.digest for key, made in self._snapshots.items() if key[0] == namespace}

    def namespaces(self) -> frozenset[str]:
        """Return the namespaces that have snapshots."""
        return frozenset(namespace for namespace, _ in self._snapshots)

    def document(self, namespace: str, profile: str) -> SnapshotDocument | None:
        """Return a profile's newest snapshot."""
        return self._snapshots.get((namespace, profile))

    def publish_snapshots(
        self, namespace: str, snapshots: Mapping[str, Snapshot], secrets: Mapping[str, Hidden]
    ) -> frozenset[str]:
        """Make these the namespace's snapshots by profile; returns the profiles whose snapshot is new."""
        if self._sequencer is None:
            return frozenset()
        for key in [key for key in self._snapshots if key[0] == namespace and key[1] not in snapshots]:
            del self._snapshots[key]
            self.versions.drop(key)
        changed = set()
        for profile, snapshot in snapshots.items():
            old = self._snapshots.get((namespace, profile))
            if old is not None and old.digest == snapshot.digest:
                continue
            named = secret_references(snapshot)
            own = {name: value for name, value in secrets.items() if name in named}
            self._snapshots[namespace, profile] = SnapshotDocument(snapshot, own, self._sequencer)
            self.versions.publish((namespace, profile), snapshot)
            changed.add(profile)
        for endpoint, link, _ in self._links.values():
            if endpoint.sidecar.namespace == namespace and endpoint.profile in changed:
                link.wake("snapshot")
        if namespace in self._late:
            self._late.discard(namespace)
            for sidecar in [one for one in self._endpoints if one.namespace == namespace]:
                self._relink_one(sidecar)
        return frozenset(changed)

    def drop(self, namespace: str) -> None:
        """Forget a namespace's documents: nobody is left there."""
        self._late.discard(namespace)
        self._states.pop(namespace, None)
        for key in [key for key in self._snapshots if key[0] == namespace]:
            del self._snapshots[key]
            self.versions.drop(key)

    def publish_state(self, namespace: str, state: FleetState) -> bool:
        """Make this the namespace's fleet state and wake its links at once; returns whether it is new."""
        if self._sequencer is None:
            return False
        old = self._states.get(namespace)
        if old is not None and old.state == state:
            return False
        self._states[namespace] = StateDocument(state, self._sequencer, self._clock)
        for endpoint, link, _ in self._links.values():
            if endpoint.sidecar.namespace == namespace:
                link.wake("state")
        return True

    def publish_parts(
        self, sidecar: SidecarId, providers: Mapping[str, int], consumers: Mapping[str, int]
    ) -> bool:
        """Make these one sidecar's parts of shared limits; returns whether they are new."""
        if self._sequencer is None or sidecar not in self._endpoints:
            return False
        old = self._parts.get(sidecar)
        if old is not None and (old.providers, old.consumers) == (providers, consumers):
            return False
        self._parts[sidecar] = PartsDocument(providers, consumers, self._sequencer)
        if (held := self._links.get(sidecar)) is not None:
            held[1].wake("parts")
        return True

    def renew(self) -> None:
        """Our certificate is a new one: move every link over to it."""
        for _, link, _ in self._links.values():
            link.renew()

    def outrun(self, seen: Position) -> None:
        """A sidecar has a later position of this epoch: continue after it."""
        if self._sequencer is not None:
            self._sequencer.pass_by(seen)

    def _relink(self) -> None:
        for sidecar in self._endpoints.keys() | self._links.keys():
            self._relink_one(sidecar)

    def _relink_one(self, sidecar: SidecarId) -> None:
        """Start, keep, or replace the link so that it fits the endpoint and our epoch."""
        is_wanted = self._sequencer is not None and sidecar.namespace not in self._late
        endpoint = self._endpoints.get(sidecar) if is_wanted else None
        if (held := self._links.get(sidecar)) is not None:
            old, link, task = held
            if endpoint == old and link.epoch == self.epoch:
                link.nudge()
                return
            del self._links[sidecar]
            task.cancel()
            if self._listener is not None:
                self._listener.lost(sidecar, "closed: the link is no longer wanted")
        if endpoint is not None and self._sequencer is not None and self._listener is not None:
            link = self._link(endpoint, self._sequencer.epoch, self._listener)
            task = self._tasks.forever(link.run, f"link {sidecar}")
            self._links[sidecar] = (endpoint, link, task)

    def _link(self, endpoint: Endpoint, epoch: int, listener: Listener) -> Link:
        namespace, profile = endpoint.sidecar.namespace, endpoint.profile

        def snapshot() -> Document | None:
            return self._snapshots.get((namespace, profile))

        def state() -> Document | None:
            return self._states.get(namespace)

        def parts() -> Document | None:
            return self._parts.get(endpoint.sidecar)

        return Link(
            endpoint.sidecar,
            endpoint.address,
            epoch=epoch,
            documents={"parts": parts, "state": state, "snapshot": snapshot},
            transport=self._transport,
            listener=listener,
            connecting=self._connecting,
            configuring=self._configuring,
            clock=self._clock,
            metrics=self._metrics,
        )
