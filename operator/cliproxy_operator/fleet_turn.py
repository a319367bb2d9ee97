"""Whose turn it is to try a provider: one sidecar holds the permits of all its half-open scopes.

One holder for all, since scopes overlap: a request is a trial of its model and of its key at once, and two
sidecars with a permit each would wait for each other for ever. A permit that is not used moves on; one that
is (`TrialStarted`) stays until the trial is settled or takes too long.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cliproxy_operator.view import SidecarId

PERMIT: Final = timedelta(seconds=5)
"""How long a sidecar may leave the permit unused while others could have it, at first ..."""
LONGEST_PERMIT: Final = timedelta(seconds=60)
"""... and at last, or when there is no other: the whole fleet is told of a move, and nobody seems to ask."""
MOVES_PER_TERM: Final = 8
"""After so many moves, or when everybody has had it, the next ones hold it twice as long."""
HANDOVER: Final = timedelta(seconds=1)
"""Between taking the permit back and giving it to another: time for "a trial has started" to arrive."""

Pick = Callable[[frozenset[SidecarId]], SidecarId | None]
"""Which sidecar may try next, besides these; None: there is no other."""


@dataclass(slots=True)
class Turn:
    """The permits of one provider; `until` is when they move on."""

    pick: Pick
    holder: SidecarId | None = None
    until: datetime | None = None
    """None: nobody waits for a trial."""
    _tried: frozenset[SidecarId] = frozenset()
    _moves: int = 0
    _term: timedelta = PERMIT

    def rest(self) -> None:
        """Note that no scope waits for a trial any more."""
        self.holder, self.until, self._tried = None, None, frozenset()
        self._moves, self._term = 0, PERMIT

    def advance(self, busy_until: datetime | None, now: datetime) -> None:
        """Give the permit on if it is time; `busy_until` is when the trial under way takes too long."""
        if busy_until is not None and busy_until > now and self.holder is not None:
            self.until = busy_until
        elif self.until is None:
            self._give(now)
        elif now >= self.until:
            if self.holder is not None and self.pick(frozenset({self.holder})) is not None:
                self.holder, self.until = None, now + HANDOVER
            else:
                self._give(now)

    def claim(self, sidecar: SidecarId) -> bool:
        """Take note of a trial's start; False if another has the permit by now."""
        if self.until is None or self.holder not in (None, sidecar):
            return False
        self.holder = sidecar
        return True

    def settled(self, now: datetime) -> None:
        """Let the holder have the permit for another trial, as if it were new."""
        self._moves, self._term = 0, PERMIT
        if self.holder is not None:
            self.until = now + PERMIT

    def came(self, now: datetime) -> None:
        """Note that sidecars came: they need not wait for what was meant for a lonely one."""
        if self.until is None:
            return
        if self.holder is not None:
            self.until = min(self.until, now + PERMIT)
        elif self.until > now + HANDOVER:
            self._give(now)

    def went(self, sidecar: SidecarId, now: datetime) -> bool:
        """Note that a sidecar went; return whether it had the permit, which goes to another at once."""
        self._tried -= {sidecar}
        if self.until is None or self.holder != sidecar:
            return False
        self._give(now)
        return True

    def _give(self, now: datetime) -> None:
        chosen = self.pick(self._tried)
        if chosen is None:
            # Everybody has had it: from the beginning.
            round_over, self._tried = bool(self._tried), frozenset()
            chosen = self.pick(self._tried)
        else:
            round_over = self._moves > 0 and self._moves % MOVES_PER_TERM == 0
        if round_over:
            self._term = min(2 * self._term, LONGEST_PERMIT)
        self.holder = chosen
        alone = chosen is None or self.pick(frozenset({chosen})) is None
        self.until = now + (LONGEST_PERMIT if alone else self._term)
        self._moves += 1
        if chosen is not None:
            self._tried |= {chosen}
