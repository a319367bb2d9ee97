"""What providers say is left of their limits, and which targets should be asked less until it is more.

Read from answers' headers, per target. A limit that is nearly used up thins its target's traffic out before
the provider has to refuse; a refusal itself is `cooldown`'s matter. Figures for the traffic report are
`remaining`'s.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cliproxy_sidecar.core import hints, waits
from cliproxy_sidecar.core.target import Target, TargetId

LOW: Final = 0.10
"""Below this share of a limit the target's traffic shrinks in proportion."""
FLOOR: Final = 0.02
"""Of its traffic a target keeps: its answers are how we learn that there is room again."""
READ_EVERY_S: Final = 0.2
"""A target's headers are read this often; more would not change a choice but cost every answer."""
READ_LOW_EVERY_S: Final = 0.02
WITHOUT_RESET_S: Final = 60.0
"""How long a figure without a reset holds: most limits are a minute's."""
MAX_BUCKETS: Final = 8
"""Limits of one answer; providers send two to four."""
_MAX_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class _Limit:
    """One limit: share(s) left, and until when that holds."""

    remaining: float
    limit: float
    tokens: bool
    until: float


class Allowances:
    """The latest word of every target's provider. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._limits: dict[TargetId, tuple[_Limit, ...]] = {}
        self._due: dict[TargetId, float] = {}
        self.low: dict[TargetId, float] = {}
        """Whose traffic is thinned out, and until when at the latest. Empty nearly always."""

    def is_due(self, target: TargetId, now: float) -> bool:
        """Whether the headers of the target's answer are worth reading; cheap."""
        return now >= self._due.get(target, 0.0)

    def read(
        self,
        target: TargetId,
        headers: Iterable[tuple[bytes, bytes]],
        now: float,
        utc: Callable[[], datetime],
    ) -> None:
        """Take the limits that an answer tells; without any, what was known stays."""
        told = {
            lower.decode("ascii", "replace"): value.decode("latin-1")
            for name, value in headers
            if (lower := name.lower()).find(b"ratelimit") >= 0 or lower == b"date"
        }
        self._due[target] = now + READ_EVERY_S
        if len(told) < 2:  # noqa: PLR2004 -- a limit needs two headers
            return
        limits = _limits(told, now, utc())
        if not limits:
            return
        self._limits[target] = limits
        if min(limit.remaining / limit.limit for limit in limits) < LOW:
            self.low[target] = max(limit.until for limit in limits)
            self._due[target] = now + READ_LOW_EVERY_S
        else:
            self.low.pop(target, None)

    def left(
        self, target: TargetId, now: float, *, requests: float = 0.0, tokens: float = 0.0
    ) -> float | None:
        """Return the share left of the tightest limit, 0 to 1, less what is on its way; None: unknown.

        A limit whose reset has passed is whole again.
        """
        limits = self._limits.get(target)
        if limits is None:
            return None
        shares = [
            1.0
            if now >= limit.until
            else max((limit.remaining - (tokens if limit.tokens else requests)) / limit.limit, 0.0)
            for limit in limits
        ]
        return min(*shares, 1.0)

    def part(
        self, targets: Sequence[Target], candidates: Sequence[int], now: float, draw: Callable[[], float]
    ) -> tuple[Sequence[int], list[int]]:
        """Return the candidates that take part in this choice, and those that sit out to save their limits.

        One that is low takes part in proportion to what it has left. `draw` gives numbers from 0 to 1. Never
        all sit out.
        """
        taking: list[int] = []
        sitting: list[int] = []
        for position in candidates:
            factor = self._factor(targets[position].id, now)
            (taking if factor >= 1.0 or draw() < factor else sitting).append(position)
        return (taking, sitting) if taking else (candidates, [])

    def retain(self, known: frozenset[TargetId]) -> None:
        """Forget all other targets."""
        self._limits = {key: limits for key, limits in self._limits.items() if key in known}
        self._due = {key: due for key, due in self._due.items() if key in known}
        for key in self.low.keys() - known:
            del self.low[key]

    def _factor(self, target: TargetId, now: float) -> float:
        until = self.low.get(target)
        if until is None:
            return 1.0
        if now >= until:
            del self.low[target]
            return 1.0
        left = self.left(target, now)
        return 1.0 if left is None else max(left / LOW, FLOOR)


def _limits(told: dict[str, str], now: float, now_utc: datetime) -> tuple[_Limit, ...]:
    reference = hints.provider_clock(told, now_utc)
    found: list[_Limit] = []
    for name, reset in hints.buckets(told):
        remaining = _count(told.get(name))
        limit = _count(told.get(name.replace("remaining", "limit", 1)))
        if remaining is None or not limit:
            continue
        wait_s = waits.reset_s(told.get(reset, ""), reference)
        until = now + (WITHOUT_RESET_S if wait_s is None else wait_s)
        found.append(_Limit(remaining, limit, "token" in name, until))
        if len(found) == MAX_BUCKETS:
            break
    return tuple(found)


def _count(value: str | None) -> int | None:
    digits = (value or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS else None
