"""What this replica does when it begins to lead, goes adrift, or stands by.

When that is, is `leader.py`'s word. The order at the beginning matters: everything compiled and everything
an earlier leader wrote taken over, before the first sidecar is heard.
"""

import asyncio
import logging
from typing import Any, Final

from cliproxy_operator.alerting import Alerting
from cliproxy_operator.collect import Collector
from cliproxy_operator.exporting import Exporter
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.host import FleetHost
from cliproxy_operator.keeping import SnapshotKeeper
from cliproxy_operator.kube import ApiError
from cliproxy_operator.leader import Standing
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.pki import Pki
from cliproxy_operator.publish import Publisher
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.resync import Resync
from cliproxy_operator.statuses import Statuses
from cliproxy_operator.tasks import Tasks, happens
from cliproxy_operator.view import SidecarId

log = logging.getLogger(__name__)


AGAIN_S: Final = 1.0
"""The pause after a beginning that failed; it doubles, as each makes all links anew ..."""
AGAIN_MAX_S: Final = 30.0
"""... up to this."""
CERTIFICATE_S: Final = 2.0
"""How long the beginning waits for our certificate: with the API server answering, milliseconds."""


class Activation:
    """Follows the lease."""

    def __init__(
        self,
        *,
        resync: Resync,
        gatherer: Gatherer,
        reconciler: Reconciler,
        publisher: Publisher,
        collector: Collector,
        host: FleetHost,
        statuses: Statuses,
        alerting: Alerting,
        exporter: Exporter,
        pki: Pki | None,
        keeper: SnapshotKeeper | None,
        metrics: Metrics,
        tasks: Tasks,
    ) -> None:
        self._resync = resync
        self._gatherer = gatherer
        self._reconciler = reconciler
        self._publisher = publisher
        self._collector = collector
        self._host = host
        self._statuses = statuses
        self._alerting = alerting
        self._exporter = exporter
        self._pki = pki
        self._keeper = keeper
        self._metrics = metrics
        self._tasks = tasks
        self._beginning: asyncio.Task[Any] | None = None

    def stands(self, standing: Standing, epoch: int) -> None:
        """Take note of a new standing."""
        if self._beginning is not None:
            self._beginning.cancel()
            self._beginning = None
        match standing:
            case Standing.LEADING if self._publisher.epoch == epoch:  # it was adrift: everything still stands
                for namespace in self._gatherer.namespaces():
                    self._statuses.look_at_all(namespace)
            case Standing.LEADING:
                if self._pki is not None:
                    self._pki.lead()
                self._beginning = self._tasks.spawn(self._begin_until_done(epoch), "activation")
            case Standing.STANDBY:
                self._forget()  # first: links that end are no news for a fleet that is forgotten
                self._publisher.deactivate()
                if self._pki is not None:
                    self._pki.stand_by()
                if self._keeper is not None:
                    self._keeper.stand_by()
            case Standing.ADRIFT | Standing.UNKNOWN:
                pass  # links and documents stay; writes are refused by `Leader.may_write`

    def _forget(self) -> None:
        self._reconciler.active = False
        self._host.reset()
        self._alerting.reset()
        self._exporter.reset()
        self._reconciler.reset()

    async def _begin_until_done(self, epoch: int) -> None:
        """Begin, again if a defect ends that half-way: who holds the lease and does nothing helps nobody."""
        pause_s = AGAIN_S
        while True:
            try:
                await self._begin(epoch)
            except Exception:
                extra = {"epoch": epoch, "pause_s": pause_s}
                log.exception("the beginning failed; it is tried again", extra=extra)
                self._metrics.loop_failures.labels("activation").inc()
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, AGAIN_MAX_S)
            else:
                return

    async def _begin(self, epoch: int) -> None:
        await self._resync.synced.wait()
        self._forget()
        self._publisher.deactivate()
        self._collector.begin()
        self._statuses.begin()
        if self._pki is not None:
            self._pki.want_all()
            if not await happens(self._pki.ready, CERTIFICATE_S):
                log.warning("no certificate yet; sidecars are reached when there is one")
        self._reconciler.active = True
        compiled = [name for name in sorted(self._gatherer.namespaces()) if await self._compile(name)]
        late = self._gatherer.namespaces() - set(compiled)
        self._host.expect(self._expected())
        self._publisher.activate(epoch, late=late)
        late |= {name for name in compiled if not self._publish(name)}
        if self._keeper is not None:
            self._keeper.lead()
        for namespace in sorted(late):
            self._reconciler.changed(namespace)
        log.info("active", extra={"epoch": epoch, "namespaces": len(self._reconciler.results)})

    def _expected(self) -> list[tuple[SidecarId, frozenset[str] | None]]:
        """Return the sidecars that the leader before may have been linked with, and their providers."""
        results, held = self._reconciler.results, self._reconciler.held
        return [
            (
                one.sidecar,
                held((one.sidecar.namespace, one.profile)) if one.sidecar.namespace in results else None,
            )
            for one in self._publisher.endpoints
        ]

    async def _compile(self, namespace: str) -> bool:
        """Compile one namespace; False if that has to be done later, since others must not wait for it."""
        try:
            await self._reconciler.compile(namespace)
        except ApiError as error:
            log.warning("namespace begins late", extra={"namespace": namespace, "reason": str(error)})
            return False
        except Exception:
            log.exception("namespace begins late", extra={"namespace": namespace})
            self._metrics.loop_failures.labels("activation").inc()
            return False
        return True

    def _publish(self, namespace: str) -> bool:
        """Publish one namespace; False if a defect keeps it from that: no other's link must break for it."""
        try:
            self._reconciler.publish(namespace)
        except Exception:
            log.exception("namespace is published late", extra={"namespace": namespace})
            self._metrics.loop_failures.labels("activation").inc()
            return False
        return True
