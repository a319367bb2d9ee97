"""How much was taken in the last minute: never more than the limit in any window.

A ring of sixtieths, so memory is bounded and what has left the window is forgotten late, never early. What is
counted, requests or tokens, is `limiter`'s.
"""

from collections import deque
from typing import Final

MINUTE_S: Final = 60.0
PARTS: Final = 60
"""A window's steps: after a full window room comes back a sixtieth at a time."""


class Window:
    """A sliding minute. `now` is monotonic seconds and never goes back.

    A share of less than one a minute (many sidecars, a small limit) is one in a longer window.
    """

    __slots__ = ("_allowed", "_latest", "_parts", "_span_s", "_total", "_width_s")

    def __init__(self, per_minute: float) -> None:
        self._parts: deque[list[int]] = deque()
        """[part, amount], the oldest first."""
        self._total = 0
        self._latest = 0.0
        """When something was taken last."""
        self._width_s = self._span_s = 0.0
        self.limit(per_minute)

    def limit(self, per_minute: float) -> None:
        """Allow so much from now on (above 0); what was taken stays taken."""
        span_s = MINUTE_S if per_minute >= 1 else MINUTE_S / per_minute
        self._allowed = max(int(per_minute), 1)
        width_s = span_s / PARTS
        if self._parts and width_s != self._width_s:
            scale, latest = self._width_s / width_s, int(self._latest / width_s)
            self._parts = deque(
                [min(int((part + 1) * scale), latest), amount] for part, amount in self._parts
            )
        self._span_s, self._width_s = span_s, width_s

    def free_at(self, amount: int, now: float) -> float:
        """Return when so much can be taken: at most `now` if it can be at once.

        More than the whole limit counts as the whole limit, so that nothing waits for ever.
        """
        self._forget(now)
        missing = self._total + min(amount, self._allowed) - self._allowed
        if missing <= 0:
            return now
        at = now
        for part, taken in self._parts:
            missing -= taken
            at = self._leaves(part)
            if missing <= 0:
                break
        return at

    def take(self, amount: int, now: float) -> int:
        """Count so much, room or not; return the part it stands in, for `give_back`."""
        self._latest = now
        part = int(now / self._width_s)
        parts = self._parts
        if parts and parts[-1][0] >= part:
            part = parts[-1][0]
            parts[-1][1] += amount
        else:
            parts.append([part, amount])
        self._total += amount
        return part

    def give_back(self, part: int, amount: int) -> None:
        """Take so much out of a part again, if the window still holds it."""
        for held in reversed(self._parts):
            if held[0] <= part:
                returned = min(amount, held[1]) if held[0] == part else 0
                held[1] -= returned
                self._total -= returned
                return

    def used(self, now: float) -> int:
        """Return how much the window holds."""
        self._forget(now)
        return self._total

    def _leaves(self, part: int) -> float:
        """Return when all of a part has left the window."""
        return (part + 1) * self._width_s + self._span_s

    def _forget(self, now: float) -> None:
        parts = self._parts
        while parts and self._leaves(parts[0][0]) <= now:
            self._total -= parts.popleft()[1]
