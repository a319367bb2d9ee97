"""An operation's address at each type of provider."""

import pytest

from cliproxy_api.snapshot import Azure
from cliproxy_api.vocabulary import ProviderType
from cliproxy_operator.compile_provider import PUBLIC_ADDRESSES
from cliproxy_sidecar.core.addresses import probe_url, upstream_url, with_query
from cliproxy_sidecar.core.dialect import (
    BATCH_EMBED,
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    GENERATE,
    GENERATE_LIST,
    MESSAGES,
    STREAM_GENERATE,
    Operation,
    form_of,
    is_native,
)
from support.build import bare_provider as provider

HOST = "https://h.example"
GOOGLE = "https://generativelanguage.googleapis.com"


@pytest.mark.parametrize(
    ("provider_type", "base_url", "operation", "url"),
    [
        (
            ProviderType.OPENAI,
            "https://api.openai.com/v1",
            CHAT,
            "https://api.openai.com/v1/chat/completions",
        ),
        (ProviderType.OPENAI, HOST, CHAT, f"{HOST}/v1/chat/completions"),
        (ProviderType.OPENAI, f"{HOST}/", EMBEDDINGS, f"{HOST}/v1/embeddings"),
        (ProviderType.OPENAI_COMPATIBLE, f"{HOST}/openai/v1/", COMPLETIONS, f"{HOST}/openai/v1/completions"),
        (
            ProviderType.OPENAI_COMPATIBLE,
            "http://127.0.0.1:8000",
            CHAT,
            "http://127.0.0.1:8000/v1/chat/completions",
        ),
        (
            ProviderType.GEMINI,
            f"{GOOGLE}/v1beta/openai/",
            CHAT,
            f"{GOOGLE}/v1beta/openai/chat/completions",
        ),
        (ProviderType.GEMINI, "", GENERATE, f"{GOOGLE}/v1beta/models/m:generateContent"),
        (ProviderType.GEMINI, HOST, GENERATE, f"{HOST}/v1beta/models/m:generateContent"),
        (ProviderType.GEMINI, f"{HOST}/x/", BATCH_EMBED, f"{HOST}/x/models/m:batchEmbedContents"),
        (ProviderType.GEMINI, HOST, STREAM_GENERATE, f"{HOST}/v1beta/models/m:streamGenerateContent?alt=sse"),
        (ProviderType.GEMINI, HOST, GENERATE_LIST, f"{HOST}/v1beta/models/m:streamGenerateContent"),
        (ProviderType.ANTHROPIC, HOST, MESSAGES, f"{HOST}/v1/messages"),
        (ProviderType.ANTHROPIC, f"{HOST}/v1", MESSAGES, f"{HOST}/v1/messages"),
        (
            ProviderType.ANTHROPIC,
            f"{HOST}/anthropic/",
            COUNT_TOKENS,
            f"{HOST}/anthropic/v1/messages/count_tokens",
        ),
    ],
)
def test_addresses(provider_type: ProviderType, base_url: str, operation: Operation, url: str) -> None:
    assert upstream_url(provider(provider_type, base_url), operation, "m") == url


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("a b?c", "models/a%20b%3Fc"),
    ],
)
def test_geminis_model_stands_in_the_path(model: str, path: str) -> None:
    at_google = provider(ProviderType.GEMINI)
    assert upstream_url(at_google, GENERATE, model) == f"{GOOGLE}/v1beta/{path}:generateContent"


@pytest.mark.parametrize(
    ("type_", "operation"),
    [
        (ProviderType.OPENAI, CHAT),
        (ProviderType.ANTHROPIC, MESSAGES),
        (ProviderType.GEMINI, GENERATE),
    ],
)
def test_the_operators_public_addresses_are_asked_in_the_providers_own_format(
    type_: ProviderType, operation: Operation
) -> None:
    public = provider(type_, PUBLIC_ADDRESSES[type_])
    assert is_native(operation, form_of(public))
    assert upstream_url(public, operation, "m").startswith("https://")
    if type_ is ProviderType.GEMINI:
        assert upstream_url(public, operation, "m") == upstream_url(provider(type_), operation, "m")


@pytest.mark.parametrize(
    ("base_url", "azure", "url"),
    [
        (
            HOST,
            Azure(api_version="v", deployment="dep"),
            f"{HOST}/openai/deployments/dep/chat/completions?api-version=v",
        ),
        (HOST, Azure(api_version="v"), f"{HOST}/openai/deployments/m%2F1/chat/completions?api-version=v"),
        (
            f"{HOST}/openai/",
            Azure(api_version="a b"),
            f"{HOST}/openai/deployments/m%2F1/chat/completions?api-version=a%20b",
        ),
        (HOST, None, f"{HOST}/openai/deployments/m%2F1/chat/completions?api-version=2024-10-21"),
        (f"{HOST}/openai/v1", Azure(api_version="v"), f"{HOST}/openai/v1/chat/completions"),
    ],
)
def test_azures_addresses(base_url: str, azure: Azure | None, url: str) -> None:
    assert upstream_url(provider(ProviderType.AZURE_OPENAI, base_url, azure), CHAT, "m/1") == url


@pytest.mark.parametrize(
    ("provider_type", "base_url", "path", "url"),
    [
        (ProviderType.OPENAI, f"{HOST}/v1", None, f"{HOST}/v1/models"),
        (ProviderType.ANTHROPIC, HOST, None, f"{HOST}/v1/models"),
        (ProviderType.GEMINI, f"{HOST}/g", None, f"{HOST}/g/models"),
        (ProviderType.GEMINI, f"{HOST}/g/openai", None, f"{HOST}/g/openai/models"),
        (ProviderType.GEMINI, "", None, f"{GOOGLE}/v1beta/models"),
        (ProviderType.AZURE_OPENAI, HOST, None, f"{HOST}/openai/models?api-version=2024-10-21"),
        (ProviderType.AZURE_OPENAI, f"{HOST}/openai/v1", None, f"{HOST}/openai/v1/models"),
        (ProviderType.OPENAI, f"{HOST}/v1", "/health", f"{HOST}/health"),
        (ProviderType.OPENAI, f"{HOST}:8443/v1", "health?x=1", f"{HOST}:8443/health?x=1"),
        (ProviderType.GEMINI, "", "/x", f"{GOOGLE}/x"),
    ],
)
def test_probes(provider_type: ProviderType, base_url: str, path: str | None, url: str) -> None:
    assert probe_url(provider(provider_type, base_url, probe=path)) == url


@pytest.mark.parametrize(
    ("url", "query", "expected"),
    [
        ("u", b"", "u"),
        ("u", b"beta=true", "u?beta=true"),
        ("u", b"a=1&b=%20c&&d", "u?a=1&b=%20c&d"),
        ("u", b"key=secret", "u"),
        ("u", b"KEY=secret&a=1&access_token=x", "u?a=1"),
        ("u", b"api-version=1", "u?api-version=1"),
        ("u?api-version=v", b"api-version=1&a=2", "u?api-version=v&a=2"),
        ("u?api-version=v", b"api-version=1", "u?api-version=v"),
        ("u?alt=sse", b"key=secret&alt=sse", "u?alt=sse"),
        ("u?alt=sse", b"key=secret&fields=x", "u?alt=sse&fields=x"),
        ("u", b"a=\xff\r\n x", "u?a=%FF%0D%0A%20x"),
    ],
)
def test_the_callers_query_passes_without_keys(url: str, query: bytes, expected: str) -> None:
    assert with_query(url, query) == expected
