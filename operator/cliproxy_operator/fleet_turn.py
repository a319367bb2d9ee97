"""Whose turn it is to try a provider: one sidecar holds the permits of all its half-open scopes.

One holder for all, since scopes overlap: a request is a trial of its model and of its key at once, and two
sidecars with a permit each would wait for each other for ever. A permit that is not used moves on; one that
is (`TrialStarted`) stays until the trial is settled or takes too long.

Nobody has it while another may still be trying: a sidecar that lost its link with the permit, one that a new
leader has not heard yet, one that greets with a trial under way. Each keeps it back until it is heard, the
trial has ended, its pod is gone, or a trial that it can have begun would have taken too long.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cliproxy_api.scope import Scope
from cliproxy_api.trip import PERMIT_MAX_S
from cliproxy_operator.view import SidecarId

PERMIT: Final = timedelta(seconds=5)
"""How long a sidecar may leave the permit unused while others could have it, at first ..."""
LONGEST_PERMIT: Final = timedelta(seconds=PERMIT_MAX_S)
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
    _kept_back: bool = False
    """Whether `until` is when the last of these is over."""
    _silent: dict[SidecarId, datetime] = field(default_factory=dict)
    """Who may have begun a trial that we have not heard of, and when we should have, or it takes too long."""
    _trying: dict[tuple[SidecarId, Scope], datetime] = field(default_factory=dict)
    """Trials under way, the holder's and others', and when they take too long."""

    def rest(self) -> None:
        """Note that no scope waits for a trial any more."""
        self.holder, self.until, self._tried = None, None, frozenset()
        self._moves, self._term, self._kept_back = 0, PERMIT, False

    def advance(self, unheard_until: datetime | None, now: datetime) -> None:
        """Give the permit on if it is time.

        `unheard_until` is when trials of sidecars would take too long that this leader has not heard yet.
        """
        if self.holder is None and self._is_kept_back(unheard_until, now):
            return
        busy = [until for (sidecar, _), until in self._trying.items() if sidecar == self.holder]
        if (last := max(busy, default=now)) > now:
            self.until = last
        elif self.until is None:
            self._give(now)
        elif now >= self.until:
            if self.holder is not None and self.pick(frozenset({self.holder})) is not None:
                self._take_back(now + HANDOVER)
            else:
                self._give(now)

    def began(self, sidecar: SidecarId, scope: Scope, until: datetime) -> None:
        """Take note of a trial, whoever let it begin, and when it takes too long."""
        self._silent.pop(sidecar, None)  # this is what we had not heard
        self._trying[sidecar, scope] = until

    def ended(self, sidecar: SidecarId, scope: Scope) -> None:
        """Note that a sidecar's trial of a scope has ended."""
        self._trying.pop((sidecar, scope), None)

    def over(self, scope: Scope) -> None:
        """Note that trials of a scope that are under way do not count any more."""
        self._trying = {key: until for key, until in self._trying.items() if key[1] != scope}

    def passed(self, sidecar: SidecarId, now: datetime) -> None:
        """Let the holder have the permit for another trial, as if it were new."""
        self._moves, self._term = 0, PERMIT
        if self.holder == sidecar:
            self.until = now + PERMIT

    def heard(self, sidecar: SidecarId) -> None:
        """Note that nothing is under way at a sidecar but what it says next."""
        self._silent.pop(sidecar, None)
        self._trying = {key: until for key, until in self._trying.items() if key[0] != sidecar}

    def came(self, now: datetime) -> None:
        """Note that sidecars came: they need not wait for what was meant for a lonely one."""
        if self.until is None:
            return
        if self.holder is not None:
            self.until = min(self.until, now + PERMIT)
        elif self.until > now + HANDOVER and not self._kept_back:
            self.until = None

    def went(self, sidecar: SidecarId, now: datetime, *, unheard: timedelta | None) -> None:
        """Note that a sidecar cannot keep the permit, if it has it.

        `unheard`: it may use it to its end, and a trial takes as long; None: it will be told, and tell.
        """
        self._tried -= {sidecar}
        began_until = now + HANDOVER
        if self.holder == sidecar:
            began_until = max(began_until, min(self.until or now, now + LONGEST_PERMIT) + HANDOVER)
            self._take_back(now + HANDOVER)
        if unheard is not None and (
            sidecar in self._silent or any(key[0] == sidecar for key in self._trying)
        ):
            self._silent[sidecar] = began_until + unheard

    def _take_back(self, until: datetime) -> None:
        """Let nobody have it for a moment, in which the start of a trial may still be told."""
        if self.holder is not None:
            self._silent[self.holder] = until
        self.holder, self.until = None, until

    def _is_kept_back(self, unheard_until: datetime | None, now: datetime) -> bool:
        """Keep the permit back while somebody may be trying; one that is, and nobody else may be, has it."""
        self._silent = {key: until for key, until in self._silent.items() if until > now}
        self._trying = {key: until for key, until in self._trying.items() if until > now}
        silent = [*self._silent.values()]
        if unheard_until is not None and unheard_until > now:
            silent.append(unheard_until)
        trying = frozenset(sidecar for sidecar, _ in self._trying)
        if trying and (silent or len(trying) > 1):
            silent += self._trying.values()
        if silent:
            self._kept_back, self.until = True, max(silent)
        elif trying:
            (self.holder,) = trying
            self._kept_back, self._tried = False, self._tried | trying
        elif self._kept_back:
            self._kept_back, self.until = False, None
        return bool(silent)

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
