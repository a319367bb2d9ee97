"""The only writer to the API server (but for the Lease): statuses, consumed annotations, Events.

Each write asks first whether we still lead. What to write, and whether it is worth it, is left to
`statuses.py`; trying again to its queue.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from cliproxy_api.resources.common import to_wire
from cliproxy_operator import events
from cliproxy_operator.clock import Clock, rfc3339, rfc3339_micro
from cliproxy_operator.eventgate import EventGate
from cliproxy_operator.gather import RESOURCES
from cliproxy_operator.inputs import ObjectKey
from cliproxy_operator.kinds import EVENT, PROVIDER
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.store import Object, Store, version_of

log = logging.getLogger(__name__)

CONTROLLER: Final = "cliproxy-operator"
MAX_EVENT_CHARS: Final = 1000
NOT_FOUND: Final = 404
CONFLICT: Final = 409


class NotLeadingError(ApiError):
    """A write was asked for after the lease had run out; the next leader will do it."""

    def __init__(self) -> None:
        super().__init__(0, "NotLeading", "this replica does not hold the lease")


class Writer:
    """Writes, and keeps the store as new as the answers."""

    def __init__(
        self,
        *,
        kube: Kube,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        may_write: Callable[[], bool],
        instance: str,
    ) -> None:
        """`may_write` is asked right before each write; `instance` names this replica in Events."""
        self._kube = kube
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._may_write = may_write
        self._instance = instance
        self._gate = EventGate()

    async def status(self, key: ObjectKey, judged: Object, status: msgspec.Struct) -> bool:
        """Apply the status that was judged from this version of an object; False if the object is gone.

        Raises:
            ApiError: not written; judge again later. After a 409 the store holds the object as it is.

        """
        self._check()
        resource = RESOURCES[key.kind]
        started_s = self._clock.now()
        try:
            raw = await self._kube.apply_status(
                resource,
                key.namespace,
                key.name,
                to_wire(status),
                version=str(judged["metadata"].get("resourceVersion", "")),
            )
        except ApiError as error:
            if error.status == NOT_FOUND:
                return False
            if error.status == CONFLICT:
                await self._look(key)
            raise
        finally:
            self._metrics.status_write_s.labels(resource.kind).observe(self._clock.now() - started_s)
        self._store.upsert(resource, raw)
        return True

    async def remove_annotations(self, key: ObjectKey, raw: Object, names: tuple[str, ...]) -> bool:
        """Remove annotations from exactly the version that carried them; False if it is gone.

        Raises:
            ApiError: 409 if the object has changed meanwhile; look again.

        """
        self._check()
        resource = RESOURCES[key.kind]
        metadata = {"resourceVersion": str(version_of(raw)), "annotations": dict.fromkeys(names)}
        try:
            answer = await self._kube.patch_metadata(resource, key.namespace, key.name, metadata)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        self._store.upsert(resource, answer)
        return True

    async def request(self, key: ObjectKey, annotations: Mapping[str, str]) -> None:
        """Ask the leader for something by an annotation; any replica may."""
        await self._kube.patch_metadata(PROVIDER, key.namespace, key.name, {"annotations": dict(annotations)})

    async def post(self, key: ObjectKey, raw: Object, event: events.Event) -> None:
        """Post one Event about an object, in bounded numbers. Best effort: the condition says the same."""
        if not self._may_write():
            return
        level = logging.WARNING if event.type == "Warning" else logging.INFO
        told = {"kind": key.kind.value, "object": key.id, "reason": event.reason, "note": event.message}
        log.log(level, "transition", extra=told)
        left_out = self._gate.admits(key, self._clock.now())
        if left_out is None:
            return
        body = self._event(key, raw, event)
        if left_out:
            more = f" ({left_out} Events since the last one were not posted)"
            body["message"] = body["message"][: MAX_EVENT_CHARS - len(more)] + more
        try:
            await self._kube.create(EVENT, key.namespace, body)
        except ApiError as error:
            log.info(
                "event not posted", extra={"object": key.id, "reason": event.reason, "error": str(error)}
            )

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._gate.forget(key)

    async def _look(self, key: ObjectKey) -> None:
        """Read an object anew: its version counts even if it went back, as after a restored backup."""
        resource = RESOURCES[key.kind]
        held = self._store.get(resource, key.namespace, key.name)
        raw = await self._kube.get(resource, key.namespace, key.name)
        if raw is not None:
            overtaken = self._store.get(resource, key.namespace, key.name) is not held  # by an event
            self._store.upsert(resource, raw, force=not overtaken)

    def _check(self) -> None:
        if not self._may_write():
            raise NotLeadingError

    def _event(self, key: ObjectKey, raw: Object, event: events.Event) -> dict[str, Any]:
        now_utc = self._clock.utc()
        seconds = rfc3339(now_utc)
        suffix = f"{int(now_utc.timestamp() * 1e6):x}{self._clock.chance.getrandbits(16):04x}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{key.name[:200]}.{suffix}", "namespace": key.namespace},
            "involvedObject": {
                "apiVersion": RESOURCES[key.kind].api_version,
                "kind": key.kind.value,
                "namespace": key.namespace,
                "name": key.name,
                "uid": str(raw["metadata"].get("uid", "")),
                "resourceVersion": str(raw["metadata"].get("resourceVersion", "")),
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:MAX_EVENT_CHARS],
            "action": event.reason,
            "eventTime": rfc3339_micro(now_utc),
            "firstTimestamp": seconds,
            "lastTimestamp": seconds,
            "count": 1,
            "source": {"component": CONTROLLER},
            "reportingComponent": f"cliproxy.io/{CONTROLLER}",
            "reportingInstance": self._instance[:128],
        }
