"""A request of Gemini's own API as a chat request; for Anthropic it goes on through `to_messages_request`.

The conversation is `from_gemini_history`'s, tools are `gemini_tools`'. Sources: Gemini API reference,
generateContent and GenerationConfig; OpenAI API reference, create chat completion (read 2026-11).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.translate.draft import (
    Destination,
    Draft,
    Rule,
    elsewhere,
    hint,
    only,
    renamed,
    write,
)
from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    flag,
    inner,
    mapping,
    number,
    sequence,
    text,
    whole,
)
from cliproxy_sidecar.core.translate.from_gemini_history import history_from_gemini
from cliproxy_sidecar.core.translate.gemini_names import canonical
from cliproxy_sidecar.core.translate.gemini_tools import choice_from_gemini, json_schema, tools_from_gemini
from cliproxy_sidecar.core.translate.quirks import mind_quirks
from cliproxy_sidecar.core.translate.reasoning import reasons
from cliproxy_sidecar.core.translate.to_messages_request import request_to_messages

SCHEMA_NAME: Final = "answer"
"""OpenAI wants a name for a schema; Gemini's have none."""
_CONFIG: Final = "generationConfig"
_OPENAI_ITSELF: Final = frozenset({ProviderType.OPENAI, ProviderType.AZURE_OPENAI})
_MAX_STOPS: Final = 4
_JSON: Final = "application/json"
_LOW_TOKENS: Final = 1024
_MEDIUM_TOKENS: Final = 8192
_NAMES: Final = (
    ("max_completion_tokens", "maxOutputTokens"),
    ("max_tokens", "maxOutputTokens"),
    ("top_logprobs", "logprobs"),
    ("logprobs", "responseLogprobs"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("response_format", "responseMimeType"),
    ("reasoning_effort", "thinkingConfig"),
    ("temperature", "temperature"),
    ("seed", "seed"),
    ("stop", "stopSequences"),
    ("n", "candidateCount"),
    ("top_k", "topK"),
)
"""Chat's names of fields, as Gemini's callers know them."""


def request_from_gemini(request: Object, destination: Destination, *, stream: bool) -> Draft:
    """Return the chat request; whether it is to be streamed stands in Gemini's path, not in its body.

    Raises:
        TranslationError: a field has no equal.

    """
    draft = Draft(canonical(request), destination)
    write(draft, _RULES)
    config = Draft(mapping(draft.source.get(_CONFIG) or {}, _CONFIG), destination, draft.body, {})
    try:
        write(config, _CONFIG_RULES)
        _write_format(config)
    except TranslationError as error:
        raise TranslationError(f"{_CONFIG}.{error.field}", error.message) from error
    for name in config.left_out:
        draft.leave_out(f"{_CONFIG}.{name}")
    _write_tools(draft)
    draft.body["model"] = destination.model
    draft.body["messages"] = history_from_gemini(draft)
    if stream:
        # Gemini's streams always tell the usage, and the sidecar counts by it.
        draft.body |= {"stream": True, "stream_options": {"include_usage": True}}
    mind_quirks(draft)
    return draft


def gemini_to_messages(request: Object, destination: Destination, *, stream: bool) -> Draft:
    """Return Anthropic's request.

    Raises:
        TranslationError: a field has no equal.

    """
    chat = request_from_gemini(request, destination, stream=stream)
    chat.body.pop("stream_options", None)
    try:
        draft = request_to_messages(chat.body, destination)
    except TranslationError as error:
        raise TranslationError(_as_called_at_gemini(error.field), error.message) from error
    if inner(draft.body, "thinking", "type") == "enabled" and draft.body.pop("top_k", None) is not None:
        draft.leave_out("top_k")  # Anthropic refuses it beside thinking, Google's agents send it always.
    left_out = {_as_called_at_gemini(name): None for name in draft.left_out}
    return replace(draft, left_out=chat.left_out | left_out)


def _as_called_at_gemini(field: str) -> str:
    for theirs, ours in _NAMES:
        if field == theirs or field.startswith((f"{theirs}.", f"{theirs}[")):
            return f"{_CONFIG}.{ours}{field.removeprefix(theirs)}"
    return field.replace("messages", "contents", 1) if field.startswith("messages") else field


# ---------------------------------------------------------------------------- tools
def _write_tools(draft: Draft) -> None:
    given = draft.source.get("tools")
    tools = [] if given is None else tools_from_gemini(given)
    config = mapping(draft.source.get("toolConfig") or {}, "toolConfig")
    for name, value in config.items():
        if name != "functionCallingConfig" and value is not None:
            draft.leave_out(f"toolConfig.{name[:40]}")
    if not tools:
        return
    choice, tools = choice_from_gemini(config, tools)
    draft.body["tools"] = tools
    if choice != "auto":
        draft.body["tool_choice"] = choice


# ------------------------------------------------------------------- generationConfig
def _max_tokens(draft: Draft, value: Any) -> None:
    itself = draft.destination.provider_type in _OPENAI_ITSELF
    draft.body["max_completion_tokens" if itself else "max_tokens"] = whole(value, "maxOutputTokens")


def _top_k(draft: Draft, value: Any) -> None:
    """Anthropic has it, and many OpenAI-like servers as an extension.

    Others are not refused for it: Google's agents send their usual one always, and few answers depend on it.
    """
    degree = whole(value, "topK")
    if draft.destination.provider_type in {ProviderType.ANTHROPIC, ProviderType.OPENAI_COMPATIBLE}:
        draft.body["top_k"] = degree
    else:
        draft.leave_out("topK")


def _stops(draft: Draft, value: Any) -> None:
    stops = [
        text(item, f"stopSequences[{place}]") for place, item in enumerate(sequence(value, "stopSequences"))
    ]
    if len(stops) > _MAX_STOPS and draft.destination.provider_type in _OPENAI_ITSELF:
        raise TranslationError("stopSequences", f"must not be more than {_MAX_STOPS} there")
    if stops:
        draft.body["stop"] = stops


def _count(draft: Draft, value: Any) -> None:
    if whole(value, "candidateCount") != 1:
        draft.body["n"] = value


def _logprobs(draft: Draft, value: Any) -> None:
    if flag(value, "responseLogprobs"):
        draft.body["logprobs"] = True


def _thinking(draft: Draft, value: Any) -> None:
    """How much may be thought; whether thoughts are shown is for the provider to say."""
    wanted = mapping(value, "thinkingConfig")
    level, budget = wanted.get("thinkingLevel"), wanted.get("thinkingBudget")
    effort: str | None = None
    if isinstance(level, str):
        effort = level.lower()
    elif isinstance(budget, int) and not isinstance(budget, bool) and budget > 0:
        effort = "low" if budget <= _LOW_TOKENS else "medium" if budget <= _MEDIUM_TOKENS else "high"
    elif budget == 0 and draft.destination.provider_type is ProviderType.ANTHROPIC:
        return  # Claude thinks only if asked.
    if effort is None and budget in (None, -1):
        return
    if effort in {"minimal", "low", "medium", "high"} and (
        draft.destination.provider_type is ProviderType.ANTHROPIC or reasons(draft.destination)
    ):
        draft.body["reasoning_effort"] = effort
    else:
        draft.leave_out("thinkingConfig")


def _write_format(draft: Draft) -> None:
    kind = draft.source.get("responseMimeType")
    schema = draft.source.get("responseJsonSchema")
    if schema is not None:
        schema = mapping(schema, "responseJsonSchema")
    elif draft.source.get("responseSchema") is not None:
        schema = json_schema(draft.source["responseSchema"], "responseSchema")
    if kind not in (None, "text/plain", _JSON):
        raise TranslationError("responseMimeType", f"{str(kind)[:40]!r} has no equal")
    if schema is not None:
        described: Object = {"name": SCHEMA_NAME, "schema": schema}
        draft.body["response_format"] = {"type": "json_schema", "json_schema": described}
    elif kind == _JSON:
        draft.body["response_format"] = {"type": "json_object"}


def _modalities(_: Draft, value: Any) -> None:
    for place, name in enumerate(sequence(value, "responseModalities")):
        if text(name, f"responseModalities[{place}]").upper() != "TEXT":
            raise TranslationError(f"responseModalities[{place}]", "only text has an equal")


def _same(name: str, source: str, take: Callable[[object, str], Any] = number) -> Rule:
    return renamed(name, take, source)


_CONFIG_RULES: Final[Mapping[str, Rule]] = {
    "maxOutputTokens": _max_tokens,
    "temperature": _same("temperature", "temperature"),
    "topP": _same("top_p", "topP"),
    "topK": _top_k,
    "stopSequences": _stops,
    "candidateCount": _count,
    "seed": _same("seed", "seed"),
    "presencePenalty": _same("presence_penalty", "presencePenalty"),
    "frequencyPenalty": _same("frequency_penalty", "frequencyPenalty"),
    "responseLogprobs": _logprobs,
    "logprobs": _same("top_logprobs", "logprobs", whole),
    "responseMimeType": elsewhere,
    "responseSchema": elsewhere,
    "responseJsonSchema": elsewhere,
    "responseModalities": _modalities,
    "thinkingConfig": _thinking,
    "speechConfig": only("speechConfig", ({},), "no speech can be asked for there"),
    "imageConfig": only("imageConfig", ({},), "no images can be asked for there"),
    "enableEnhancedCivicAnswers": hint("enableEnhancedCivicAnswers"),
    "mediaResolution": hint("mediaResolution"),
    "audioTimestamp": hint("audioTimestamp"),
}
_RULES: Final[Mapping[str, Rule]] = {
    "model": elsewhere,
    "contents": elsewhere,
    "systemInstruction": elsewhere,
    "tools": elsewhere,
    "toolConfig": elsewhere,
    _CONFIG: elsewhere,
    "cachedContent": only("cachedContent", (), "what Google has cached cannot be read elsewhere"),
    # How to serve: Google's own filters have no place elsewhere, notes are for its bills.
    "safetySettings": hint("safetySettings"),
    "labels": hint("labels"),
    "serviceTier": hint("serviceTier"),
    "store": hint("store"),
}
