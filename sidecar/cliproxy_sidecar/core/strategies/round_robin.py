"""Weighted turns, whatever else is known: all candidates are equal, and the group's turns part them."""

from collections.abc import Sequence
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_api.vocabulary import Strategy as Name
from cliproxy_sidecar.core.strategies.base import Facts, Preference, Seen
from cliproxy_sidecar.core.target import Target, TargetId


class RoundRobin:
    """Prefers nobody."""

    name: Final = Name.ROUND_ROBIN.value
    unit: Final = "weight"

    def prefer(self, candidates: Sequence[Target], _facts: Facts, _now: float, _chance: Chance) -> Preference:
        """Return all."""
        return Preference(range(len(candidates)))

    def began(self, target: Target, now: float) -> None:
        """Keep nothing."""

    def observe(self, target: Target, seen: Seen, now: float) -> None:
        """Keep nothing."""

    def figures(self, _target: Target, _now: float) -> dict[str, float | None]:
        """Return nothing."""
        return {}

    def retain(self, known: frozenset[TargetId]) -> None:
        """Keep nothing."""
