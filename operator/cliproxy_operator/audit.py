"""Writes the operator's audit log: its own logger, at every log level.

What a line says and how many there are is `cliproxy_api.audit`'s.
"""

import asyncio
import logging
from typing import Any, Final

from cliproxy_api.audit import AuditEvent, AuditGate, AuditOutcome, audit_fields, remainder_fields
from cliproxy_operator.clock import Clock

log = logging.getLogger(__name__)
LOGGER: Final = __name__


class Audit:
    """One operator's audit log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gate = AuditGate()
        self._handle: asyncio.TimerHandle | None = None

    def tell(self, event: AuditEvent, outcome: AuditOutcome, *, reason: str = "", **fields: Any) -> None:
        """Write an event, or count it; `fields` are `audit_fields`'. Call it inside the event loop."""
        now = self._clock.now()
        self._remainders(now)
        if self._gate.admits(event, reason, now):
            _write(audit_fields(event, outcome, reason=reason, **fields))
        elif self._handle is None and (due := self._gate.wake_at()) is not None:
            self._handle = asyncio.get_running_loop().call_later(max(due - now, 0.0), self._settle)

    def close(self) -> None:
        """Write what has been counted so far."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        for left in self._gate.remainders(self._clock.now(), all_of_them=True):
            _write(remainder_fields(left))

    def _settle(self) -> None:
        self._handle = None
        now = self._clock.now()
        self._remainders(now)
        if (due := self._gate.wake_at()) is not None:
            self._handle = asyncio.get_running_loop().call_later(max(due - now, 0.0), self._settle)

    def _remainders(self, now: float) -> None:
        for left in self._gate.remainders(now):
            _write(remainder_fields(left))


def _write(fields: dict[str, Any]) -> None:
    log.info("%s", fields["event"], extra=fields)
