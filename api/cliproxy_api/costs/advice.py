"""What could cost less, each with its arithmetic, from this month's real tokens and the objects' prices.

It never guesses at quality or at traffic to come: it says what the same tokens would have cost elsewhere.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from cliproxy_api.costs.spent import ModelSpent, ProviderSpent
from cliproxy_api.costs.words import dollars, price, priced_sum, share_of, usd
from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_api.pricing import cost_of, price_list
from cliproxy_api.snapshot import Pricing

MAX_ADVICE: Final = 20
WORTH_NANO_USD: Final = NANO_USD_PER_USD // 100
"""Less than a cent a month is no advice."""
WORTH_SHARE: Final = 0.05
LITTLE_CACHED: Final = 0.2
MUCH_ESTIMATED: Final = 0.1
TENTH: Final = 10


def advice(providers: Sequence[ProviderSpent]) -> list[dict[str, Any]]:
    """Return at most `MAX_ADVICE` recommendations, what saves most first."""
    found: list[tuple[int, dict[str, Any]]] = []
    for provider in providers:
        for model in provider.models:
            found += _of_model(provider, model, providers)
    found.sort(key=lambda one: -one[0])
    return [one for _, one in found[:MAX_ADVICE]]


def _of_model(
    provider: ProviderSpent, model: ModelSpent, providers: Sequence[ProviderSpent]
) -> Iterator[tuple[int, dict[str, Any]]]:
    pricing = provider.prices.get(model.model)
    if pricing is None:
        if model.tokens.total and model.model in provider.prices:
            yield 0, _unpriced(provider, model)
        return
    if model.nano_usd and model.estimated_nano_usd > MUCH_ESTIMATED * model.nano_usd:
        yield 0, _estimated(provider, model)
    yield from _elsewhere(provider, model, providers)
    yield from _prompt_cache(provider, model, pricing)


def _elsewhere(
    provider: ProviderSpent, model: ModelSpent, providers: Sequence[ProviderSpent]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Compare with the cheapest other provider of the namespace that serves the model."""
    best: tuple[int, ProviderSpent, Pricing] | None = None
    for other in providers:
        pricing = other.prices.get(model.model)
        if other.id == provider.id or other.namespace != provider.namespace or not other.enabled:
            continue
        if pricing is not None:
            cost = cost_of(model.tokens, pricing)
            if best is None or cost < best[0]:
                best = (cost, other, pricing)
    if best is None:
        return
    cost, other, pricing = best
    saving = model.nano_usd - cost
    if saving < max(WORTH_NANO_USD, WORTH_SHARE * model.nano_usd):
        return
    yield (
        saving,
        {
            "kind": "cheaper_provider",
            "provider": provider.id,
            "model": model.model,
            "saving_usd": usd(saving),
            "text": f"{model.model} has cost {dollars(model.nano_usd)} at {provider.id} this month; the same "
            f"tokens at {other.id} would have cost {dollars(cost)}",
            "arithmetic": f"{dollars(model.nano_usd)} paid - ({priced_sum(model.tokens, pricing)}) = "
            f"{dollars(saving)}" + (_cache_doubt(model)),
            "do": f"give {other.id} a lower spec.priority than {provider.id}, or use the strategy cost",
        },
    )


def _cache_doubt(model: ModelSpent) -> str:
    return ", if as many tokens come from its prompt cache" if model.tokens.cached_input else ""


def _prompt_cache(
    provider: ProviderSpent, model: ModelSpent, pricing: Pricing
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Tell what each tenth of the fresh input would save if it came from the provider's prompt cache."""
    tokens, prices = model.tokens, price_list(pricing)
    asked = tokens.input + tokens.cached_input
    if prices.cached_input >= prices.input or not asked or tokens.cached_input > LITTLE_CACHED * asked:
        return
    tenth = tokens.input // TENTH
    saving = share_of(tenth, prices.input - prices.cached_input)
    if saving < max(WORTH_NANO_USD, WORTH_SHARE * model.nano_usd):
        return
    yield (
        saving,
        {
            "kind": "prompt_cache",
            "provider": provider.id,
            "model": model.model,
            "saving_usd": usd(saving),
            "text": f"{tokens.cached_input / asked:.0%} of {model.model}'s input at {provider.id} came from "
            "its prompt cache; each tenth of the fresh input that did, too, would have saved "
            f"{dollars(saving)}",
            "arithmetic": f"{tokens.input:,} fresh tokens / {TENTH} x ({price(prices.input)} - "
            f"{price(prices.cached_input)}) = {dollars(saving)}, less what writing to the cache costs",
            "do": "keep what does not change at the beginning of prompts, and set the profile's affinity to "
            "Prefix",
        },
    )


def _unpriced(provider: ProviderSpent, model: ModelSpent) -> dict[str, Any]:
    return {
        "kind": "unpriced",
        "provider": provider.id,
        "model": model.model,
        "saving_usd": None,
        "text": f"{model.tokens.total:,} tokens of {model.model} at {provider.id} were counted as free: "
        "it has no price",
        "arithmetic": "",
        "do": "set models[].pricing or costPer1kTokens",
    }


def _estimated(provider: ProviderSpent, model: ModelSpent) -> dict[str, Any]:
    return {
        "kind": "estimated",
        "provider": provider.id,
        "model": model.model,
        "saving_usd": None,
        "text": f"{model.estimated_nano_usd / model.nano_usd:.0%} of {model.model}'s cost at {provider.id} "
        "stands on tokens that no provider has counted",
        "arithmetic": f"{dollars(model.estimated_nano_usd)} of {dollars(model.nano_usd)}",
        "do": "let callers of OpenAI's format stream with stream_options: {include_usage: true}",
    }
