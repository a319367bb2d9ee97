"""Which requests exist, who serves them as they are, and what a provider understands.

Downstream paths become operations. Providers' addresses are `addresses`', headers and keys `headers`', bodies
`body`'s; what is served in another format stands in `translate.translation`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import ProviderType


class Dialect(StrEnum):
    """The format that a caller speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    RESPONSES = "responses"
    """OpenAI's Responses API: errors as in OpenAI's other answers, events of their own."""
    GEMINI = "gemini"
    """Gemini's own API; its OpenAI-compatible endpoint is OPENAI."""


class Form(StrEnum):
    """What a provider understands as it is; types of providers share forms."""

    OPENAI = "openai"
    """OpenAI itself: with the Responses API."""
    CHAT = "chat"
    """OpenAI's older operations: Azure and OpenAI-like servers have the Responses API in part, if at all."""
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"


class Need(StrEnum):
    """What a provider must be able to do for an operation, as it is or translated."""

    CONVERSATION = "conversation"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    COUNT = "count"


_ABLE: Final = {
    Need.CONVERSATION: frozenset(Form),
    Need.COMPLETIONS: frozenset({Form.OPENAI, Form.CHAT}),
    Need.EMBEDDINGS: frozenset({Form.OPENAI, Form.CHAT, Form.GEMINI}),
    Need.COUNT: frozenset({Form.ANTHROPIC, Form.GEMINI}),
}


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One thing a caller can ask for; compared by identity."""

    dialect: Dialect
    name: str
    """Unique among all; in metrics and logs."""
    path: str
    """Downstream; for "model" and Gemini's the prefix before the model's name."""
    method: str
    suffix: str
    """What follows the version path at a provider; for Gemini's what follows the model's name."""
    need: Need = Need.CONVERSATION

    generates: bool = field(init=False)
    """Its answer is a model's output, so that its size says something about tokens."""
    is_billed: bool = field(init=False)
    """Providers want money for it."""

    def __post_init__(self) -> None:
        generates = self.need is Need.CONVERSATION or self.need is Need.COMPLETIONS
        object.__setattr__(self, "generates", generates)
        object.__setattr__(self, "is_billed", self.need is not Need.COUNT)


CHAT: Final = Operation(Dialect.OPENAI, "chat", "/v1/chat/completions", "POST", "/chat/completions")
COMPLETIONS: Final = Operation(
    Dialect.OPENAI, "completions", "/v1/completions", "POST", "/completions", Need.COMPLETIONS
)
EMBEDDINGS: Final = Operation(
    Dialect.OPENAI, "embeddings", "/v1/embeddings", "POST", "/embeddings", Need.EMBEDDINGS
)
RESPONSES: Final = Operation(Dialect.RESPONSES, "responses", "/v1/responses", "POST", "/responses")
MESSAGES: Final = Operation(Dialect.ANTHROPIC, "messages", "/v1/messages", "POST", "/messages")
COUNT_TOKENS: Final = Operation(
    Dialect.ANTHROPIC,
    "count_tokens",
    "/v1/messages/count_tokens",
    "POST",
    "/messages/count_tokens",
    Need.COUNT,
)
MODELS: Final = Operation(Dialect.OPENAI, "models", "/v1/models", "GET", "/models")
MODEL: Final = Operation(Dialect.OPENAI, "model", "/v1/models/", "GET", "/models/")

GEMINI_MODELS: Final = Operation(Dialect.GEMINI, "gemini_models", "/v1beta/models", "GET", "/models")
GEMINI_MODEL: Final = Operation(Dialect.GEMINI, "gemini_model", "/v1beta/models/", "GET", "")
GENERATE: Final = Operation(Dialect.GEMINI, "generate_content", GEMINI_MODEL.path, "POST", ":generateContent")
STREAM_GENERATE: Final = Operation(
    Dialect.GEMINI, "stream_generate_content", GEMINI_MODEL.path, "POST", ":streamGenerateContent?alt=sse"
)
GENERATE_LIST: Final = Operation(
    Dialect.GEMINI, "stream_generate_content_list", GEMINI_MODEL.path, "POST", ":streamGenerateContent"
)
"""Without `alt=sse` the chunks come as one JSON array; served whole."""
GEMINI_COUNT: Final = Operation(
    Dialect.GEMINI, "gemini_count_tokens", GEMINI_MODEL.path, "POST", ":countTokens", Need.COUNT
)
EMBED: Final = Operation(
    Dialect.GEMINI, "embed_content", GEMINI_MODEL.path, "POST", ":embedContent", Need.EMBEDDINGS
)
BATCH_EMBED: Final = Operation(
    Dialect.GEMINI, "batch_embed_contents", GEMINI_MODEL.path, "POST", ":batchEmbedContents", Need.EMBEDDINGS
)

_BY_PATH: Final = {
    operation.path: operation
    for operation in (
        CHAT,
        COMPLETIONS,
        EMBEDDINGS,
        RESPONSES,
        MESSAGES,
        COUNT_TOKENS,
        MODELS,
        GEMINI_MODELS,
    )
} | {"/v1alpha/models": GEMINI_MODELS}
_BY_VERB: Final = {
    "generateContent": GENERATE,
    "streamGenerateContent": STREAM_GENERATE,
    "countTokens": GEMINI_COUNT,
    "embedContent": EMBED,
    "batchEmbedContents": BATCH_EMBED,
}
_MODELS: Final = "/models/"
_ENTRIES: Final = {"/v1": MODEL, "/v1beta": GEMINI_MODEL, "/v1alpha": GEMINI_MODEL}
"""Google's SDKs ask for any of these versions, for the first as OpenAI's do."""
LISTS: Final = frozenset({MODELS, MODEL, GEMINI_MODELS, GEMINI_MODEL})
"""Answered from the snapshot."""
_SHOWN: Final = {
    b"anthropic-version": Dialect.ANTHROPIC,
    b"x-goog-api-key": Dialect.GEMINI,
    b"x-goog-api-client": Dialect.GEMINI,
}
_ALT_SSE: Final = b"alt=sse"
_FORMS: Final = {
    ProviderType.OPENAI: Form.OPENAI,
    ProviderType.AZURE_OPENAI: Form.CHAT,
    ProviderType.OPENAI_COMPATIBLE: Form.CHAT,
    ProviderType.ANTHROPIC: Form.ANTHROPIC,
}
_NATIVE: Final = {
    Form.OPENAI: frozenset({CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES}),
    Form.CHAT: frozenset({CHAT, COMPLETIONS, EMBEDDINGS}),
    Form.ANTHROPIC: frozenset({MESSAGES, COUNT_TOKENS}),
    Form.GEMINI: frozenset({GENERATE, STREAM_GENERATE, GENERATE_LIST, GEMINI_COUNT, EMBED, BATCH_EMBED}),
}


def operation_of(path: str) -> Operation | None:
    """Return the operation at a downstream path, None if there is none; the method remains to be checked."""
    operation = _BY_PATH.get(path)
    if operation is None:
        version, models, rest = path.partition(_MODELS)
        entry = _ENTRIES.get(version) if models and rest else None
        if entry is not None:
            # A model's name may hold colons: only what the last one begins can be the verb.
            model, _, verb = rest.rpartition(":")
            return _BY_VERB.get(verb, entry) if model else entry
    return operation


def as_asked(operation: Operation, query: bytes) -> Operation:
    """Return the operation that a query makes of another: Gemini's streams are events only if asked for."""
    if operation is STREAM_GENERATE and _ALT_SSE not in query.split(b"&"):
        return GENERATE_LIST
    return operation


def model_in(path: str, operation: Operation) -> str:
    """Return the model's name that the path of one model, or of one of Gemini's operations, holds."""
    name = path.partition(_MODELS)[2]
    return name if operation in LISTS else name.rpartition(":")[0]


def dialect_shown(path: str, headers: Iterable[tuple[bytes, bytes]]) -> Dialect:
    """Return the format of a caller whose path does not say: by its beginning, else by its headers."""
    if path.startswith(("/v1beta/", "/v1alpha/")):
        return Dialect.GEMINI
    if path.startswith(MESSAGES.path):
        return Dialect.ANTHROPIC
    shown = (_SHOWN[name] for name, _ in headers if name in _SHOWN)
    return next(shown, Dialect.OPENAI)


def form_of(provider: Provider) -> Form:
    """Return what a provider understands as it is.

    Gemini has two APIs under two addresses: one that ends in "/openai" is the OpenAI-compatible one.
    """
    form = _FORMS.get(provider.type)
    if form is not None:
        return form
    return Form.CHAT if provider.base_url.rstrip("/").endswith("/openai") else Form.GEMINI


def serves(form: Form, need: Need) -> bool:
    """Whether a provider that understands this form can do what is needed, translated if need be."""
    return form in _ABLE[need]


def is_native(operation: Operation, form: Form) -> bool:
    """Whether an operation goes to a provider of this form as it is."""
    return operation in _NATIVE[form]
