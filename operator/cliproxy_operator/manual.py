"""What people ask for by annotations on an LLMProvider: `cliproxy.io/cooldown` and `cliproxy.io/recover`.

Taken once, remembered until the annotation is gone, removed after the status shows the effect. The effect
itself is `host.py`'s.
"""

import logging
from dataclasses import dataclass
from typing import Any, Final

from cliproxy_api.audit import AuditEvent, AuditOutcome
from cliproxy_api.durations import parse_duration_s
from cliproxy_api.vocabulary import COOLDOWN_ANNOTATION, MANUAL_REASON, RECOVER_ANNOTATION
from cliproxy_operator.apply import Writer
from cliproxy_operator.audit import Audit
from cliproxy_operator.changers import manager_of_annotation
from cliproxy_operator.events import Event
from cliproxy_operator.host import FleetHost
from cliproxy_operator.inputs import ObjectKey
from cliproxy_operator.kinds import PROVIDER
from cliproxy_operator.store import Object, Store

log = logging.getLogger(__name__)

MAX_COOLDOWN_S: Final = 30 * 86_400.0
"""A longer wish is `enabled: false`."""
MAX_VALUE_CHARS: Final = 200
"""Of an annotation, in log lines, Events and the audit trail."""
NAMES: Final = (RECOVER_ANNOTATION, COOLDOWN_ANNOTATION)


@dataclass(frozen=True, slots=True)
class Asked:
    """Annotations found on one object."""

    uid: str
    values: tuple[tuple[str, str], ...]


def cooldown_s(text: str) -> float:
    """Return how long a person wants a provider to sit out, in seconds, above 0.

    Raises:
        ValueError: not a duration, or out of bounds; the message says what would do.

    """
    seconds = parse_duration_s(text.strip())
    if not 0 < seconds <= MAX_COOLDOWN_S:
        raise ValueError(
            f"{text[:40]!r} is not between 1s and 720h; to stop using a provider set enabled: false"
        )
    return seconds


class Manual:
    """Annotations taken and not yet removed."""

    def __init__(self, *, store: Store, host: FleetHost, writer: Writer, audit: Audit) -> None:
        self._audit = audit
        self._store = store
        self._host = host
        self._writer = writer
        self._taken: dict[ObjectKey, Asked] = {}
        self._faults: dict[ObjectKey, str] = {}

    def take(self, key: ObjectKey, raw: Object) -> Asked | None:
        """Put into effect what is asked for and has not been yet; None if nothing is asked for."""
        asked = _asked(raw)
        if asked is None:
            self._taken.pop(key, None)
            return None
        before = self._taken.get(key)
        if before != asked:
            self._taken[key] = asked
            # What was taken and is not removed yet must not undo what was asked since.
            old = dict(before.values) if before is not None and before.uid == asked.uid else {}
            wishes = {name: value for name, value in asked.values if old.get(name) != value}
            if RECOVER_ANNOTATION in wishes:
                self._host.recover(key.id)
                self._tell(AuditEvent.MANUAL_RECOVERY, key, raw, RECOVER_ANNOTATION)
            if COOLDOWN_ANNOTATION in wishes:
                wish = wishes[COOLDOWN_ANNOTATION]
                fault = self._cool(key, wish)
                self._tell(AuditEvent.MANUAL_COOLDOWN, key, raw, COOLDOWN_ANNOTATION, fault=fault, wish=wish)
        return asked

    def begin(self) -> None:
        """A new leadership begins: what is asked for now may have been asked since another leader's."""
        self._taken.clear()
        self._faults.clear()

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._taken.pop(key, None)
        self._faults.pop(key, None)

    async def settle(self, key: ObjectKey, asked: Asked) -> None:
        """Remove the annotations that were taken, if they still say the same.

        Raises:
            ApiError: not removed; look again. The effect is not repeated.

        """
        raw = self._store.get(PROVIDER, key.namespace, key.name)
        if raw is None or _asked(raw) != asked:
            return
        if fault := self._faults.pop(key, ""):
            await self._writer.post(
                key, raw, Event(type="Warning", reason="AnnotationIgnored", message=fault)
            )
        if await self._writer.remove_annotations(key, raw, tuple(name for name, _ in asked.values)):
            self._taken.pop(key, None)

    def _tell(
        self,
        event: AuditEvent,
        key: ObjectKey,
        raw: Object,
        annotation: str,
        *,
        fault: str = "",
        wish: str | None = None,
    ) -> None:
        self._audit.tell(
            event,
            AuditOutcome.REFUSED if fault else AuditOutcome.DONE,
            reason=fault,
            who=manager_of_annotation(raw, annotation),
            subject=f"{key.kind.value}/{key.namespace}/{key.name}",
            via=f"annotation {annotation}",
            duration=wish,
        )

    def _cool(self, key: ObjectKey, text: str) -> str:
        """Put a cooldown into effect; return why not, "" if it is."""
        try:
            known = self._host.cooldown(key.id, cooldown_s(text), MANUAL_REASON)
            fault = "" if known else "the provider is not in use: it is disabled or not accepted"
        except ValueError as error:
            fault = str(error)
        if fault:
            self._faults[key] = f"{COOLDOWN_ANNOTATION}: {fault}"
        log.info(
            "cooldown asked for by annotation", extra={"provider": key.id, "value": text, "fault": fault}
        )
        return fault


def _asked(raw: Any) -> Asked | None:
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    values = tuple((name, _bounded(str(annotations[name]))) for name in NAMES if name in annotations)
    return Asked(uid=str(metadata.get("uid", "")), values=values) if values else None


def _bounded(text: str) -> str:
    """Return an annotation's value (256 KiB at most) fit for a log; no cut one is a duration."""
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}…"
