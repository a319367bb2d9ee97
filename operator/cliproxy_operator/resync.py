"""Lists everything at the start, then now and again: what the watch may have lost is found here.

kopf loses deletions that happen while its watch is broken, so objects that a list lacks are asked for one by
one and dropped when the answer is 404. Secrets are never listed: the needed ones are asked for by name.
Says which resources cannot be listed, for readiness. What a change means is left to the store's listener.
A list that hangs, as calls to an API server may that has only just started, holds up no other, nor for long.
"""

import asyncio
import logging
from collections.abc import Collection
from typing import Final

from cliproxy_operator.clock import Clock
from cliproxy_operator.kinds import CUSTOM, SECRET, Resource
from cliproxy_operator.kube import LIST_TIMEOUT_S, ApiError, Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings import Settings
from cliproxy_operator.store import Store, name_of
from cliproxy_operator.tasks import first_failure, happens
from cliproxy_operator.vault import SecretName, Vault
from cliproxy_operator.watch import watched

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 0.2
MAX_RETRY_S: Final = 5.0
SOON_S: Final = 1.0
"""After kopf listed anew: long enough for all of that list's events to have come through."""
PATIENCE_S: Final = 5.0
"""For a page at the first try; twice as much after each failure: a slow server's large page takes longer."""
NOT_FOUND: Final = 404


class Resync:
    """The lists of all watched resources."""

    def __init__(
        self,
        *,
        kube: Kube,
        settings: Settings,
        store: Store,
        vault: Vault,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._kube = kube
        self._settings = settings
        self._store = store
        self._vault = vault
        self._clock = clock
        self._metrics = metrics
        self._due_s: dict[Resource, float] = dict.fromkeys(watched(settings), 0.0)
        self._pause_s: dict[Resource, float] = {}
        self._patience_s: dict[Resource, float] = {}
        self._wakes = {resource: asyncio.Event() for resource in self._due_s}
        self.synced = asyncio.Event()
        """Set once every resource has been listed."""
        self.problems: dict[Resource, str] = dict.fromkeys(watched(settings), "not listed yet")
        """Why a resource's last list failed; empty: all is well."""
        self._listed: set[Resource] = set()
        self._asked: set[Resource] = set()
        """To be listed again soon: asked for since the last list began, so that one may be too old."""
        self._unread: set[SecretName] = set()
        """Secrets that could not be read: asked for again soon, while the others were read just now."""
        self._secrets_due_s = 0.0
        """When all Secrets are to be asked for, whatever single ones are."""
        self._histories = 0
        """How often the data went back: a list begun before does not count."""

    def soon(self, resource: Resource) -> None:
        """List this resource again in a moment: kopf did, and tells nobody what has vanished."""
        if self.synced.is_set():
            self._secrets_due_s = 0.0 if resource == SECRET else self._secrets_due_s
            self._asked.add(resource)
            self._due_s[resource] = min(self._due_s[resource], self._clock.now() + SOON_S)
            self._wakes[resource].set()

    def anew(self) -> None:
        """List everything at once: the API server's data went back, and no event told what that changed."""
        self._store.rewind()
        self._vault.rewind()
        self._histories += 1
        self._secrets_due_s = 0.0
        self._due_s = dict.fromkeys(self._due_s, self._clock.now())
        for wake in self._wakes.values():
            wake.set()

    async def run(self) -> None:
        """List each resource when it is due, until cancelled."""
        await first_failure(*(self._keep(resource) for resource in self._due_s))

    async def _keep(self, resource: Resource) -> None:
        while True:
            self._wakes[resource].clear()
            if self._due_s[resource] <= self._clock.now():
                await self._attempt(resource)
            else:
                await happens(self._wakes[resource], self._due_s[resource] - self._clock.now())

    async def _attempt(self, resource: Resource) -> None:
        interval_s = self._settings.resync_interval_s * (0.9 + 0.2 * self._clock.chance.random())
        history = self._histories
        self._asked.discard(resource)
        try:
            if resource == SECRET:
                await self._secrets(interval_s)
            else:
                for namespace in self._settings.namespaces or (None,):
                    await self._list(resource, namespace)
        except ApiError as error:
            self._failed(resource, error)
            return
        self._metrics.resyncs.labels(resource.kind, "ok").inc()
        if history != self._histories:
            return
        due_s = self._clock.now() + (SOON_S if resource in self._asked else interval_s)
        if resource == SECRET and resource not in self._asked:
            due_s = self._secrets_due_s  # perhaps only single ones were read just now
        self._due_s[resource] = due_s
        self._pause_s.pop(resource, None)
        self._patience_s.pop(resource, None)
        if self.problems.pop(resource, None) not in (None, "not listed yet"):
            log.info("resource can be listed", extra={"resource": resource.plural})
        self._listed.add(resource)
        if len(self._listed) == len(self._due_s):
            self.synced.set()

    def _failed(self, resource: Resource, error: ApiError) -> None:
        self._metrics.resyncs.labels(resource.kind, "error").inc()
        pause_s = self._pause_s[resource] = min(
            MAX_RETRY_S, 2 * self._pause_s.get(resource, FIRST_RETRY_S / 2)
        )
        self._due_s[resource] = self._clock.now() + pause_s * (0.75 + self._clock.chance.random() / 2)
        self._patience_s[resource] = min(LIST_TIMEOUT_S, 2 * self._patience_s.get(resource, PATIENCE_S))
        words = explain(resource, error)
        if self.problems.get(resource) != words:
            log.warning("resource cannot be listed", extra={"resource": resource.plural, "reason": words})
        self.problems[resource] = words

    async def _list(self, resource: Resource, namespace: str | None) -> None:
        known = {key for key in self._store.keys(resource) if namespace is None or key[0] == namespace}
        patience_s = self._patience_s.get(resource, PATIENCE_S)
        items = await self._kube.list(resource, namespace, timeout_s=patience_s)
        for item in items:
            self._store.upsert(resource, item)
        for missing in sorted(known - {name_of(item) for item in items}):
            await self._confirm(resource, *missing)

    async def _confirm(self, resource: Resource, namespace: str, name: str) -> None:
        """Ask for one object that a list lacked; the answer decides, events may be ahead of the list."""
        held = self._store.get(resource, namespace, name)
        if held is None:
            return
        raw = await self._kube.get(resource, namespace, name)
        if self._store.get(resource, namespace, name) is not held:
            return  # an event has overtaken the answer
        if raw is not None and _selected(resource, raw):
            self._store.upsert(resource, raw, force=True)
        elif self._store.remove(
            resource, namespace, name, version=int(held["metadata"].get("resourceVersion") or 0)
        ):
            self._metrics.ghosts.labels(resource.kind).inc()
            log.info(
                "object vanished without an event",
                extra={"resource": resource.plural, "namespace": namespace, "object": name},
            )

    async def _secrets(self, interval_s: float) -> None:
        """Ask for each needed Secret; at first also whether we may list them at all, as the watch does.

        One that cannot be read (it may not be decipherable any more) keeps no other from being read, nor the
        operator from beginning; it alone is asked for until all are due again.
        """
        if SECRET not in self._listed:
            for namespace in self._settings.namespaces or (None,):
                await self._kube.may_list(SECRET, namespace)
        names = self._vault.needed()
        if self._unread and self._clock.now() < self._secrets_due_s:
            names &= self._unread
        else:
            self._secrets_due_s = self._clock.now() + interval_s
        failed = await self._read(names)
        if failed is not None and SECRET in self._listed:
            raise failed

    async def _read(self, names: Collection[SecretName]) -> ApiError | None:
        """Ask for these Secrets and note those that cannot be read; returns why the last could not."""
        self._unread, failed = set(), None
        for name in sorted(names):
            version = self._vault.version(name)
            try:
                raw = await self._kube.get(SECRET, *name)
            except ApiError as error:
                if not error.status:
                    self._unread.clear()  # nobody answers: no use asking for the others, but for all anew
                    raise
                self._unread.add(name)
                failed = error
                continue
            if raw is None:
                self._vault.lost(name, version=version)
            else:
                self._vault.put(raw)
        return failed


def _selected(resource: Resource, raw: object) -> bool:
    """Whether the object still carries the label that our lists ask for."""
    if not resource.selector or not isinstance(raw, dict):
        return True
    key, _, value = resource.selector.partition("=")
    labels = raw["metadata"].get("labels") or {}
    return bool(labels.get(key) == value)


def explain(resource: Resource, error: ApiError) -> str:
    """Return what stands in the way, and what to do about it, in one sentence."""
    if error.status == NOT_FOUND and resource in CUSTOM:
        return (
            f"{resource.kind}: the CRD {resource.plural}.{resource.group} is not installed; apply crds/,"
            " or upgrade the chart with crds.install=true"
        )
    if error.status == 403:  # noqa: PLR2004 -- HTTP's own number
        return (
            f"{resource.kind}: not allowed to list {resource.plural}; RBAC lacks it: upgrade the chart with"
            f" rbac.create=true, or grant its rbac/ ({error.message[:200]})"
        )
    return f"{resource.kind}: {error}"[:300]
