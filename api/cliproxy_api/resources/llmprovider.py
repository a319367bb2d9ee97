"""LLMProvider, what users write: one upstream with its keys, models and the way it is treated.

Its parts are in `llmprovider_parts` and `llmprovider_traffic`, its status in `llmprovider_status`, the rules
across fields in `llmprovider_rules`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from cliproxy_api.resources.common import (
    HEADER_VALUE,
    HTTP_URL,
    ObjectMeta,
    items,
    keyed,
    text,
    whole,
    wire_name,
)
from cliproxy_api.resources.llmprovider_parts import (
    AllowedNamespaces,
    Azure,
    CooldownPolicyRef,
    CostPer1kTokens,
    Credential,
    Model,
    Quota,
)
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.resources.llmprovider_traffic import (
    ConnectionPool,
    HealthCheck,
    RateLimit,
    Retries,
    Timeouts,
)
from cliproxy_api.vocabulary import (
    ProviderType,
)


class LLMProviderSpec(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What the user wants of a provider."""

    type: Annotated[
        ProviderType,
        Meta(
            description="Dialect that the provider speaks: openai, anthropic, azure_openai, gemini, or "
            "openai_compatible "
            "(Groq, DeepSeek, Mistral, vLLM, Ollama and others)."
        ),
    ]
    base_url: (
        Annotated[
            str,
            text(
                "Address of the provider's API, as its own SDK's base_url: with the version path for openai "
                "and "
                "openai_compatible (https://api.openai.com/v1), without it for anthropic "
                "(https://api.anthropic.com) and gemini, whose OpenAI-compatible endpoint is selected by an "
                "address that ends in /openai; "
                "required for azure_openai and openai_compatible, otherwise default: the provider's public "
                "address.",
                at_most=2048,
                pattern=HTTP_URL,
            ),
        ]
        | None
    ) = None
    credentials: Annotated[
        tuple[Credential, ...],
        keyed(
            "Keys for the provider; requests are spread over them by weight; required except for "
            "openai_compatible.",
            "name",
            at_most=50,
        ),
    ] = ()
    models: Annotated[
        tuple[Model, ...],
        keyed(
            "Models that the provider serves; requests for other models go elsewhere.",
            "name",
            at_least=1,
            at_most=200,
        ),
    ]
    enabled: Annotated[bool, Meta(description="Whether the provider takes requests at all.")] = True
    priority: Annotated[
        int,
        whole(
            "Rank among providers that serve a model: 1 is preferred over 2, which is used only when no "
            "provider of rank 1 can.",
            at_least=1,
            at_most=1000,
        ),
    ] = 1
    weight: Annotated[
        int,
        whole(
            "Share of requests relative to other providers of the same priority; 0 sends it requests only "
            "when no other can.",
            at_most=1000,
        ),
    ] = 1
    headers: Annotated[
        dict[
            str,
            Annotated[str, text("One header's value.", at_least=0, at_most=1024, pattern=HEADER_VALUE)],
        ],
        items(
            "Headers added to every request to the provider; never keys, which belong into credentials.",
            at_most=32,
        ),
    ] = {}
    azure: (
        Annotated[
            Azure, Meta(description="What type azure_openai needs besides baseURL; only for that type.")
        ]
        | None
    ) = None
    timeouts: Annotated[
        Timeouts, Meta(description="How long one attempt may take; a caller's own shorter deadline wins.")
    ] = Timeouts()
    retries: Annotated[
        Retries, Meta(description="How often this provider is asked again before the next one is.")
    ] = Retries()
    rate_limit: (
        Annotated[
            RateLimit,
            Meta(
                description="Limits of our own, kept by the fleet so that the provider never has to refuse; "
                "default: none."
            ),
        ]
        | None
    ) = None
    quota: (
        Annotated[
            Quota, Meta(description="How much of the provider may be used in a period; default: no quota.")
        ]
        | None
    ) = None
    cost_per_1k_tokens: (
        Annotated[
            CostPer1kTokens,
            Meta(description="Prices for models without pricing of their own; default: unknown cost."),
        ]
        | None
    ) = None
    health_check: Annotated[
        HealthCheck, Meta(description="The active, unbilled probe; one sidecar of the fleet sends it.")
    ] = HealthCheck()
    connection_pool: Annotated[
        ConnectionPool, Meta(description="Connections from one sidecar to the provider.")
    ] = ConnectionPool()
    cooldown_policy_ref: (
        Annotated[
            CooldownPolicyRef,
            Meta(
                description="CooldownPolicy for this provider; default: the namespace's policy with "
                "`default: true`, else "
                "the built-in one."
            ),
        ]
        | None
    ) = None
    allowed_namespaces: Annotated[
        AllowedNamespaces,
        Meta(description="Whose sidecars may use the provider; default: those of its own namespace."),
    ] = AllowedNamespaces()


class LLMProvider(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """An upstream LLM API as declared by a user, with what the fleet knows about it."""

    metadata: ObjectMeta
    spec: LLMProviderSpec
    status: LLMProviderStatus = LLMProviderStatus()
