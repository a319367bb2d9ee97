"""Writes the audit log of this sidecar into its log stream, whatever the log's level is.

What a line says and how many there are is `cliproxy_api.audit`'s.
"""

import asyncio
from typing import Any

from cliproxy_api.audit import AuditEvent, AuditGate, AuditOutcome, audit_fields, remainder_fields
from cliproxy_sidecar.runtime.clock import now_s, unix_now_s
from cliproxy_sidecar.runtime.logs import Logs, rfc3339
from cliproxy_sidecar.runtime.timers import WakeTimer

LOGGER = "cliproxy_sidecar.audit"


class Audit:
    """One sidecar's audit log; made inside a running event loop."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._gate = AuditGate()
        self._timer = WakeTimer(asyncio.get_running_loop(), self._settle)

    def tell(self, event: AuditEvent, outcome: AuditOutcome, *, reason: str = "", **fields: Any) -> None:
        """Write an event, or count it; `fields` are `audit_fields`'."""
        now = now_s()
        self._remainders(now)
        if self._gate.admits(event, reason, now):
            self._write(audit_fields(event, outcome, reason=reason, **fields))
        else:
            self._timer.arm(self._gate.wake_at(), now)

    def close(self) -> None:
        """Write what has been counted so far."""
        self._timer.cancel()
        for left in self._gate.remainders(now_s(), all_of_them=True):
            self._write(remainder_fields(left))

    def _settle(self) -> None:
        now = now_s()
        self._remainders(now)
        self._timer.arm(self._gate.wake_at(), now)

    def _remainders(self, now: float) -> None:
        for left in self._gate.remainders(now):
            self._write(remainder_fields(left))

    def _write(self, fields: dict[str, Any]) -> None:
        head = {"timestamp": rfc3339(unix_now_s()), "level": "info", "logger": LOGGER, "msg": fields["event"]}
        self._logs.audit({**head, **fields})
