"""Looks for pods that ask for a sidecar and have none, or an old one; the leader does, now and again.

Webhooks fail open, so somebody has to look. Pods without a sidecar are not watched (they may be all pods of a
cluster): their metadata is listed, only of those that ask. How a pod stands is `injected.py`'s word.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from cliproxy_api.vocabulary import INJECT_LABEL, SIDECAR_LABEL
from cliproxy_operator.clock import Clock
from cliproxy_operator.inject.verdict import NEVER_NAMESPACES
from cliproxy_operator.injected import Asking, Group, State, injected, missing, sum_up
from cliproxy_operator.kinds import NAMESPACE, POD, Resource
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings import Settings
from cliproxy_operator.store import Object, Store
from cliproxy_operator.view import InjectionView

log = logging.getLogger(__name__)

RETRY_S: Final = 5.0
STANDBY_S: Final = 1.0
"""Between questions whether we lead by now."""
_LIVING: Final = "status.phase!=Succeeded,status.phase!=Failed"
_ENDED: Final = frozenset({"Succeeded", "Failed"})
_ASKING: Final = f"{INJECT_LABEL}=true,{SIDECAR_LABEL}!=true"
_SILENT: Final = f"{INJECT_LABEL}!=true,{INJECT_LABEL}!=false,{SIDECAR_LABEL}!=true"
"""Of a namespace that asks for all its pods."""


class Survey:
    """The newest findings."""

    def __init__(
        self,
        *,
        kube: Kube,
        store: Store,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        may_write: Callable[[], bool],
        on_change: Callable[[frozenset[Group]], None],
    ) -> None:
        """`on_change` is told the groups with other findings than before."""
        self._kube = kube
        self._store = store
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._may_write = may_write
        self._on_change = on_change
        self.groups: dict[Group, InjectionView] = {}
        """By namespace and profile ("" is the defaults'); what asks for nothing is not in here."""
        self.pending = False
        """Whether somebody is to look who has not yet."""

    async def run(self, *, digest: Callable[[], str], interval_s: float) -> None:
        """Look again and again while leading, until cancelled; `digest` is the current template's."""
        self.pending = True
        while True:
            pause_s = min(STANDBY_S, interval_s)
            if self._may_write():
                try:
                    await self._look(digest())
                    self._metrics.surveys.labels("ok").inc()
                    pause_s = interval_s * (0.9 + 0.2 * self._clock.chance.random())
                except ApiError as error:
                    log.warning("pods cannot be surveyed", extra={"reason": str(error)})
                    self._metrics.surveys.labels("error").inc()
                    pause_s = RETRY_S
            await asyncio.sleep(pause_s)

    async def _look(self, digest: str) -> None:
        asking = [*self._with(digest), *[one async for one in self._without()]]
        before, self.groups = self.groups, sum_up(asking)
        self.pending = False
        for state in State:
            count = sum(one.state is state for one in asking)
            self._metrics.injection.labels(state.value).set(count)
        groups = {*before, *self.groups}
        changed = frozenset(group for group in groups if before.get(group) != self.groups.get(group))
        if changed:
            self._on_change(changed)

    def _with(self, digest: str) -> Iterator[Asking]:
        """Yield the pods that were injected; they are watched."""
        for pod in self._store.all(POD):
            one = injected(pod, digest)
            if one is not None and pod["status"]["phase"] not in _ENDED:
                yield one

    async def _without(self) -> AsyncIterator[Asking]:
        """Yield the pods that ask and have none.

        Raises:
            ApiError: they cannot be listed now.

        """
        for namespace in self._settings.namespaces or (None,):
            async for one in self._list(namespace, _ASKING):
                yield one
        for namespace in await self._asking_namespaces():
            async for one in self._list(namespace, _SILENT):
                yield one

    async def _asking_namespaces(self) -> list[str]:
        """Return the namespaces that ask for all their pods; a namespaced install does not watch its own."""
        if not self._settings.namespaces:
            held = list(self._store.all(NAMESPACE))
        else:
            answers = [await self._kube.get(NAMESPACE, None, name) for name in self._settings.namespaces]
            held = [raw for raw in answers if raw is not None]
        return [str(raw["metadata"]["name"]) for raw in held if _labels(raw).get(INJECT_LABEL) == "true"]

    async def _list(self, namespace: str | None, selector: str) -> AsyncIterator[Asking]:
        pods = Resource("Pod", "", "v1", "pods", selector=selector)
        for pod in await self._kube.list(pods, namespace, fields=_LIVING, metadata_only=True):
            home = pod["metadata"].get("namespace", "")
            if home in NEVER_NAMESPACES or home == self._settings.pod_namespace:
                continue
            if (one := missing(pod)) is not None:
                yield one


def _labels(raw: Object) -> dict[str, str]:
    return raw["metadata"].get("labels") or {}
