"""Paths become operations; types of providers understand forms."""

import pytest

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import (
    BATCH_EMBED,
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBED,
    EMBEDDINGS,
    GEMINI_COUNT,
    GEMINI_MODEL,
    GEMINI_MODELS,
    GENERATE,
    GENERATE_LIST,
    MESSAGES,
    MODEL,
    MODELS,
    RESPONSES,
    STREAM_GENERATE,
    Dialect,
    Form,
    Need,
    Operation,
    as_asked,
    dialect_shown,
    form_of,
    is_native,
    model_in,
    operation_of,
    serves,
)
from support.build import bare_provider


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
        ("/v1beta/models", GEMINI_MODELS),
        ("/v1beta/models/", None),
        ("/v1beta/models/:generateContent", GEMINI_MODEL),
        ("/v1beta/models/m", GEMINI_MODEL),
        ("/v1beta/models/m:predict", GEMINI_MODEL),
        ("/v1alpha/models", GEMINI_MODELS),
        ("/v1alpha/models/m", GEMINI_MODEL),
        ("/v1/models/llama3:8b", MODEL),
        ("/v2/models/m:generateContent", None),
        ("/", None),
        ("", None),
    ],
)
def test_paths(path: str, operation: Operation | None) -> None:
    assert operation_of(path) is operation


@pytest.mark.parametrize(
    ("verb", "operation"),
    [
        ("generateContent", GENERATE),
        ("streamGenerateContent", STREAM_GENERATE),
        ("countTokens", GEMINI_COUNT),
        ("embedContent", EMBED),
        ("batchEmbedContents", BATCH_EMBED),
    ],
)
@pytest.mark.parametrize("model", ["gemini-2.5-pro", "llama3:8b", "org/name"])
@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_geminis_paths_hold_the_model(version: str, model: str, verb: str, operation: Operation) -> None:
    path = f"/{version}/models/{model}:{verb}"
    assert operation_of(path) is operation
    assert model_in(path, operation) == model
    assert model_in(f"/{version}/models/{model}", GEMINI_MODEL) == model


@pytest.mark.parametrize(
    ("path", "header", "dialect"),
    [
        ("/v1/models", b"authorization", Dialect.OPENAI),
        ("/v1/models", b"anthropic-version", Dialect.ANTHROPIC),
        ("/v1/models/m", b"x-goog-api-key", Dialect.GEMINI),
        ("/v1/models/m", b"x-goog-api-client", Dialect.GEMINI),
        ("/v1/messages/x", b"accept", Dialect.ANTHROPIC),
        ("/v1beta/x", b"accept", Dialect.GEMINI),
    ],
)
def test_a_caller_shows_its_format(path: str, header: bytes, dialect: Dialect) -> None:
    assert dialect_shown(path, [(b"accept", b"*/*"), (header, b"x")]) is dialect


@pytest.mark.parametrize(
    ("query", "operation"),
    [
        (b"alt=sse", STREAM_GENERATE),
        (b"key=x&alt=sse", STREAM_GENERATE),
        (b"", GENERATE_LIST),
        (b"alt=json", GENERATE_LIST),
    ],
)
def test_geminis_streams_are_events_only_if_asked_for(query: bytes, operation: Operation) -> None:
    assert as_asked(STREAM_GENERATE, query) is operation
    assert as_asked(CHAT, query) is CHAT


@pytest.mark.parametrize(
    ("provider_type", "base_url", "form"),
    [
        (ProviderType.OPENAI, "", Form.OPENAI),
        (ProviderType.AZURE_OPENAI, "https://h/openai", Form.CHAT),
        (ProviderType.OPENAI_COMPATIBLE, "https://h/openai", Form.CHAT),
        (ProviderType.ANTHROPIC, "", Form.ANTHROPIC),
        (ProviderType.GEMINI, "", Form.GEMINI),
        (ProviderType.GEMINI, "https://h", Form.GEMINI),
        (ProviderType.GEMINI, "https://h/v1beta/openai", Form.CHAT),
        (ProviderType.GEMINI, "https://h/v1beta/openai/", Form.CHAT),
    ],
)
def test_forms(provider_type: ProviderType, base_url: str, form: Form) -> None:
    assert form_of(bare_provider(provider_type, base_url)) is form


def test_what_is_native_where() -> None:
    own = {form: [op.name for op in OPERATIONS if is_native(op, form)] for form in Form}
    older = ["chat", "completions", "embeddings"]
    assert own == {
        Form.OPENAI: [*older, "responses"],
        Form.CHAT: older,
        Form.ANTHROPIC: ["messages", "count_tokens"],
        Form.GEMINI: [operation.name for operation in OPERATIONS[6:]],
    }


OPERATIONS = [CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, MESSAGES, COUNT_TOKENS]
OPERATIONS += [GENERATE, STREAM_GENERATE, GENERATE_LIST, GEMINI_COUNT, EMBED, BATCH_EMBED]


def test_conversations_can_be_held_in_any_form() -> None:
    for operation in (CHAT, MESSAGES, RESPONSES, GENERATE, STREAM_GENERATE):
        assert operation.need is Need.CONVERSATION
    assert all(serves(form, Need.CONVERSATION) for form in Form)
    assert [form for form in Form if not serves(form, Need.EMBEDDINGS)] == [Form.ANTHROPIC]
    assert [form for form in Form if serves(form, Need.COUNT)] == [Form.ANTHROPIC, Form.GEMINI]


def test_names_are_unique() -> None:
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
