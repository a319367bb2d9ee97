"""How often one sidecar found an answer kept, in the last minute: totals since its start in, differences out.

Bounded: one sample every five seconds of a minute. Adding up over sidecars is `collect`'s.
"""

from collections import deque
from typing import Final

from cliproxy_api.report import Reused

WINDOW_S: Final = 60.0
STEP_S: Final = 5.0


class HitRate:
    """Hits and lookups of one sidecar. `now` is monotonic seconds and never goes back."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque()
        """(time, hits, lookups): one that is older than the window, then those in it."""

    def note(self, told: Reused, now: float) -> None:
        """Take a sidecar's totals; smaller ones than before are those of its next life."""
        hits = told.hits + told.redis_hits
        lookups = hits + told.misses
        samples = self._samples
        if samples and lookups < samples[-1][2]:
            samples.clear()
            samples.append((now, 0, 0))
        if len(samples) > 1 and samples[-1][0] - samples[-2][0] < STEP_S:
            samples.pop()
        samples.append((now, hits, lookups))
        self._forget(now)

    def last_minute(self, now: float) -> tuple[int, int]:
        """Return hits and lookups of the last minute, exact to some seconds."""
        self._forget(now)
        if not self._samples:
            return 0, 0
        first, last = self._samples[0], self._samples[-1]
        return last[1] - first[1], last[2] - first[2]

    def _forget(self, now: float) -> None:
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()
