"""Tells the audit log that an object of ours has changed: seen by the leader, with the field managers' names.

Objects that were there when this process began are no news. Who asked for a change is told at admission.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from cliproxy_api.audit import AuditEvent, AuditOutcome
from cliproxy_operator.audit import Audit
from cliproxy_operator.changers import changed_fields, managers_of_change
from cliproxy_operator.instants import read_instant
from cliproxy_operator.kinds import CUSTOM
from cliproxy_operator.store import Change

MAX_FIELDS: Final = 12


class ConfigurationTrail:
    """One replica's eye on our kinds."""

    def __init__(self, audit: Audit, *, began_utc: datetime, leads: Callable[[], bool]) -> None:
        """`leads`: only the leader tells, lest each change is told by every replica."""
        self._audit = audit
        self._began_utc = began_utc.replace(microsecond=0)
        self._leads = leads

    def changed(self, change: Change) -> None:
        """One object changed in the store."""
        if change.resource not in CUSTOM or not self._leads():
            return
        fields: tuple[str, ...] = ()
        managers: tuple[str, ...] = ()
        if change.new is None:
            verb = "delete"
        elif change.old is None:
            made_utc = read_instant(str(change.new["metadata"].get("creationTimestamp", "")))
            if made_utc is None or made_utc < self._began_utc:
                return
            verb = "create"
            managers = managers_of_change(None, change.new)
        else:
            fields = changed_fields(change.old.get("spec"), change.new.get("spec"))
            if not fields:
                return
            verb, managers = "update", managers_of_change(change.old, change.new)
        self._audit.tell(
            AuditEvent.CONFIGURATION_CHANGE,
            AuditOutcome.DONE,
            reason=verb,
            who=", ".join(managers),
            subject=f"{change.resource.kind}/{change.namespace}/{change.name}",
            fields=list(fields[:MAX_FIELDS]),
            generation=(change.new or {}).get("metadata", {}).get("generation"),
        )
