"""OpenTelemetry's words for what we have other words for: operations, providers, addresses.

Source: semantic conventions for generative AI, 1.37 and later (read 2026-11). Where they have no word ours is
used, which they allow.
"""

from typing import Final
from urllib.parse import urlsplit

import msgspec

from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core import dialect
from cliproxy_sidecar.core.dialect import Operation

_OPERATIONS: Final = {
    dialect.CHAT: "chat",
    dialect.RESPONSES: "chat",
    dialect.MESSAGES: "chat",
    dialect.COMPLETIONS: "text_completion",
    dialect.EMBEDDINGS: "embeddings",
    dialect.EMBED: "embeddings",
    dialect.BATCH_EMBED: "embeddings",
    dialect.GENERATE: "generate_content",
    dialect.STREAM_GENERATE: "generate_content",
    dialect.GENERATE_LIST: "generate_content",
    dialect.COUNT_TOKENS: "count_tokens",
    dialect.GEMINI_COUNT: "count_tokens",
    dialect.MODELS: "list_models",
    dialect.GEMINI_MODELS: "list_models",
    dialect.MODEL: "get_model",
    dialect.GEMINI_MODEL: "get_model",
}
_PROVIDERS: Final = {
    ProviderType.OPENAI: "openai",
    ProviderType.ANTHROPIC: "anthropic",
    ProviderType.AZURE_OPENAI: "azure.ai.openai",
    ProviderType.GEMINI: "gcp.gemini",
}
_HOSTS: Final = (
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
)
_PORTS: Final = {"http": 80, "https": 443}


class ProviderNames(msgspec.Struct, frozen=True):
    """A provider as spans name it."""

    id: str
    name: str
    """gen_ai.provider.name."""
    host: str
    port: int


def operation_name(operation: Operation | None) -> str:
    """Return gen_ai.operation.name; "" for a path that is no operation."""
    return "" if operation is None else _OPERATIONS[operation]


def provider_names(provider: Provider) -> ProviderNames:
    """Return how spans name a provider."""
    try:
        parts = urlsplit(provider.base_url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        host, port = "", 0
    name = _PROVIDERS.get(provider.type)
    if name is None:
        name = next((word for known, word in _HOSTS if host == known), provider.type.value)
    return ProviderNames(provider.id, name, host, port)
