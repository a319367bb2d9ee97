"""How many further attempts all requests together may make, so that an outage is not multiplied by retries.

One request's own bounds are `retry`'s. A share of the recent requests, as in Finagle and linkerd, rather than
a number: it follows the traffic; a floor lets quiet sidecars retry all the same.
"""

from typing import Final

from cliproxy_api.snapshot import RetryBudget

WINDOW_S: Final = 10
"""Requests of this time count; the field's description in the CRD names it."""


class FurtherAttempts:
    """Requests and further attempts of the last ten seconds. `now` is monotonic seconds."""

    __slots__ = ("_further", "_requests", "_second", "refused")

    def __init__(self) -> None:
        self._second = 0
        self._requests = [0] * WINDOW_S
        """One slot a second."""
        self._further = [0] * WINDOW_S
        self.refused = 0
        """Further attempts that were not made, since the start."""

    def began(self, now: float) -> None:
        """Count a request that makes its first attempt."""
        second = int(now)
        if second != self._second:
            self._turn(second)
        self._requests[second % WINDOW_S] += 1

    def take(self, rules: RetryBudget, now: float) -> bool:
        """Return whether one more attempt may be made, and count it if so."""
        second = int(now)
        if second != self._second:
            self._turn(second)
        share = sum(self._requests) * rules.percent // 100
        if sum(self._further) >= share + rules.min_per_second * WINDOW_S:
            self.refused += 1
            return False
        self._further[second % WINDOW_S] += 1
        return True

    def _turn(self, second: int) -> None:
        """Forget the seconds that have left the window."""
        for passed in range(max(self._second + 1, second - WINDOW_S + 1), second + 1):
            self._requests[passed % WINDOW_S] = self._further[passed % WINDOW_S] = 0
        self._second = second
