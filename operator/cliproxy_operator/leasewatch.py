"""Hears at once when the Lease is given back, so that a standby need not wait for its next look.

A hint and no more: who leads is found out by looking (`leader.py`), which goes on as often as without this;
whoever may not watch only hears up to that pause later. Watches while this replica stands by.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final

from cliproxy_operator import lease
from cliproxy_operator.clock import Clock
from cliproxy_operator.kinds import LEASE
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.leader import Standing
from cliproxy_operator.settings import Settings

log = logging.getLogger(__name__)

AGAIN_S: Final = 2.0
"""Between two watches at least, with jitter."""
REFUSED_S: Final = 300.0
"""Before asking again for what we are not allowed: somebody may have mended the Role."""
_REFUSED: Final = frozenset({401, 403, 405})


class LeaseWatch:
    """The watch of a standby."""

    def __init__(self, *, kube: Kube, settings: Settings, clock: Clock, free: Callable[[], None]) -> None:
        """`free` is called when nobody holds the Lease any more."""
        self._kube = kube
        self._namespace, self._name = settings.pod_namespace, settings.lease_name
        self._clock = clock
        self._free = free
        self._standby = asyncio.Event()

    def stands(self, standing: Standing) -> None:
        """Take note of a new standing; a watch that is open ends with the next change of the Lease."""
        if standing is Standing.STANDBY:
            self._standby.set()
        else:
            self._standby.clear()

    async def run(self) -> None:
        """Watch whenever this replica stands by, until cancelled."""
        while True:
            await self._standby.wait()
            pause_s = AGAIN_S
            try:
                await self._watch()
            except ApiError as error:
                if error.status in _REFUSED:
                    pause_s = REFUSED_S
                    log.info(
                        "the Lease cannot be watched: a leader's going is noticed a little later",
                        extra={"lease": f"{self._namespace}/{self._name}", "reason": str(error)},
                    )
            await asyncio.sleep(pause_s * (0.5 + self._clock.chance.random() / 2))

    async def _watch(self) -> None:
        async with aclosing(self._kube.watch(LEASE, self._namespace, self._name)) as events:
            async for event in events:
                if not self._standby.is_set():
                    return
                if _is_free(event):
                    self._free()


def _is_free(event: dict[str, Any]) -> bool:
    kind, raw = event.get("type"), event.get("object") or {}
    if kind == "DELETED":
        return True
    return kind in ("ADDED", "MODIFIED") and not lease.record(raw).holder
