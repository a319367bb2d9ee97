"""Who of several candidates takes a request: the profile's strategy, then affinity or turns among equals.

Whoever is low on its limits mostly sits out first (`allowances`). Who is a candidate at all, and what happens
when the preferred one refuses, is `selection`'s: nothing here overrides priority, health or a cooldown.
"""

from collections.abc import Callable, Sequence
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_api.snapshot import Profile
from cliproxy_api.vocabulary import COUNTED_CLASSES, Affinity, OutcomeClass
from cliproxy_api.vocabulary import Strategy as StrategyName
from cliproxy_sidecar.core.affinity import belongs_to, fraction
from cliproxy_sidecar.core.allowances import Allowances
from cliproxy_sidecar.core.decisions import MAX_CANDIDATES, How
from cliproxy_sidecar.core.facts import Needs
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.routing import SmoothRoundRobin
from cliproxy_sidecar.core.strategies.base import Facts, Seen, Strategy, Values
from cliproxy_sidecar.core.strategies.kinds import strategy_of
from cliproxy_sidecar.core.target import Target, TargetId
from cliproxy_sidecar.core.usage import Usage

_DRAW_SALT: Final = 0x5DEECE66D1CE4E5B
"""Parts a key's draw from its place in the rendezvous."""


class Preferences:
    """One profile's way to choose."""

    __slots__ = ("_allowances", "_chance", "affinity", "low", "needs", "plain", "strategy")

    def __init__(
        self,
        profile: Profile,
        allowances: Allowances,
        chance: Chance,
        previous: "Preferences | None" = None,
    ) -> None:
        self._allowances = allowances
        self.low: Final = allowances.low
        """While it is empty and the profile is plain, a turn is all there is to a choice."""
        self._chance = chance
        self.affinity: Final = profile.affinity
        self.strategy: Final[Strategy] = strategy_of(
            profile, allowances, previous.strategy if previous is not None else None
        )
        turns = profile.strategy is StrategyName.ROUND_ROBIN
        self.plain: Final = turns and profile.affinity is Affinity.NONE
        """Turns alone: nothing is looked at or learnt."""
        self.needs: Final = Needs(affinity=profile.affinity, bounds=profile.strategy is StrategyName.COST)

    def ended(
        self, target: Target, outcome: Outcome, usage: Usage, *, latency_ms: float, stream: bool, now: float
    ) -> None:
        """Learn from an attempt's end; every one that the strategy has seen begin comes here once."""
        seen = Seen(
            succeeded=outcome.cls is OutcomeClass.SUCCESS,
            failed=outcome.cls in COUNTED_CLASSES,
            latency_ms=latency_ms,
            stream=stream,
            output_tokens=usage.output + usage.reasoning,
            total_tokens=usage.total,
        )
        self.strategy.observe(target, seen, now)

    def retain(self, known: frozenset[TargetId]) -> None:
        """Forget what was learnt of all other targets."""
        self.strategy.retain(known)
        self._allowances.retain(known)

    def pick(
        self, group: SmoothRoundRobin, candidates: Sequence[int], facts: Facts, now: float
    ) -> tuple[int, How]:
        """Return who takes the request (a position in the group's targets), and why."""
        targets, key = group.targets, facts.key
        if len(candidates) == 1:
            return candidates[0], group.how_among(candidates)
        taking = candidates
        resting: Sequence[int] = ()
        if self.low:
            taking, resting = self._allowances.part(targets, candidates, now, self._draw(key))
        best, by = taking, "turn"
        values: Values = ()
        if len(taking) > 1:
            preference = self.strategy.prefer([targets[place] for place in taking], facts, now, self._chance)
            best = [taking[place] for place in preference.best]
            values, by = preference.values, "explore" if preference.explores else by
        if key is not None and len(best) > 1:
            position, by = belongs_to(key, targets, group.weights, best), "affinity"
        else:
            position = group.pick(best)
        how = How(
            [targets[place].id for place in taking[:MAX_CANDIDATES]],
            by,
            self.strategy.unit if values else "weight",
            values[:MAX_CANDIDATES] or [group.weights[place] for place in taking[:MAX_CANDIDATES]],
            [targets[place].id for place in best[:MAX_CANDIDATES]],
            [targets[place].id for place in resting[:MAX_CANDIDATES]],
        )
        return position, how

    def _draw(self, key: int | None) -> Callable[[], float]:
        """Return where draws come from: a session is in or out as a whole, all else is left to chance."""
        if key is None:
            return self._chance.random
        drawn = fraction(key ^ _DRAW_SALT)
        return lambda: drawn
