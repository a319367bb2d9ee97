"""What was used in a day, a week or a month, by the whole fleet as far as it is known here.

The fleet's figure comes with the operator's documents; what this sidecar has used since, and what its
requests in flight have reserved, comes on top. Limits are the owners': `gates` for quotas, `callers` for
budgets.
"""

from datetime import datetime, timedelta
from typing import Final

from cliproxy_api.periods import period_end
from cliproxy_api.vocabulary import QuotaReset

LOOK_S: Final = 10.0
"""Wall clocks are put right at times: so much later at most is a period's end seen."""


class Wall:
    """The wall clock for machines that are told monotonic time: one known pair, renewed now and then."""

    __slots__ = ("_at", "_utc")

    def __init__(self, now: float, utc: datetime) -> None:
        self._at, self._utc = now, utc

    def set(self, now: float, utc: datetime) -> None:
        """Take a newer pair: wall clocks are put right at times."""
        self._at, self._utc = now, utc

    def utc(self, now: float) -> datetime:
        """Return the wall clock's time at a monotonic second."""
        return self._utc + timedelta(seconds=now - self._at)

    def at(self, utc: datetime) -> float:
        """Return the monotonic second of an instant."""
        return self._at + (utc - self._utc).total_seconds()


class Period:
    """One figure that begins anew with each period. `now` is monotonic seconds."""

    __slots__ = (
        "_fleet",
        "_known",
        "_look_at",
        "_own",
        "_reported",
        "_reset",
        "_wall",
        "ends_utc",
        "reserved",
    )

    def __init__(self, reset: QuotaReset, wall: Wall, now: float) -> None:
        self._reset = reset
        self._wall = wall
        self.ends_utc = period_end(reset, wall.utc(now))
        self._fleet = 0
        """Used by all, as the operator told last."""
        self._known = 0
        """How much of `_own` the operator's figure holds."""
        self._own = 0
        """Used here in this period."""
        self._reported = 0
        """How much of `_own` the operator has been told."""
        self._look_at = 0.0
        """When to ask the wall clock again; before, the period cannot have ended."""
        self.reserved = 0
        """By requests in flight."""

    def used(self, now: float) -> int:
        """Return what the period has used, what is reserved included."""
        if now >= self._look_at:
            self._roll(now)
        return self._fleet + self._own - self._known + self.reserved

    def since_told(self, now: float) -> int:
        """Return what was used and reserved here since the operator's figure."""
        if now >= self._look_at:
            self._roll(now)
        return self._own - self._known + self.reserved

    def fleet(self, now: float) -> int:
        """Return the operator's figure."""
        if now >= self._look_at:
            self._roll(now)
        return self._fleet

    def ends(self, now: float) -> float:
        """Return when the next period begins, in monotonic seconds."""
        self._roll(now)
        return self._wall.at(self.ends_utc)

    def reserve(self, amount: int) -> None:
        """Set so much aside for a request; `settle` gives it back."""
        self.reserved += amount

    def settle(self, reserved: int, used: int, now: float) -> None:
        """Count what a request has used, in the period in which it ends."""
        if now >= self._look_at:
            self._roll(now)
        self.reserved -= reserved
        self._own += used

    def report(self) -> None:
        """Note that the operator is being told of all that was used here."""
        self._reported = self._own

    def tell(self, used: int, until_utc: datetime, now: float) -> None:
        """Take the operator's figure for the period that ends then; one for another period is passed over."""
        self._roll(now)
        if abs((until_utc - self.ends_utc).total_seconds()) < 1:
            self._fleet, self._known = used, self._reported

    def _roll(self, now: float) -> None:
        utc = self._wall.utc(now)
        if utc >= self.ends_utc:
            self.ends_utc = period_end(self._reset, utc)
            self._fleet = self._known = self._own = self._reported = 0
        self._look_at = min(self._wall.at(self.ends_utc), now + LOOK_S)
