"""What was decided for the last requests, in small: for "why did my request go there?".

Kept as it falls off the data path, without a copy of anything large; sentences are made on demand by the
views. Bounded in number, and each request in size, so that the whole stays below `MAX_BYTES`.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass
from cliproxy_sidecar.core.target import TargetId

MAX_REQUESTS: Final = 1000
MAX_ENTRIES: Final = 4000
"""Choices and attempts of all requests: most have two, so only storms of failovers keep fewer."""
MAX_SKIPS: Final = 32
"""Of one request, all choices together. Its attempts are at most 20, and so, nearly, are its choices."""
MAX_CANDIDATES: Final = 16
"""Of one choice; who stands behind them is not listed."""
MAX_BYTES: Final = 12 * 1024 * 1024
"""The worst case; in quiet times it is about half a megabyte."""


class How(msgspec.Struct, frozen=True, gc=False):
    """What one choice was between, and what decided. Lists stop at `MAX_CANDIDATES`."""

    candidates: Sequence[TargetId]
    """Of the same rank, without who cools, is unhealthy or has been tried."""
    by: str
    """What parted the equally good: `turn`, `affinity`, or nothing (`only`: there was one); `explore`."""
    unit: str = ""
    values: Sequence[float | None] = ()
    """What the strategy compared, per candidate."""
    best: Sequence[TargetId] = ()
    """The equally good."""
    resting: Sequence[TargetId] = ()
    """Sat out because little is left of their limits."""


class Skip(msgspec.Struct, frozen=True, gc=False):
    """One target that was passed over."""

    target: TargetId
    why: str
    until: float | None = None
    phase: CooldownPhase | None = None
    outcome_class: OutcomeClass | None = None
    reason: str = ""


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One look for a target that passed somebody over, or found nobody."""

    at: float
    target: TargetId | None
    how: How | None
    skips: Sequence[Skip] = ()
    more_skips: int = 0
    """Left out of `skips`."""
    lack: str = ""
    """Why there was none."""


Plain = tuple[float, TargetId, How | None]
"""A choice that passed nobody over: when, whom, how."""
Tried = tuple[float, TargetId, OutcomeClass, int | None, str | None, float]
"""An attempt's end: when, of whom, class, status, the provider's code, milliseconds."""
Trail = list[Plain | Tried | Choice]
"""One request's decisions in their order. Plain tuples where nothing special happened: they cost a tenth."""

Decided = tuple[str, str | None, bool, float, float, int, str | None, str, str, Trail]
"""What became of one request: its id, model, whether streamed, when it began (monotonic), seconds it took,
status (0: none was sent), kind of our own refusal, strategy, affinity, decisions."""


class Decisions:
    """The last requests."""

    def __init__(self) -> None:
        self._ring: deque[Decided] = deque()
        self._entries = 0

    def add(self, decided: Decided) -> None:
        """Keep a request that has ended, and let the oldest go."""
        ring = self._ring
        ring.append(decided)
        self._entries += len(decided[-1])
        while len(ring) > MAX_REQUESTS or self._entries > MAX_ENTRIES:
            self._entries -= len(ring.popleft()[-1])

    def find(self, request_id: str) -> Decided | None:
        """Return the latest request of this id, if it is still known."""
        return next((one for one in reversed(self._ring) if one[0] == request_id), None)

    def __len__(self) -> int:
        return len(self._ring)


def room(trail: Trail) -> int:
    """Return how many more skipped targets may be noted."""
    return max(MAX_SKIPS - sum(len(entry.skips) for entry in trail if isinstance(entry, Choice)), 0)
