"""When each sidecar of this process first saw something; whoever waits for all of them is woken.

Instants are CLOCK_MONOTONIC seconds, which all processes of one machine share.
"""

import asyncio

from cliproxy_dev.clock import now_s


class Board:
    """Instants by event and sidecar; an event that nobody can ask for any more is forgotten."""

    def __init__(self, kept: int = 200) -> None:
        self._kept = kept
        self._seen: dict[str, dict[str, float]] = {}
        self._waiting: asyncio.Event = asyncio.Event()

    def note(self, event: str, sidecar: str) -> None:
        """Note that a sidecar has seen an event now, if it has not before."""
        if event not in self._seen:
            self._seen[event] = {}
            while len(self._seen) > self._kept:
                del self._seen[next(iter(self._seen))]
        self._seen[event].setdefault(sidecar, now_s())
        self._waiting.set()

    async def when(self, event: str, count: int, within_s: float) -> dict[str, float]:
        """Return who saw it when, as soon as `count` have or the time is over."""
        end_s = now_s() + within_s
        while len(self._seen.get(event, ())) < count and (left_s := end_s - now_s()) > 0:
            self._waiting.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._waiting.wait()
            except TimeoutError:
                break
        return dict(self._seen.get(event, {}))
