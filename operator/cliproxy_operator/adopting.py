"""Which restored run-time state is to be taken over, and which has been: by the annotation and by status.

An object out of a backup carries its state as an annotation; `status.restoredFrom` says that it has been
taken over, in the same write that shows the effect. What taking over means is `reconcile`'s and `alerting`'s.
"""

import logging
from datetime import datetime
from typing import TypeVar

import msgspec

from cliproxy_api.conditions import Reason
from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.restored import UnreadableStateError, fresh_state, read_state
from cliproxy_api.vocabulary import RESTORE_ANNOTATION
from cliproxy_operator.inputs import ObjectKey
from cliproxy_operator.validate import Diagnostic, Severity

log = logging.getLogger(__name__)

R = TypeVar("R", LLMProvider, ProxyProfile, AlertRule)


class Adoptions:
    """What this leadership has taken over."""

    def __init__(self) -> None:
        self._taken: dict[ObjectKey, tuple[str, str]] = {}
        """By object: its uid and the backup's id."""
        self._faults: dict[ObjectKey, str] = {}

    def reset(self) -> None:
        """Forget everything, as before a new leadership: what counts is in status."""
        self._taken.clear()
        self._faults.clear()

    def wanted(self, key: ObjectKey, entry: R, now_utc: datetime) -> R | None:
        """Return the object with what is to be taken over now as its status; None: nothing, or done already.

        What has expired is left out. `status.restored_from` is the id of the backup.
        """
        try:
            state = read_state(entry.metadata.annotations)
            if state is None or state.id == entry.status.restored_from:
                return None
            if self._taken.get(key) == (entry.metadata.uid, state.id):
                return None
            fresh, notes = fresh_state(key.kind.value, state.status, now_utc)
            status = msgspec.convert({**fresh, "restoredFrom": state.id}, type(entry.status))
        except (UnreadableStateError, msgspec.ValidationError) as error:
            self._refuse(key, str(error))
            return None
        self._faults.pop(key, None)
        for note in notes:
            log.info("restored state is over", extra={"kind": key.kind, "object": key.id, "reason": note})
        return msgspec.structs.replace(entry, status=status)

    def took(self, key: ObjectKey, entry: LLMProvider | ProxyProfile | AlertRule) -> None:
        """Note that what `wanted` returned is in force from now on."""
        id_ = entry.status.restored_from or ""
        self._taken[key] = (entry.metadata.uid, id_)
        log.info("restored state taken over", extra={"kind": key.kind, "object": key.id, "backup": id_})

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._taken.pop(key, None)
        self._faults.pop(key, None)

    def marker(self, key: ObjectKey, before: str | None) -> str | None:
        """Return `status.restoredFrom`; `before` is what it says now."""
        taken = self._taken.get(key)
        return taken[1] if taken is not None else before

    def trouble(self, key: ObjectKey) -> tuple[Diagnostic, ...]:
        """Return what an object's status has to say about its annotation."""
        fault = self._faults.get(key)
        if fault is None:
            return ()
        path = f"metadata.annotations[{RESTORE_ANNOTATION}]"
        message = f"is not what `cliproxy restore` writes, so nothing was taken over: {fault}"
        return (Diagnostic(Severity.WARNING, Reason.NO_EFFECT, path, message),)

    def _refuse(self, key: ObjectKey, fault: str) -> None:
        if self._faults.get(key) != fault:
            log.warning("restored state refused", extra={"kind": key.kind, "object": key.id, "reason": fault})
        self._faults[key] = fault
