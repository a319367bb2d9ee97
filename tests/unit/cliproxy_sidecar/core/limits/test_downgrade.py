"""Who stands in for a model when money is short."""

import msgspec

from cliproxy_api.snapshot import Model, Pricing, Provider
from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import CHAT, EMBEDDINGS, MESSAGES
from cliproxy_sidecar.core.limits.downgrade import cheapest_model
from cliproxy_sidecar.core.routing import RoutingTable
from support import build


def provider(name: str, type_: ProviderType, **prices: tuple[int, int] | None) -> Provider:
    models = tuple(
        Model(
            name=model,
            upstream_name=model,
            pricing=None if price is None else Pricing(input=price[0], output=price[1]),
        )
        for model, price in prices.items()
    )
    return msgspec.structs.replace(build.built(name=name, type_=type_).provider, models=models)


TABLE = RoutingTable(
    (
        provider("a", ProviderType.OPENAI, big=(10, 40), small=(1, 4), embed=(1, 0), unpriced=None),
        provider("b", ProviderType.ANTHROPIC, haiku=(0, 1), sonnet=(3, 15)),
    )
)


def test_the_cheapest_of_the_same_format_stands_in() -> None:
    assert cheapest_model(TABLE, CHAT, "big", 100) == "small"
    assert cheapest_model(TABLE, MESSAGES, "sonnet", 100) == "haiku"


def test_nothing_stands_in_for_the_cheapest_or_for_embeddings() -> None:
    assert cheapest_model(TABLE, CHAT, "small", 100) is None
    assert cheapest_model(TABLE, EMBEDDINGS, "big", 100) is None


def test_a_model_that_is_too_small_does_not_stand_in() -> None:
    one = provider("a", ProviderType.OPENAI, big=(10, 40), small=(1, 4))
    models = tuple(
        msgspec.structs.replace(model, context_window_tokens=100 if model.name == "small" else None)
        for model in one.models
    )
    table = RoutingTable((msgspec.structs.replace(one, models=models),))
    assert cheapest_model(table, CHAT, "big", 100) == "small"
    assert cheapest_model(table, CHAT, "big", 101) is None
