"""The cheapest model that can stand in for another: for consumers over budget whose budget says so.

Only what answers conversations stands in for anything; embeddings of another model are worthless. Candidates
understand the caller's format as it is and have a price.
"""

from typing import Final

from cliproxy_api.snapshot import Pricing
from cliproxy_sidecar.core.dialect import Need, Operation, form_of, is_native
from cliproxy_sidecar.core.routing import RoutingTable
from cliproxy_sidecar.core.target import Target

_INPUT_SHARE: Final = 3
"""Conversations read about three times as many tokens as they write."""


def cheapest_model(table: RoutingTable, operation: Operation, wanted: str, tokens: int) -> str | None:
    """Return the name of the cheapest model for a request of so many tokens; None: nothing cheaper is known.

    Models without a price for output (embeddings) and those whose context window is known to be too small are
    left out; of equals the first by name.
    """
    if operation.need is not Need.CONVERSATION:
        return None
    best: tuple[int, str] | None = None
    for model in table.models:
        for group in table.groups(Need.CONVERSATION, model.name) or ():
            for target in group.targets:
                if not is_native(operation, form_of(target.provider)):
                    continue
                price = _price(target, tokens)
                if price is not None and (best is None or (price, model.name) < best):
                    best = (price, model.name)
    return None if best is None or best[1] == wanted else best[1]


def _price(target: Target, tokens: int) -> int | None:
    model = target.model
    pricing, window = model.pricing, model.context_window_tokens
    if pricing is None or pricing.output == 0 or (window is not None and window < tokens):
        return None
    return _weight(pricing)


def _weight(pricing: Pricing) -> int:
    return _INPUT_SHARE * pricing.input + pricing.output
