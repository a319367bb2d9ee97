"""Keeps each profile's snapshot in a Secret too, for pods that are born while the operator is away.

Runs on the leader; a Secret is written when the snapshot's digest is another, and a burst of changes costs
one write. Secrets of profiles that are gone are deleted, as they hold keys. What a snapshot is, is left to
`publish.py`, mounting it to whoever writes pods.
"""

import asyncio
import base64
import gzip
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from cliproxy_api.channel import DIGEST_ANNOTATION, SNAPSHOT_FILE, SNAPSHOT_SECRET_TYPE, snapshot_secret
from cliproxy_api.conditions import Reason
from cliproxy_operator.clock import Clock
from cliproxy_operator.kinds import SECRET
from cliproxy_operator.kube import Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.publish import Publisher
from cliproxy_operator.settings import Settings
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.validate import Diagnostic, warning
from cliproxy_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = "cliproxy-operator-snapshots"
LABELS: Final = {"app.kubernetes.io/managed-by": "cliproxy-operator", "cliproxy.io/content": "snapshot"}
MAX_BYTES: Final = 1_000_000
"""Packed; a Secret takes 1 MiB."""
SOON_S: Final = 0.5
PAUSE_S: Final = 5.0
"""Between two writes of one Secret."""
STOCK_S: Final = 300.0
"""Between looks at what is there: what somebody deleted is written again then."""

SnapshotKey = tuple[str, str]
"""(namespace, profile)."""
_STOCK: Final[SnapshotKey] = ("", "")


class SnapshotKeeper:
    """The snapshot Secrets, idle until `lead`."""

    def __init__(
        self,
        *,
        kube: Kube,
        settings: Settings,
        publisher: Publisher,
        clock: Clock,
        metrics: Metrics,
        tasks: Tasks,
        may_write: Callable[[], bool],
        profiles: Callable[[str], Collection[str] | None],
        told: Callable[[SnapshotKey], None],
    ) -> None:
        """`profiles` names a namespace's profiles, None while unknown; `told` hears of new `trouble`."""
        self._kube = kube
        self._namespaces: tuple[str | None, ...] = settings.namespaces or (None,)
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._may_write = may_write
        self._profiles = profiles
        self._told = told
        self._kept: dict[SnapshotKey, str] = {}
        """Digest of what is in each Secret that is there."""
        self._written_s: dict[SnapshotKey, float] = {}
        self._too_large: dict[SnapshotKey, int] = {}
        self._active = self._stocked = False
        self.queue: WorkQueue[SnapshotKey] = WorkQueue(
            self._work,
            name="snapshots",
            clock=clock,
            tasks=tasks,
            workers=2,
            on_defect=lambda name: metrics.loop_failures.labels(name).inc(),
        )

    def lead(self) -> None:
        """Begin to keep."""
        self._active = True
        self.queue.add(_STOCK)

    def take_stock(self) -> None:
        """Look again at what is there; only the leader does."""
        if self._active:
            self.queue.add(_STOCK)

    def stand_by(self) -> None:
        """Forget what is there: the next leader changes it."""
        self._active = self._stocked = False
        self._kept.clear()
        self._too_large.clear()

    def published(self, namespace: str) -> None:
        """A namespace's snapshots may have changed."""
        if not self._active or not self._stocked:
            return
        wanted = self._publisher.wanted(namespace)
        for key in {key for key in self._kept if key[0] == namespace} | {
            (namespace, name) for name in wanted
        }:
            if self._kept.get(key) != wanted.get(key[1]):
                wait_s = self._written_s.get(key, float("-inf")) + PAUSE_S - self._clock.now()
                self.queue.add(key, max(SOON_S, wait_s))

    def trouble(self, namespace: str, profile: str) -> tuple[Diagnostic, ...]:
        """Return what a profile's status has to say about its Secret."""
        size = self._too_large.get((namespace, profile))
        if size is None:
            return ()
        message = (
            f"the snapshot has {size} bytes packed, a Secret takes {MAX_BYTES}: pods that start while the"
            " operator is away have no configuration; let the profile select fewer providers"
        )
        return (warning(Reason.SNAPSHOT_TOO_LARGE, "", message),)

    # ------------------------------------------------------------------ work

    async def _work(self, key: SnapshotKey) -> None:
        if not self._active:
            return
        if not self._may_write():
            self.queue.add(key, PAUSE_S)
        elif key == _STOCK:
            await self._take_stock()
            self.queue.add(_STOCK, STOCK_S * (0.75 + self._clock.chance.random() / 2))
        else:
            await self._keep(key)

    async def _take_stock(self) -> None:
        """Learn which Secrets there are, and with which digests; metadata alone."""
        selected = replace(SECRET, selector="cliproxy.io/content=snapshot")
        kept: dict[tuple[str, str], str] = {}
        for namespace in self._namespaces:
            for item in await self._kube.list(selected, namespace, metadata_only=True):
                metadata = item["metadata"]
                digest = (metadata.get("annotations") or {}).get(DIGEST_ANNOTATION, "")
                kept[metadata["namespace"], metadata["name"]] = str(digest)
        if not self._active:
            return
        self._kept = {
            (namespace, profile): digest
            for (namespace, name), digest in kept.items()
            if (profile := self._profile_of(namespace, name)) is not None
        }
        self._stocked = True
        for namespace in {key[0] for key in self._kept} | self._publisher.namespaces():
            self.published(namespace)

    def _profile_of(self, namespace: str, name: str) -> str | None:
        """Return the profile whose Secret has this name; one that is gone by the name's own word."""
        for profile in self._publisher.wanted(namespace):
            if snapshot_secret(profile) == name:
                return profile
        bare = snapshot_secret("")
        return "" if name == bare else name.removeprefix(f"{bare}-") if name.startswith(bare) else None

    async def _keep(self, key: SnapshotKey) -> None:
        namespace, profile = key
        document = self._publisher.document(namespace, profile)
        if document is None:
            await self._drop(key)
            return
        if self._kept.get(key) == document.digest:
            return
        _, body = document.render()
        packed = await asyncio.to_thread(gzip.compress, body.content, mtime=0)
        if len(packed) > MAX_BYTES:
            self._note(key, len(packed))
            self._kept[key] = document.digest  # as good as it gets; what is there is older, yet it runs
            return
        data = {SNAPSHOT_FILE: base64.b64encode(packed).decode()}
        metadata = {"labels": LABELS, "annotations": {DIGEST_ANNOTATION: document.digest}}
        content = {"metadata": metadata, "type": SNAPSHOT_SECRET_TYPE, "data": data}
        name = snapshot_secret(profile)
        if not self._active or not self._may_write():
            return
        await self._kube.apply(SECRET, namespace, name, content, manager=FIELD_MANAGER)
        self._kept[key] = document.digest
        self._written_s[key] = self._clock.now()
        self._note(key, None)
        self.published(namespace)  # it may have changed meanwhile

    async def _drop(self, key: SnapshotKey) -> None:
        """Delete the Secret of a profile that is gone; one that only nobody follows now is left."""
        namespace, profile = key
        profiles = self._profiles(namespace)
        if key not in self._kept or profiles is None or profile in profiles:
            return
        await self._kube.delete(SECRET, namespace, snapshot_secret(profile))
        self._kept.pop(key, None)
        self._written_s.pop(key, None)
        self._too_large.pop(key, None)
        log.info("snapshot secret deleted", extra={"namespace": namespace, "profile": profile})

    def _note(self, key: SnapshotKey, too_large: int | None) -> None:
        if too_large == self._too_large.get(key):
            return
        if too_large is None:
            del self._too_large[key]
        else:
            self._too_large[key] = too_large
            extra = {"namespace": key[0], "profile": key[1], "bytes": too_large}
            log.warning("snapshot is too large for a secret", extra=extra)
        self._told(key)
