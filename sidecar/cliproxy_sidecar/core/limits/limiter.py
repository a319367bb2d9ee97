"""One owner's limits: requests and tokens in a minute, requests in flight. Reserved first, settled later.

Whose limits they are, and what a refusal means, is left to the owners: `gates` for providers, `callers` for
consumers. A fleet shares a limit: `keep` says which part is ours, `share` among how many it is divided while
nobody has said that.
"""

from dataclasses import dataclass
from typing import Final

from cliproxy_api.report import Taken
from cliproxy_api.snapshot import RateLimit
from cliproxy_api.state import WHOLE
from cliproxy_sidecar.core.limits.window import Window

RECHECK_S: Final = 1.0
"""When requests in flight may have ended: a guess, since nobody knows."""
JOIN_S: Final = 2.0
"""Within this time the operator gives a part to a sidecar that begins to use a limit, if any is left."""
PRESSED_S: Final = 10.0
"""A refusal counts so long as a sign that the part is too small."""
REQUESTS: Final = "requests per minute"
TOKENS: Final = "tokens per minute"
IN_FLIGHT: Final = "requests in flight"


@dataclass(frozen=True, slots=True)
class Refused:
    """Which limit is reached, and until when."""

    unit: str
    limit: int
    """As it was declared, for the whole fleet."""
    until: float
    """Monotonic seconds; a guess for requests in flight."""

    @property
    def told(self) -> str:
        """The limit in words."""
        return f"{self.limit} {self.unit}"


@dataclass(slots=True, eq=False)
class Hold:
    """What one request has reserved; settled exactly once."""

    limiter: "Limiter"
    requests: int | None
    """Part of the window; None: there is no such limit."""
    tokens: int | None
    reserved: int
    settled: bool = False

    def settle(self, tokens: int, now: float, *, sent: bool = True) -> None:
        """Put what was used in the place of what was reserved; a second call changes nothing.

        What was reserved too much is given back where it was taken, what was used beyond counts from now.
        Not sent: the request itself is given back too.
        """
        if not self.settled:
            self.settled = True
            self.limiter.settle(self, tokens, now, sent=sent)


class Limiter:
    """The limits of one owner. `now` is monotonic seconds."""

    __slots__ = (
        "_floor",
        "_limit",
        "_most",
        "_part",
        "_refused_at",
        "_requests",
        "_share",
        "_tokens",
        "attended",
        "in_flight",
    )

    def __init__(self, limit: RateLimit) -> None:
        self._limit = RateLimit()
        self._share = 1
        self._most: int | None = None
        """In flight at once, by our part."""
        self._part: int | None = None
        self._floor: int | None = None
        self._refused_at = -PRESSED_S
        self.attended = False
        """Whether somebody listens who gives us a part when we need one."""
        self._requests: Window | None = None
        self._tokens: Window | None = None
        self.in_flight = 0
        self.configure(limit)

    def configure(self, limit: RateLimit) -> None:
        """Keep these limits from now on; what was taken stays taken."""
        self._limit = limit
        self._requests = _window(self._requests, self._ours(limit.requests_per_minute))
        self._tokens = _window(self._tokens, self._ours(limit.tokens_per_minute))
        most = self._ours(limit.max_concurrent)
        self._most = None if most is None else max(int(most), 1)

    def share(self, sharers: int) -> None:
        """Keep one part of so many (at least 1) where nothing else is said: others keep the others."""
        if sharers != self._share:
            self._share = max(sharers, 1)
            self.configure(self._limit)

    def keep(self, part: int | None, floor: int | None) -> None:
        """Keep this part of the limit (millionths), without one the floor, without that an equal share."""
        if (part, floor) != (self._part, self._floor):
            before = self.part
            self._part, self._floor = part, floor
            if self.part > before:
                self._refused_at = -PRESSED_S  # whether that is enough is to be seen
            self.configure(self._limit)

    @property
    def part(self) -> int:
        """What is kept to, in millionths of the limit."""
        if self._part is not None:
            return self._part
        return self._floor if self._floor is not None else WHOLE // self._share

    def _ours(self, limit: int | None) -> float | None:
        if limit is None:
            return None
        if self._part is None and self._floor is None:
            return limit / self._share
        return limit * min(self.part + 1, WHOLE) / WHOLE  # parts are rounded down: a third of 60 is 20

    def taken(self, now: float) -> Taken | None:
        """Return what the fleet should know of our use; None: nothing is used, and we are at the floor."""
        limit, part = self._limit, self.part
        pressed = now - self._refused_at < PRESSED_S
        requests, tokens = self.used(now)
        used = max(
            _millionths(requests, limit.requests_per_minute),
            _millionths(tokens, limit.tokens_per_minute),
            _millionths(self.in_flight, limit.max_concurrent),
        )
        if not used and not pressed and part == self._floor:
            return None
        return Taken(used=used, part=part, pressed=pressed)

    def refusal(self, tokens: int, now: float) -> Refused | None:
        """Return which limit a request of so many tokens would break; the last to have room speaks."""
        limit, found = self._limit, None
        if self._requests is not None and (at := self._requests.free_at(1, now)) > now:
            found = Refused(REQUESTS, limit.requests_per_minute or 0, at)
        if (
            self._tokens is not None
            and (at := self._tokens.free_at(tokens, now)) > now
            and (found is None or at > found.until)
        ):
            found = Refused(TOKENS, limit.tokens_per_minute or 0, at)
        if found is None and self._most is not None and self.in_flight >= self._most:
            found = Refused(IN_FLIGHT, limit.max_concurrent or 0, now + RECHECK_S)
        if found is not None:
            self._refused_at = now
            hopeful = self.attended and self._part is None and self._floor is not None
            if hopeful and found.until > now + JOIN_S:
                found = Refused(found.unit, found.limit, now + JOIN_S)
        return found

    def take(self, tokens: int, now: float) -> Hold:
        """Reserve for one request, room or not; the hold wants `settle`, once."""
        self.in_flight += 1
        return Hold(
            self,
            None if self._requests is None else self._requests.take(1, now),
            None if self._tokens is None else self._tokens.take(tokens, now),
            tokens,
        )

    def settle(self, hold: Hold, tokens: int, now: float, *, sent: bool) -> None:
        """End a hold of this limiter (see `Hold.settle`, which calls this once)."""
        self.in_flight -= 1
        if not sent and hold.requests is not None and self._requests is not None:
            self._requests.give_back(hold.requests, 1)
        if hold.tokens is None or self._tokens is None:
            return
        if tokens > hold.reserved:
            self._tokens.take(tokens - hold.reserved, now)
        else:
            self._tokens.give_back(hold.tokens, hold.reserved - tokens)

    def used(self, now: float) -> tuple[int, int]:
        """Return the last minute's requests and tokens, 0 where there is no limit; for people."""
        return (
            0 if self._requests is None else self._requests.used(now),
            0 if self._tokens is None else self._tokens.used(now),
        )


def _window(before: Window | None, per_minute: float | None) -> Window | None:
    if per_minute is None:
        return None
    if before is None:
        return Window(per_minute)
    before.limit(per_minute)
    return before


def _millionths(used: int, limit: int | None) -> int:
    return min(used * WHOLE // limit, WHOLE) if limit else 0
