"""The parts of an LLMProvider that say what it is: keys, models, prices, quota, who may use it."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cliproxy_api.resources.common import (
    DNS_LABEL,
    DNS_SUBDOMAIN,
    MODEL_NAME,
    LabelSelector,
    SecretRef,
    money,
    text,
    whole,
    wire_name,
)
from cliproxy_api.vocabulary import (
    NamespacesFrom,
    PriceUnit,
    QuotaReset,
    QuotaUnit,
)

QUOTA_LIMIT_PATTERN: Final = r"^[0-9]{1,15}(\.[0-9]{1,9})?$"


class Credential(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """One key of the provider."""

    name: Annotated[
        str,
        text(
            "Name of this key in status, metrics and logs; unique within the provider.",
            at_most=63,
            pattern=DNS_LABEL,
        ),
    ]
    secret_ref: Annotated[
        SecretRef,
        Meta(
            description="The Secret that holds the key's value; it is watched, so a rotated key is live at "
            "once."
        ),
    ]
    weight: Annotated[
        int,
        whole(
            "Share of this provider's requests relative to its other keys; 0 takes the key out.", at_most=1000
        ),
    ] = 1


class Pricing(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What a model's tokens cost."""

    per: Annotated[
        PriceUnit,
        Meta(description="How many tokens the prices are for: 1k or 1M, as the provider's price list says."),
    ] = PriceUnit.MILLION
    input: Annotated[str, money("Price of fresh input tokens, in US dollars.")]
    output: Annotated[str, money("Price of output tokens, in US dollars.")]
    cached_input: (
        Annotated[
            str,
            money(
                "Price of input tokens read from the provider's prompt cache, in US dollars; default: "
                "`input`."
            ),
        ]
        | None
    ) = None
    cache_write: (
        Annotated[
            str,
            money(
                "Price of input tokens written to the provider's prompt cache, in US dollars; default: "
                "`input`."
            ),
        ]
        | None
    ) = None
    reasoning: (
        Annotated[str, money("Price of hidden reasoning tokens, in US dollars; default: `output`.")] | None
    ) = None


class Model(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """One model that the provider serves."""

    name: Annotated[
        str,
        text("Model name that callers ask for; unique within the provider.", at_most=256, pattern=MODEL_NAME),
    ]
    upstream_name: (
        Annotated[
            str,
            text(
                "Model name that is sent to the provider; default: the same as `name`.",
                at_most=256,
                pattern=MODEL_NAME,
            ),
        ]
        | None
    ) = None
    context_window: (
        Annotated[
            int,
            whole(
                "Most tokens, input and output together, that the model takes in one request.",
                at_least=1,
                at_most=100_000_000,
            ),
        ]
        | None
    ) = None
    pricing: (
        Annotated[
            Pricing,
            Meta(description="What the model's tokens cost; default: the provider's costPer1kTokens."),
        ]
        | None
    ) = None


class Azure(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What Azure OpenAI needs besides the address."""

    api_version: Annotated[
        str,
        text(
            "Value of the api-version parameter, such as 2024-10-21.",
            at_most=32,
            pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?|v1|preview|latest)$",
        ),
    ]
    deployment: (
        Annotated[
            str,
            text(
                "Deployment that serves all models of this provider; default: each model's upstream name.",
                at_most=64,
                pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
            ),
        ]
        | None
    ) = None


class Quota(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How much of this provider may be used in a period."""

    limit: Annotated[
        Annotated[int, Meta(ge=1, le=10**15)]
        | Annotated[str, Meta(max_length=25, pattern=QUOTA_LIMIT_PATTERN)],
        Meta(
            description="Most that may be used in one period, above 0: a whole number, or for usd also a "
            "quoted decimal "
            'such as "250.00".'
        ),
    ]
    unit: Annotated[QuotaUnit, Meta(description="What is counted: tokens, requests or usd.")]
    reset: Annotated[
        QuotaReset,
        Meta(
            description="When counting begins anew, at midnight UTC: daily, weekly (Mondays) or monthly "
            "(the 1st)."
        ),
    ] = QuotaReset.MONTHLY


class CostPer1kTokens(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Prices for models that have none of their own."""

    input: Annotated[str, money("Price of 1,000 input tokens, in US dollars.")]
    output: Annotated[str, money("Price of 1,000 output tokens, in US dollars.")]


class CooldownPolicyRef(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Names a CooldownPolicy of the same namespace."""

    name: Annotated[
        str,
        text(
            "Name of the CooldownPolicy, in the namespace of this object.", at_most=253, pattern=DNS_SUBDOMAIN
        ),
    ]


class AllowedNamespaces(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Whose sidecars may use the provider."""

    from_: Annotated[
        NamespacesFrom,
        Meta(
            description="Namespaces whose sidecars may use this provider, keys included: Same (its own), "
            "All, or Selector."
        ),
    ] = NamespacesFrom.SAME
    selector: (
        Annotated[
            LabelSelector,
            Meta(description="With `from: Selector`: labels of the namespaces that may use the provider."),
        ]
        | None
    ) = None
