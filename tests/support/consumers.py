"""Callers with keys and models with prices, for snapshots that limit and count."""

import msgspec

from cliproxy_api.snapshot import Consumer, Pricing, Profile, SnapshotPush
from support import build

WEB, BATCH = "sk-web-0123456789abcdef", "sk-batch-0123456789abcdef"
SECRETS = {"team-a/callers/web": WEB, "team-a/callers/batch": BATCH}
PRICE = Pricing(input=2_000_000_000, output=8_000_000_000)
"""2 and 8 dollars per million tokens."""


def consumer(name: str = "web", **changes: object) -> Consumer:
    consumer = Consumer(name=name, secret=f"team-a/callers/{name}", secret_digest="d", tier="gold")
    return msgspec.structs.replace(consumer, **changes)


def priced(part: build.Built, *prices: Pricing) -> build.Built:
    """Give each model of a provider its price."""
    given = prices or (PRICE,) * len(part.provider.models)
    models = tuple(
        msgspec.structs.replace(model, pricing=price)
        for model, price in zip(part.provider.models, given, strict=True)
    )
    return build.Built(msgspec.structs.replace(part.provider, models=models), part.secrets)


def push_with(consumers: tuple[Consumer, ...], *parts: build.Built) -> SnapshotPush:
    push = build.push(*parts, profile=Profile(name="gateway", consumers=consumers))
    return msgspec.structs.replace(push, secrets={**push.secrets, **SECRETS})
