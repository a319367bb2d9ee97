"""What every replica does, leading or not: it watches, keeps what it saw, and takes part in the election.

What is to be done about what it sees is its listener's, as is all that only the leader does (`wiring.py`).
"""

import asyncio
import os
from typing import Any, Final, Protocol

from cliproxy_operator.addresses import endpoint_of
from cliproxy_operator.audit import Audit
from cliproxy_operator.clock import Clock
from cliproxy_operator.controlchannel import ControlChannel
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.inputs import AddressRules
from cliproxy_operator.kube import Kube
from cliproxy_operator.kubeconfig import Access
from cliproxy_operator.leader import Leader, Standing
from cliproxy_operator.leasewatch import LeaseWatch
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.pki import Pki
from cliproxy_operator.resync import Resync
from cliproxy_operator.settings import Settings
from cliproxy_operator.store import Change, Store
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.transport import Transport
from cliproxy_operator.vault import Vault
from cliproxy_operator.watch import Event, Watch

ELECTION_END_S: Final = 0.2


class Listener(Protocol):
    """Who is told what a replica sees. Called in the loop; none of these may wait."""

    def heard(self, event: Event) -> None:
        """Take one watch event."""

    def changed(self, change: Change) -> None:
        """Take note that an object in the store has changed."""

    def secret_changed(self, namespaces: frozenset[str]) -> None:
        """Take note that a Secret has changed which snapshots of these namespaces name."""

    def stands(self, standing: Standing, epoch: int) -> None:
        """Take note of a new standing in the election."""

    def went_back(self) -> None:
        """Take note that the API server's data may be of another history than what is known."""


class Replica:
    """One replica's eyes and its memory. Made inside the main loop."""

    def __init__(
        self,
        *,
        settings: Settings,
        access: Access,
        clock: Clock,
        listener: Listener,
        transport: Transport | None = None,
    ) -> None:
        """`transport` stands in for the one that the settings choose."""
        self.settings = settings
        self.clock = clock
        self.metrics = metrics = Metrics()
        self.tasks = Tasks(on_failure=lambda name: metrics.loop_failures.labels(name.split()[0]).inc())
        self.audit = Audit(clock)
        self.kube = Kube(access, metrics)
        self.store = Store(listener.changed)
        self.vault = Vault(listener.secret_changed, digest_key=os.urandom(32))
        self.addresses = AddressRules(
            allow_link_local=settings.allow_link_local,
            allow_api_server=settings.allow_api_server,
            api_servers=frozenset({endpoint_of(access.server)}),
        )
        self.gatherer = Gatherer(store=self.store, vault=self.vault, kube=self.kube, addresses=self.addresses)
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
            listener=listener.heard,
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
        self.pki = self._authority() if transport is None else None
        self.channel = (
            ControlChannel.of(settings, vault=self.vault, pki=self.pki)
            if transport is None
            else ControlChannel(transport=transport)
        )
        self._listener = listener
        self._electing: asyncio.Task[Any] | None = None

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

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Start all loops, the election last."""
        self.tasks.forever(self.resync.run, "resync")
        self.tasks.forever(self.watch.run, "watch")
        self.tasks.forever(self.lease_watch.run, "lease")
        if self.pki is not None:
            self.tasks.forever(self.pki.queue.run, "pki")
        self._electing = self.tasks.forever(self.leader.run, "leader")

    async def resign(self) -> None:
        """Leave the election and give the lease back, so that another replica leads at once."""
        if self._electing is not None:
            self._electing.cancel()
            await asyncio.wait({self._electing}, timeout=ELECTION_END_S)
        await self.leader.release()

    async def close(self) -> None:
        """End all loops and close all connections."""
        await self.tasks.stop()
        self.audit.close()
        await self.channel.transport.close()
        await self.kube.close()

    def problems(self) -> list[str]:
        """Return why this replica cannot see or lead; empty: nothing keeps it from that."""
        found = sorted(self.resync.problems.values()) if not self.resync.synced.is_set() else []
        if self.leader.standing is Standing.UNKNOWN:
            found.append(self.leader.problem)
        if words := self.channel.problem():
            found.append(words)
        return found

    # ------------------------------------------------------------------ from the election

    def _stands(self, standing: Standing, epoch: int) -> None:
        self.lease_watch.stands(standing)
        self._listener.stands(standing, epoch)

    def _went_back(self) -> None:
        """The API server's data were restored from a backup: what is known is of another history.

        kopf would go on watching from a version that is yet to come, and hear nothing until then.
        """
        self.resync.anew()
        self.gatherer.rewind()
        self.watch.restart()
        self._listener.went_back()
