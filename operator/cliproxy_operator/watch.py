"""Watching by kopf, in a thread and event loop of its own; each event is only handed over to the main loop.

kopf's handlers keep no state in users' objects: `on.event` alone, no annotations, no finalizers. What kopf
does not do is done elsewhere: the first lists and lost deletions (`resync.py`), retries, leadership, status.
Should kopf give up (its retries are bounded, and a deleted CRD ends a namespaced one), it is started again.
It looks once which resources there are: one that the API server did not know then makes it start anew later.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import kopf

from cliproxy_api.channel import SNAPSHOT_SECRET_TYPE
from cliproxy_operator.clock import Clock
from cliproxy_operator.kinds import CUSTOM, NAMESPACE, SECRET, WATCHED, Resource
from cliproxy_operator.kube import ApiError
from cliproxy_operator.kubeconfig import Access, open_session
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings import Settings

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.2
RETRY_MAX_S: Final = 2.0
RETRY_TOTAL_S: Final = 600.0
"""kopf tries one call that long before it gives up and is started again by us."""
RESTART_FIRST_S: Final = 1.0
RESTART_MAX_S: Final = 10.0
LOOK_S: Final = 1.0
"""Between two looks whether the API server knows a resource by now; right after its start it may not."""
STOP_S: Final = 0.5
"""How long we wait for kopf's thread; it is a daemon, so a stuck one does not keep the process."""
_UNWANTED_SECRETS: Final = (
    f"type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token,type!={SNAPSHOT_SECRET_TYPE}"
)
"""Never a provider's key, and Helm's are megabytes each, as our own snapshots may be."""


@dataclass(frozen=True, slots=True)
class Event:
    """One watch event; `type` None: the object was in a list that kopf took."""

    resource: Resource
    type: str | None
    object: dict[str, Any]


class Backoffs:
    """kopf's pauses between tries of one call: re-iterable, short, with jitter, bounded in sum."""

    def __init__(self, clock: Clock) -> None:
        self._chance = clock.chance

    def __iter__(self) -> Iterator[float]:
        """Yield pauses in seconds."""
        total_s, pause_s = 0.0, RETRY_FIRST_S
        while total_s < RETRY_TOTAL_S:
            yield pause_s * (0.5 + self._chance.random() / 2)
            total_s += pause_s
            pause_s = min(pause_s * 2, RETRY_MAX_S)


class Watch:
    """kopf as a part of this process."""

    def __init__(
        self,
        *,
        access: Access,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        listener: Callable[[Event], None],
        serves: Callable[[Resource], Awaitable[bool]],
    ) -> None:
        """`listener` is called in the loop that runs `run`; `serves`: does the API server know a resource."""
        self._serves = serves
        self._access = access
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._listener = listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._asked = False
        """Whether kopf was told to start anew: its end is no failure then."""

    async def run(self) -> None:
        """Keep kopf running until cancelled."""
        pause_s = RESTART_FIRST_S
        while True:
            absent = await self._absent()
            started_s = self._clock.now()
            await self._once(absent)
            if self._clock.now() - started_s > RETRY_TOTAL_S / 2:
                pause_s = RESTART_FIRST_S
            if self._asked:
                self._asked = False
                log.info("kopf looks anew")
                await asyncio.sleep(RESTART_FIRST_S)
                continue
            log.warning("kopf ended; it is started again", extra={"pause_s": pause_s})
            self._metrics.loop_failures.labels("kopf").inc()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RESTART_MAX_S)

    def restart(self) -> None:
        """Let kopf start anew, which makes it look again which resources there are."""
        self._asked = True
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _absent(self) -> frozenset[Resource]:
        """Return the custom resources that the API server does not know; waits until it answers.

        It may refuse to say: for a moment after its start, before it knows who may what, or for good.
        """
        while True:
            try:
                return frozenset([one for one in CUSTOM if not await self._serves(one)])
            except ApiError as error:
                if not error.away:
                    return frozenset(CUSTOM)
            await asyncio.sleep(LOOK_S)

    async def _once(self, absent: frozenset[Resource]) -> None:
        main = asyncio.get_running_loop()
        ended: asyncio.Future[None] = main.create_future()

        def work() -> None:
            try:
                asyncio.run(self._kopf(main))
            except Exception:
                log.exception("kopf failed")
            finally:
                with contextlib.suppress(RuntimeError):  # the main loop has ended before us
                    main.call_soon_threadsafe(_settle, ended)

        thread = threading.Thread(target=work, name="kopf", daemon=True)
        thread.start()
        try:
            await self._until(ended, absent)
        except asyncio.CancelledError:
            self.restart()
            await asyncio.to_thread(thread.join, STOP_S)
            raise
        finally:
            self._loop = self._stop = None

    async def _until(self, ended: asyncio.Future[None], absent: frozenset[Resource]) -> None:
        """Wait until kopf ended; end it ourselves when one of `absent` has come, so that it looks again."""
        while absent and not ended.done():
            await asyncio.wait({ended}, timeout=LOOK_S)
            if not absent <= await self._absent():
                self.restart()
                break
        await ended

    async def _kopf(self, main: asyncio.AbstractEventLoop) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        registry = kopf.OperatorRegistry()
        self._register(registry, main)
        await kopf.operator(
            registry=registry,
            settings=self._kopf_settings(),
            clusterwide=not self._settings.namespaces,
            namespaces=self._settings.namespaces,
            standalone=True,
            stop_flag=self._stop,
        )

    def _register(self, registry: kopf.OperatorRegistry, main: asyncio.AbstractEventLoop) -> None:
        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            return kopf.AiohttpSession(server=self._access.server, aiohttp_session=open_session(self._access))

        for resource in watched(self._settings):
            self._hear(resource, registry, main)

    def _hear(
        self, resource: Resource, registry: kopf.OperatorRegistry, main: asyncio.AbstractEventLoop
    ) -> None:
        @kopf.on.event(
            group=resource.group, version=resource.version, plural=resource.plural, registry=registry
        )
        async def heard(event: Any, **_: Any) -> None:
            main.call_soon_threadsafe(self._deliver, Event(resource, event["type"], event["object"]))

    def _deliver(self, event: Event) -> None:
        self._metrics.watch_events.labels(event.resource.kind, event.type or "LISTED").inc()
        self._listener(event)

    def _kopf_settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.process.ultimate_exiting_timeout = None
        settings.scanning.disabled = bool(self._settings.namespaces)
        settings.networking.error_backoffs = Backoffs(self._clock)
        settings.networking.request_timeout = 30.0
        settings.networking.connect_timeout = 3.0
        settings.watching.inactivity_timeout = self._settings.watch_idle_s
        for resource in watched(self._settings):
            if resource.selector:
                settings.watching.label_selectors[resource.api_version, resource.plural] = resource.selector
        settings.watching.field_selectors[SECRET.api_version, SECRET.plural] = _UNWANTED_SECRETS
        return settings


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def watched(settings: Settings) -> tuple[Resource, ...]:
    """Return what is watched: namespaces themselves only by an operator that serves all of them."""
    return tuple(resource for resource in WATCHED if resource != NAMESPACE or not settings.namespaces)
