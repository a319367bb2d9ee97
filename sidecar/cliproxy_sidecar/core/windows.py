"""One provider's last minute at this sidecar: attempts, errors and their kinds, tokens, latencies.

Counts what it is told; what an error is and when to report is the caller's.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cliproxy_api.percentile import BOUNDS_MS, OVERFLOW
from cliproxy_api.report import ProviderTraffic

SLOT_S: Final = 5.0
SLOTS: Final = 12
"""Twelve slots of five seconds: a minute, exact to five seconds, in a few hundred integers per provider."""

_REQUESTS, _ERRORS, _TOKENS, _LATENCY_SUM, _RATE_LIMITED, _KEY_REFUSALS, _NANO_USD, _HISTOGRAM = range(8)
_WIDTH: Final = _HISTOGRAM + len(BOUNDS_MS) + 1


_UNSAID: Final = (None, None)
_NOTHING: Final = [0] * _WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """One provider's attempts since its window began."""

    attempts: int
    errors: int
    rate_limited: int
    """Of the errors."""
    key_refusals: int
    """Of the errors."""
    tokens: int
    nano_usd: int
    latency_sum_ms: int
    latencies: tuple[int, ...]
    """Attempts in each bucket of `BOUNDS_MS`, and one above the last."""


class TrafficWindow:
    """Sliding minute of one provider. `now` is monotonic seconds and never goes back; updates are O(1)."""

    __slots__ = ("_closed", "_current", "_ends", "_newest", "_remaining", "_slots", "_totals")

    def __init__(self) -> None:
        self._slots: list[list[int] | None] = [None] * SLOTS
        self._totals = [0] * _WIDTH
        """Of all slots but the newest."""
        self._closed = [0] * _WIDTH
        """Everything since the beginning but the newest slot."""
        self._newest = 0
        """Number of the newest slot since time began."""
        self._current = self._slots[0] = [0] * _WIDTH
        """The newest slot."""
        self._ends = SLOT_S
        """When it ends."""
        self._remaining: tuple[int | None, int | None] = (None, None)

    def record(self, now: float, *, error: bool, latency_ms: int, tokens: int = 0) -> None:
        """Count one attempt that has ended."""
        column = _HISTOGRAM + bisect_left(BOUNDS_MS, latency_ms)
        slot = self._current if now < self._ends else self._slot(now)
        slot[_REQUESTS] += 1
        if error:
            slot[_ERRORS] += 1
        slot[_TOKENS] += tokens
        slot[_LATENCY_SUM] += latency_ms
        slot[column] += 1

    def rate_limited(self, now: float) -> None:
        """Count that an attempt, recorded as an error too, met the provider's rate limit."""
        self._note(now, _RATE_LIMITED)

    def key_refused(self, now: float) -> None:
        """Count that an attempt, recorded as an error too, was refused for its key."""
        self._note(now, _KEY_REFUSALS)

    def spent(self, now: float, nano_usd: int) -> None:
        """Count what an attempt cost."""
        self._slot(now)[_NANO_USD] += nano_usd

    def remain(self, requests: int | None, tokens: int | None) -> None:
        """Keep the provider's own word on what is left; None leaves what was said before."""
        known = self._remaining
        self._remaining = (known[0] if requests is None else requests, known[1] if tokens is None else tokens)

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to tell, as of the last look."""
        return self._current == _NOTHING and self._totals == _NOTHING and self._remaining == _UNSAID

    def traffic(self, now: float) -> ProviderTraffic:
        """Return the figures of the last minute."""
        self._expire(int(now // SLOT_S))
        totals = [total + new for total, new in zip(self._totals, self._current, strict=True)]
        histogram = totals[_HISTOGRAM:]
        return ProviderTraffic(
            requests=totals[_REQUESTS],
            errors=totals[_ERRORS],
            tokens=totals[_TOKENS],
            rate_limited=totals[_RATE_LIMITED],
            key_refusals=totals[_KEY_REFUSALS],
            nano_usd=totals[_NANO_USD],
            latency_sum_ms=totals[_LATENCY_SUM],
            latency_buckets={
                bound: count for bound, count in zip((*BOUNDS_MS, OVERFLOW), histogram, strict=True) if count
            },
            remaining_requests=self._remaining[0],
            remaining_tokens=self._remaining[1],
        )

    def lifetime(self) -> "Lifetime":
        """Return everything since the window began: figures that never go down."""
        totals = [closed + new for closed, new in zip(self._closed, self._current, strict=True)]
        return Lifetime(
            attempts=totals[_REQUESTS],
            errors=totals[_ERRORS],
            rate_limited=totals[_RATE_LIMITED],
            key_refusals=totals[_KEY_REFUSALS],
            tokens=totals[_TOKENS],
            nano_usd=totals[_NANO_USD],
            latency_sum_ms=totals[_LATENCY_SUM],
            latencies=tuple(totals[_HISTOGRAM:]),
        )

    def _note(self, now: float, column: int) -> None:
        self._slot(now)[column] += 1

    def _slot(self, now: float) -> list[int]:
        if now >= self._ends:
            self._expire(int(now // SLOT_S))
        return self._current

    def _expire(self, number: int) -> None:
        """Move the window's end to this slot: what falls out is taken off the totals."""
        if number <= self._newest:
            return
        self._totals = [total + new for total, new in zip(self._totals, self._current, strict=True)]
        self._closed = [closed + new for closed, new in zip(self._closed, self._current, strict=True)]
        for passed in range(max(self._newest + 1, number - SLOTS + 1), number + 1):
            old = self._slots[passed % SLOTS]
            if old is not None:
                self._totals = [total - gone for total, gone in zip(self._totals, old, strict=True)]
                self._slots[passed % SLOTS] = None
        self._newest = number
        self._current = self._slots[number % SLOTS] = [0] * _WIDTH
        self._ends = (number + 1) * SLOT_S


class TrafficWindows:
    """The windows of all providers of a snapshot."""

    def __init__(self) -> None:
        self._windows: dict[str, TrafficWindow] = {}

    def configure(self, provider_ids: Iterable[str]) -> None:
        """Keep the windows of these providers, by id, and begin those that are new."""
        self._windows = {name: self._windows.get(name) or TrafficWindow() for name in provider_ids}

    def of(self, provider_id: str) -> TrafficWindow:
        """Return a provider's window; one that is gone gets a window that nobody reads."""
        return self._windows.get(provider_id) or TrafficWindow()

    def lifetimes(self) -> dict[str, Lifetime]:
        """Return what every provider has come to since its window began."""
        return {name: window.lifetime() for name, window in self._windows.items()}

    def traffic(self, now: float) -> dict[str, ProviderTraffic]:
        """Return the last minute of every provider that has anything to tell."""
        # Most of many providers are not in use, and this is asked every second.
        told = ((name, window) for name, window in self._windows.items() if not window.is_silent)
        figures = {name: window.traffic(now) for name, window in told}
        return {name: figure for name, figure in figures.items() if figure != _SILENT}


_SILENT: Final = ProviderTraffic()
