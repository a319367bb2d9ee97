"""Paths become operations, and operations addresses at each type of provider."""

import pytest

from cliproxy_api.snapshot import Azure, Credential, HealthCheck, Provider
from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    MODEL,
    MODELS,
    RESPONSES,
    Dialect,
    Operation,
    dialect_wanted,
    operation_of,
    probe_url,
    serves,
    upstream_url,
    with_query,
)

HOST = "https://h.example"


def provider(
    provider_type: ProviderType, base_url: str, azure: Azure | None = None, probe: str | None = None
) -> Provider:
    return Provider(
        id="ns/p",
        name="p",
        type=provider_type,
        base_url=base_url,
        credentials=(Credential(name="a", secret="ns/s/k", secret_digest="d"),),
        models=(),
        azure=azure,
        health_check=HealthCheck(path=probe),
    )


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/completions", COMPLETIONS),
        ("/v1/embeddings", EMBEDDINGS),
        ("/v1/messages", MESSAGES),
        ("/v1/messages/count_tokens", COUNT_TOKENS),
        ("/v1/models", MODELS),
        ("/v1/models/gpt-4o", MODEL),
        ("/v1/models/org/name", MODEL),
        ("/v1/models/", None),
        ("/v1/chat/completions/", None),
        ("/v1/responses", RESPONSES),
        ("/v1/responses/resp_1", None),
        ("/", None),
        ("", None),
    ],
)
def test_paths(path: str, operation: Operation | None) -> None:
    assert operation_of(path) is operation


def test_a_type_serves_its_own_formats() -> None:
    for provider_type in ProviderType:
        own = [Dialect.ANTHROPIC] if provider_type is ProviderType.ANTHROPIC else [Dialect.OPENAI]
        own += [Dialect.RESPONSES] if provider_type is ProviderType.OPENAI else []
        assert [dialect for dialect in Dialect if serves(provider_type, dialect)] == own


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        (CHAT, None),
        (MESSAGES, None),
        (RESPONSES, None),
        (EMBEDDINGS, Dialect.OPENAI),
        (COUNT_TOKENS, Dialect.ANTHROPIC),
    ],
)
def test_conversations_can_be_held_in_any_format(operation: Operation, wanted: Dialect | None) -> None:
    assert dialect_wanted(operation) is wanted


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
            "",
            CHAT,
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        ),
        (ProviderType.GEMINI, HOST, CHAT, f"{HOST}/v1beta/openai/chat/completions"),
        (ProviderType.GEMINI, f"{HOST}/x", CHAT, f"{HOST}/x/chat/completions"),
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
        (ProviderType.AZURE_OPENAI, HOST, None, f"{HOST}/openai/models?api-version=2024-10-21"),
        (ProviderType.AZURE_OPENAI, f"{HOST}/openai/v1", None, f"{HOST}/openai/v1/models"),
        (ProviderType.OPENAI, f"{HOST}/v1", "/health", f"{HOST}/health"),
        (ProviderType.OPENAI, f"{HOST}:8443/v1", "health?x=1", f"{HOST}:8443/health?x=1"),
        (ProviderType.GEMINI, "", "/x", "https://generativelanguage.googleapis.com/x"),
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
        ("u", b"a=\xff\r\n x", "u?a=%FF%0D%0A%20x"),
    ],
)
def test_the_callers_query_passes_without_keys(url: str, query: bytes, expected: str) -> None:
    assert with_query(url, query) == expected
