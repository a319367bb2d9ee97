"""Counts failures of one scope: how many in the detection window, and how many in a row.

Whether a failure counts, and what reaching the threshold means, is decided by `scope_state`.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class FailureCount:
    """Failures of one scope. Holds at most `threshold` instants."""

    streak: int = 0
    """Failures since the last success."""
    _instants: deque[float] = field(default_factory=deque)

    def add(self, now: float, *, window_s: float, threshold: int) -> bool:
        """Count one failure; return whether `threshold` of them lie within the last `window_s` seconds."""
        self.streak += 1
        if self._instants.maxlen != threshold:
            self._instants = deque(self._instants, maxlen=threshold)
        self._instants.append(now)
        return len(self._instants) == threshold and now - self._instants[0] <= window_s

    def succeed(self) -> None:
        """Note a success: it ends the streak, while the window goes on counting."""
        self.streak = 0

    def clear(self) -> None:
        """Forget everything."""
        self.streak = 0
        self._instants.clear()

    def is_idle(self, now: float, window_s: float) -> bool:
        """Return whether forgetting this count changes nothing."""
        return self.streak == 0 and (not self._instants or now - self._instants[-1] > window_s)
