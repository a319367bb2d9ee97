"""Under which address an operation stands at a provider.

Depends on the snapshot only, so it is worth working out once per target. Headers and keys are left to
`headers`.
"""

from typing import Final
from urllib.parse import quote, urlsplit

from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import GEMINI_MODELS, MODELS, Dialect, Form, Operation, form_of

GEMINI_BASE_URL: Final = "https://generativelanguage.googleapis.com"
"""Source: Gemini API reference (read 2026-11)."""
GEMINI_VERSION: Final = "/v1beta"
"""The version whose reference holds all that is translated here; Google's own SDKs ask for it."""
AZURE_API_VERSION: Final = "2024-10-21"
"""The latest general version of the deployments surface (Azure OpenAI documentation, read 2026-11)."""
CREDENTIAL_PARAMETERS: Final = frozenset({b"key", b"api_key", b"api-key", b"access_token"})
"""Keys of callers in a query; they go nowhere."""


def upstream_url(provider: Provider, operation: Operation, upstream_model: str) -> str:
    """Return the address for an operation, without the caller's query (see `with_query`).

    A base URL without a path gets the version path of its type. Azure's takes the deployment's name in the
    path and the API version in the query, unless it names Azure's newer surface (".../openai/v1"), which is
    like OpenAI's. Gemini's own API has the model's name in the path.
    """
    base = _base(provider)
    if operation.dialect is Dialect.GEMINI:
        name = quote(upstream_model.removeprefix("models/"), safe="/")
        # Tuned models and the like bring their collection along.
        collection = "" if name.startswith("tunedModels/") else "models/"
        return f"{base}/{collection}{name}{operation.suffix}"
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
    if form_of(provider) is Form.GEMINI:
        return f"{base}{GEMINI_MODELS.suffix}"
    azure = provider.type is ProviderType.AZURE_OPENAI and not base.endswith("/v1")
    return f"{base}{MODELS.suffix}{_api_version(provider) if azure else ''}"


def with_query(url: str, query: bytes) -> str:
    """Append the caller's query, without keys in it and without what the address already fixes."""
    if not query:
        return url
    own = url.partition("?")[2].encode()
    fixed = {part.partition(b"=")[0] for part in own.split(b"&")}
    kept = [
        part
        for part in query.split(b"&")
        if part
        and (name := part.partition(b"=")[0].lower()) not in fixed
        and name not in CREDENTIAL_PARAMETERS
    ]
    if not kept:
        return url
    # What a query may not hold is escaped; escapes stay as they are.
    return f"{url}{'&' if own else '?'}{quote(b'&'.join(kept), safe='%&=+,:;/?@!$*()~-._[]')}"


def _base(provider: Provider) -> str:
    base = provider.base_url.rstrip("/")
    match provider.type:
        case ProviderType.ANTHROPIC:
            return base if base.endswith("/v1") else f"{base}/v1"
        case ProviderType.AZURE_OPENAI:
            return base if base.endswith(("/openai", "/openai/v1")) else f"{base}/openai"
        case ProviderType.GEMINI:
            base = base or GEMINI_BASE_URL
            return base if urlsplit(base).path else f"{base}{GEMINI_VERSION}"
        case _:
            return base if urlsplit(base).path else f"{base}/v1"


def _api_version(provider: Provider) -> str:
    version = provider.azure.api_version if provider.azure else AZURE_API_VERSION
    return f"?api-version={quote(version, safe='')}"
