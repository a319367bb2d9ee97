"""Snapshot, machines and request to a target with a permit, or why there is none and until when.

Candidates and shares are `routing`'s, refusals `cooldown`'s and `health`'s, preferences `preference`'s;
whether and when to choose again after a failure is `retry`'s.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from cliproxy_sidecar.core.choice import Chosen, Lack, NoTarget, Skipped, SkipReason, Wanted
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.health import Health
from cliproxy_sidecar.core.limits.gates import Gate
from cliproxy_sidecar.core.permit import Permit
from cliproxy_sidecar.core.preference import Preferences
from cliproxy_sidecar.core.routing import RoutingTable, SmoothRoundRobin
from cliproxy_sidecar.core.target import Target


class Chooser:
    """Chooses over one table with the machines that may refuse; without preferences by turns alone."""

    __slots__ = ("_cooldowns", "_gates", "_health", "preferences", "table")

    def __init__(
        self,
        table: RoutingTable,
        cooldowns: Cooldowns,
        health: Health,
        preferences: Preferences | None = None,
        gates: Mapping[str, Gate] | None = None,
    ) -> None:
        self.table: Final = table
        self._cooldowns = cooldowns
        self._health = health
        self._gates = gates
        self.preferences: Final = preferences

    def choose(self, wanted: Wanted, now: float) -> Chosen | NoTarget:
        """Choose by priority, then preference, then turns; the permit of the chosen wants to be settled."""
        groups = self.table.groups(wanted.need, wanted.model)
        if groups is None:
            return _OTHER_FORMAT if self.table.knows(wanted.model) else _UNKNOWN_MODEL
        skipped: list[Skipped] = []
        preferences = self.preferences
        if preferences is not None and preferences.plain and not preferences.low:
            preferences = None
        everyone = not wanted.exclude and self._health.is_all_well
        everyone = everyone and self._gates is None and not self._cooldowns.gated
        for group in groups:
            candidates: Sequence[int] = group.everyone
            if not everyone:
                candidates = self._candidates(group, wanted, now, skipped)
            while candidates:
                if preferences is None:
                    position = group.pick(candidates)
                    how = group.how if candidates is group.everyone else group.how_among(candidates)
                else:
                    position, how = preferences.pick(group, candidates, wanted.facts, now)
                target = group.targets[position]
                admitted = self._cooldowns.admit(target, now)
                if isinstance(admitted, Permit):
                    return Chosen(target, admitted, tuple(skipped) if skipped else (), how)
                skipped.append(Skipped(target, SkipReason.COOLING, admitted))
                candidates = [other for other in candidates if other != position]
        return _lack(skipped)

    def has_alternative(self, wanted: Wanted, now: float) -> bool:
        """Return whether `choose` would find a target now, a ramp's draw aside; takes nothing."""
        groups = self.table.groups(wanted.need, wanted.model) or ()
        return any(self._candidates(group, wanted, now, []) for group in groups)

    def limited(self, target: Target, tokens: int, now: float) -> Skipped | None:
        """Return which limit of our own keeps a request from a target; None: none does."""
        gate = None if self._gates is None else self._gates.get(target.provider_id)
        if gate is None:
            return None
        if (blocked := gate.exhausted(now)) is not None:
            return Skipped(target, SkipReason.QUOTA, blocked)
        if (blocked := gate.limited(tokens, now)) is not None:
            return Skipped(target, SkipReason.LIMITED, blocked)
        return None

    def _candidates(
        self, group: SmoothRoundRobin, wanted: Wanted, now: float, skipped: list[Skipped]
    ) -> list[int]:
        candidates: list[int] = []
        exclude = wanted.exclude
        for position, target in enumerate(group.targets):
            if target.id in exclude:
                skipped.append(Skipped(target, SkipReason.TRIED))
                continue
            blocked = self._cooldowns.peek(target, now)
            if not self._health.healthy(target.provider_id):
                skipped.append(Skipped(target, SkipReason.UNHEALTHY, blocked))
            elif blocked is not None:
                skipped.append(Skipped(target, SkipReason.COOLING, blocked))
            elif (
                self._gates is not None and (limited := self.limited(target, wanted.tokens, now)) is not None
            ):
                skipped.append(limited)
            else:
                candidates.append(position)
        return candidates


_OWN_LIMITS: Final = frozenset({SkipReason.LIMITED, SkipReason.QUOTA})


def _lack(skipped: list[Skipped]) -> NoTarget:
    rest = [skip for skip in skipped if skip.why is not SkipReason.TRIED]
    if not rest:
        return NoTarget(Lack.EXHAUSTED, skipped=tuple(skipped))
    cooling = [skip for skip in rest if skip.why is SkipReason.COOLING]
    limited = [skip for skip in rest if skip.why in _OWN_LIMITS]
    returns = [skip.blocked.until for skip in cooling + limited or rest if skip.blocked is not None]
    return NoTarget(
        Lack.ALL_LIMITED if limited else Lack.ALL_COOLING if cooling else Lack.ALL_UNHEALTHY,
        until=min(returns, default=None),
        skipped=tuple(skipped),
        least_bad=min(rest, key=_badness).target,
    )


def _badness(skip: Skipped) -> tuple[int, bool, float]:
    """Order by how little hope there is.

    A bad key or an empty account surely fails, what a person took out is to be left alone, an unhealthy
    provider may yet answer; among equals the one that is due back first. The earlier in the order of
    preference wins a tie.
    """
    blocked = skip.blocked
    if blocked is None:
        return (0, True, 0.0)
    return (blocked.rank, skip.why is SkipReason.UNHEALTHY, blocked.until)


_UNKNOWN_MODEL: Final = NoTarget(Lack.UNKNOWN_MODEL)
_OTHER_FORMAT: Final = NoTarget(Lack.OTHER_FORMAT)
