"""The cheapest target for this request: prices times the tokens that it will presumably take.

Input is estimated from the body's size, output from what answers for the same model name took lately, within
the caller's bound. Both only compare targets for one request; what is billed is accounted elsewhere.
"""

from collections.abc import Sequence
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_api.snapshot import Pricing
from cliproxy_api.vocabulary import Strategy as Name
from cliproxy_sidecar.core.strategies.base import Facts, Preference, Seen, filled, least
from cliproxy_sidecar.core.target import Target, TargetId
from cliproxy_sidecar.core.usage import BYTES_PER_TOKEN

TOLERANCE: Final = 0.001
STICKY_TOLERANCE: Final = 0.1
"""With affinity: input that is read from a prompt cache costs a fraction."""
FIRST_GUESS_TOKENS: Final = 300.0
"""Output of a model that nothing is known of."""
SMOOTHING: Final = 0.05
_PER_PRICE: Final = 1_000_000
"""Tokens that a price is for."""


class Cost:
    """Prefers the cheapest; a target without prices counts as their mean."""

    name: Final = Name.COST.value
    unit: Final = "nano_usd"

    def __init__(self) -> None:
        self._output_tokens: dict[TargetId, float] = {}

    def prefer(self, candidates: Sequence[Target], facts: Facts, _now: float, _chance: Chance) -> Preference:
        """Return the cheapest for the request's estimated tokens."""
        input_tokens = facts.body_bytes / BYTES_PER_TOKEN
        output_tokens = self._expected(candidates, facts.max_output_tokens)
        values = tuple(
            None
            if target.model.pricing is None
            else _price(target.model.pricing, input_tokens, output_tokens)
            for target in candidates
        )
        tolerance = TOLERANCE if facts.key is None else STICKY_TOLERANCE
        return Preference(least(filled(values), tolerance), values)

    def began(self, target: Target, now: float) -> None:
        """Keep nothing."""

    def observe(self, target: Target, seen: Seen, _now: float) -> None:
        """Learn how long answers are."""
        if seen.succeeded and seen.output_tokens:
            before = self._output_tokens.get(target.id, float(seen.output_tokens))
            self._output_tokens[target.id] = before + SMOOTHING * (seen.output_tokens - before)

    def figures(self, target: Target, _now: float) -> dict[str, float | None]:
        """Return prices in dollars per million tokens, and the mean length of answers."""
        pricing = target.model.pricing
        output = self._output_tokens.get(target.id)
        return {
            "input_usd_per_million": None if pricing is None else pricing.input / 1e9,
            "output_usd_per_million": None if pricing is None else pricing.output / 1e9,
            "mean_output_tokens": None if output is None else round(output, 1),
        }

    def retain(self, known: frozenset[TargetId]) -> None:
        """Forget all other targets."""
        self._output_tokens = {key: mean for key, mean in self._output_tokens.items() if key in known}

    def _expected(self, candidates: Sequence[Target], bound: int | None) -> float:
        """Return the mean output over the candidates: they are asked the same, so they answer alike."""
        known = [self._output_tokens[target.id] for target in candidates if target.id in self._output_tokens]
        expected = sum(known) / len(known) if known else FIRST_GUESS_TOKENS
        return expected if bound is None else min(expected, bound)


def _price(pricing: Pricing, input_tokens: float, output_tokens: float) -> float:
    return (pricing.input * input_tokens + pricing.output * output_tokens) / _PER_PRICE
