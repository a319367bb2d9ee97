"""How long a container that ended waits before it is started again. Pure; waiting is left to `container`."""

from __future__ import annotations

FIRST_DELAY_S = 0.2  # kubelet restarts the first time at once as well
SECOND_DELAY_S = 1.0  # kubelet: 10 s, doubling to 5 min; a demo and tests want to see it come back
LONGEST_DELAY_S = 10.0
HEALTHY_AFTER_S = 60.0  # kubelet: 10 min


class Backoff:
    """Counts a container's ends in a row."""

    def __init__(self) -> None:
        self._ends = 0

    def after_end(self, ran_for_s: float) -> float:
        """Return the seconds to wait after a run of `ran_for_s`: 0.2, 1, 2, 4, 8, 10, 10 ..."""
        if ran_for_s >= HEALTHY_AFTER_S:
            self._ends = 0
        self._ends += 1
        if self._ends == 1:
            return FIRST_DELAY_S
        return float(min(SECOND_DELAY_S * 2 ** min(self._ends - 2, 8), LONGEST_DELAY_S))
