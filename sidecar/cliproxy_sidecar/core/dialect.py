"""Which requests exist, who serves them, and under which address at a provider.

Downstream paths become operations; a provider's type decides dialect and URL. Headers and keys are left to
`headers`, bodies to `body`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlsplit

from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import ProviderType


class Dialect(StrEnum):
    """The format that a caller speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    RESPONSES = "responses"
    """OpenAI's Responses API: errors as in OpenAI's other answers, events of their own."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a caller can ask for."""

    dialect: Dialect
    name: str
    """"chat", "completions", "embeddings", "responses", "messages", "count_tokens", "models", "model"."""
    path: str
    """Downstream; for "model" the prefix before the model's name."""
    method: str
    suffix: str
    """What follows the version path at a provider."""


CHAT: Final = Operation(Dialect.OPENAI, "chat", "/v1/chat/completions", "POST", "/chat/completions")
COMPLETIONS: Final = Operation(Dialect.OPENAI, "completions", "/v1/completions", "POST", "/completions")
EMBEDDINGS: Final = Operation(Dialect.OPENAI, "embeddings", "/v1/embeddings", "POST", "/embeddings")
RESPONSES: Final = Operation(Dialect.RESPONSES, "responses", "/v1/responses", "POST", "/responses")
MESSAGES: Final = Operation(Dialect.ANTHROPIC, "messages", "/v1/messages", "POST", "/messages")
COUNT_TOKENS: Final = Operation(
    Dialect.ANTHROPIC, "count_tokens", "/v1/messages/count_tokens", "POST", "/messages/count_tokens"
)
MODELS: Final = Operation(Dialect.OPENAI, "models", "/v1/models", "GET", "/models")
MODEL: Final = Operation(Dialect.OPENAI, "model", "/v1/models/", "GET", "/models/")

_BY_PATH: Final = {
    operation.path: operation
    for operation in (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, MESSAGES, COUNT_TOKENS, MODELS)
}
TRANSLATABLE: Final = (CHAT, RESPONSES, MESSAGES)
"""What every provider can be asked for, in its own format if need be."""
GEMINI_BASE_URL: Final = "https://generativelanguage.googleapis.com/v1beta/openai"
"""Source: Gemini API documentation, OpenAI compatibility (read 2026-11)."""
AZURE_API_VERSION: Final = "2024-10-21"
"""The latest general version of the deployments surface (Azure OpenAI documentation, read 2026-11)."""
_CREDENTIAL_PARAMETERS: Final = frozenset({b"key", b"api_key", b"api-key", b"access_token"})
"""Keys of callers in a query; they go nowhere."""


def operation_of(path: str) -> Operation | None:
    """Return the operation at a downstream path, None if there is none; the method remains to be checked."""
    operation = _BY_PATH.get(path)
    if operation is None and path.startswith(MODEL.path) and len(path) > len(MODEL.path):
        return MODEL
    return operation


def serves(provider_type: ProviderType, dialect: Dialect) -> bool:
    """Whether providers of this type understand the dialect as it is.

    Azure and OpenAI-like servers have the Responses API in part or not at all; their chat serves it.
    """
    if dialect is Dialect.RESPONSES:
        return provider_type is ProviderType.OPENAI
    return (provider_type is ProviderType.ANTHROPIC) == (dialect is Dialect.ANTHROPIC)


def dialect_wanted(operation: Operation) -> Dialect | None:
    """Return the format that a provider must understand; None: any, the request can be translated."""
    return None if operation in TRANSLATABLE else operation.dialect


def upstream_url(provider: Provider, operation: Operation, upstream_model: str) -> str:
    """Return the address for an operation, without the caller's query (see `with_query`).

    Depends on the snapshot only, so it is worth computing once per target. A base URL without a path gets
    the version path of its type; Azure's takes the deployment's name in the path and the API version in the
    query, unless it names Azure's newer surface (".../openai/v1"), which is like OpenAI's.
    """
    base = _base(provider)
    if provider.type is ProviderType.AZURE_OPENAI and not base.endswith("/v1"):
        deployment = (provider.azure.deployment if provider.azure else None) or upstream_model
        return f"{base}/deployments/{quote(deployment, safe='')}{operation.suffix}{_api_version(provider)}"
    return base + operation.suffix


def probe_url(provider: Provider) -> str:
    """Return the unbilled probe's address: `healthCheck.path` on the provider's host, else its model list."""
    path = provider.health_check.path
    if path is not None:
        parts = urlsplit(provider.base_url or GEMINI_BASE_URL)
        return f"{parts.scheme}://{parts.netloc}/{path.removeprefix('/')}"
    base = _base(provider)
    azure = provider.type is ProviderType.AZURE_OPENAI and not base.endswith("/v1")
    return f"{base}{MODELS.suffix}{_api_version(provider) if azure else ''}"


def with_query(url: str, query: bytes) -> str:
    """Append the caller's query, without keys in it and without what the address already fixes."""
    if not query:
        return url
    fixed = b"api-version" if "?" in url else b""
    kept = [
        part
        for part in query.split(b"&")
        if part and (name := part.partition(b"=")[0].lower()) != fixed and name not in _CREDENTIAL_PARAMETERS
    ]
    if not kept:
        return url
    # What a query may not hold is escaped; escapes stay as they are.
    return f"{url}{'&' if '?' in url else '?'}{quote(b'&'.join(kept), safe='%&=+,:;/?@!$*()~-._[]')}"


def _base(provider: Provider) -> str:
    base = provider.base_url.rstrip("/")
    match provider.type:
        case ProviderType.ANTHROPIC:
            return base if base.endswith("/v1") else f"{base}/v1"
        case ProviderType.AZURE_OPENAI:
            return base if base.endswith(("/openai", "/openai/v1")) else f"{base}/openai"
        case ProviderType.GEMINI:
            base = base or GEMINI_BASE_URL
            return base if urlsplit(base).path else f"{base}/v1beta/openai"
        case _:
            return base if urlsplit(base).path else f"{base}/v1"


def _api_version(provider: Provider) -> str:
    version = provider.azure.api_version if provider.azure else AZURE_API_VERSION
    return f"?api-version={quote(version, safe='')}"
