"""A chat request as a request of Gemini's own API; Anthropic's and Responses requests go by way of chat.

The conversation is `to_gemini_history`'s, tools are `gemini_tools`'. Sources: OpenAI API reference, create
chat completion; Gemini API reference, generateContent; Gemini API documentation, thinking, structured outputs
and OpenAI compatibility (all read 2026-11).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from cliproxy_sidecar.core.translate.draft import (
    Destination,
    Draft,
    Rule,
    elsewhere,
    hint,
    only,
    write,
)
from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    flag,
    inner,
    kind_of,
    mapping,
    number,
    sequence,
    text,
    whole,
)
from cliproxy_sidecar.core.translate.gemini_tools import choice_to_gemini, tools_to_gemini
from cliproxy_sidecar.core.translate.responses_request import as_called_in_responses, responses_to_chat
from cliproxy_sidecar.core.translate.to_chat_request import request_to_chat
from cliproxy_sidecar.core.translate.to_gemini_history import write_contents

MAX_STOPS: Final = 5
"""Gemini's own limit."""
_JSON: Final = "application/json"
_BUDGETS_TOKENS: Final = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
"""For Gemini 2.5, by Google's own table for OpenAI's efforts; beyond "high" it has nothing."""
_LEVELS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
"""For Gemini since 3. "minimal" is not known to all its models."""
_BEYOND: Final = {"xhigh": "high", "max": "high"}
_GEMINI: Final = re.compile(r"gemini-(\d+)(?:\.(\d+))?(.*)")
_FIRST_WITH_BUDGET: Final = (2, 5)
_FIRST_WITH_LEVEL: Final = (3, 0)
_NAMES: Final = {
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "reasoning_effort": "thinking",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}
"""Chat's names of fields, as Anthropic's callers know them."""
_OLD_FUNCTIONS: Final = "is OpenAI's deprecated form; use tools and tool_choice"
_NO_AUDIO: Final = "speech is asked for in another way at Gemini"


def request_to_gemini(request: Object, destination: Destination) -> Draft:
    """Return Gemini's request.

    Raises:
        TranslationError: a field has no equal.

    """
    draft = Draft(request, destination)
    write(draft, _RULES)
    write_contents(draft, request.get("messages"))
    effort = request.get("reasoning_effort")
    if effort is not None:
        _think(draft, text(effort, "reasoning_effort"))
    return draft


def messages_to_gemini(request: Object, destination: Destination) -> Draft:
    """Return Gemini's request for Anthropic's.

    Raises:
        TranslationError: a field has no equal.

    """
    chat = request_to_chat(request, destination)
    chat.body.pop("reasoning_effort", None)
    chat.left_out.pop("thinking", None)
    try:
        draft = request_to_gemini(chat.body, destination)
    except TranslationError as error:
        raise TranslationError(_as_called_in_messages(error.field), error.message) from error
    effort = inner(request, "output_config", "effort")
    budget = inner(request, "thinking", "budget_tokens")
    match inner(request, "thinking", "type"):
        case "enabled" if isinstance(budget, int) and not isinstance(budget, bool):
            _think(draft, _nearest(budget), budget)
        case "disabled":
            _think(draft, "none")
        case None if effort is None:
            pass
        case _:
            _think(draft, text("medium" if effort is None else effort, "output_config.effort"))
    left_out = {_as_called_in_messages(name): None for name in draft.left_out}
    return replace(draft, left_out=chat.left_out | left_out)


def responses_to_gemini(request: Object, destination: Destination) -> Draft:
    """Return Gemini's request for a Responses request.

    Raises:
        TranslationError: a field has no equal.

    """
    chat = responses_to_chat(request, destination)
    try:
        draft = request_to_gemini(chat.body, destination)
    except TranslationError as error:
        raise TranslationError(as_called_in_responses(error.field), error.message) from error
    left_out = {as_called_in_responses(name): None for name in draft.left_out}
    return replace(draft, left_out=chat.left_out | left_out)


def _as_called_in_messages(field: str) -> str:
    name, bracket, rest = field.partition("[")
    return f"{_NAMES.get(name, name)}{bracket}{rest}"


# ------------------------------------------------------------------------ thinking
def _think(draft: Draft, effort: str, budget_tokens: int | None = None) -> None:
    """Ask for as much thinking, shown; models that take no such wish are not asked."""
    match = _GEMINI.search(draft.destination.model.lower())
    version = (int(match[1]), int(match[2] or 0)) if match is not None else (0, 0)
    known = _BEYOND.get(effort, effort)
    if version >= _FIRST_WITH_LEVEL and known in _LEVELS:
        _config(draft)["thinkingConfig"] = {"thinkingLevel": _LEVELS[known], "includeThoughts": True}
    elif version == _FIRST_WITH_BUDGET and known in _BUDGETS_TOKENS:
        budget = _BUDGETS_TOKENS[known] if budget_tokens is None else budget_tokens
        _config(draft)["thinkingConfig"] = {"thinkingBudget": budget, "includeThoughts": True}
    elif version == _FIRST_WITH_BUDGET and known == "none" and match and "pro" not in match[3]:
        _config(draft)["thinkingConfig"] = {"thinkingBudget": 0}
    elif version >= _FIRST_WITH_BUDGET or known != "none":
        draft.leave_out("reasoning_effort")


def _nearest(budget_tokens: int) -> str:
    return next((name for name in ("low", "medium") if budget_tokens <= _BUDGETS_TOKENS[name]), "high")


# --------------------------------------------------------------------------- fields
def _config(draft: Draft) -> Object:
    found: Object = draft.body.setdefault("generationConfig", {})
    return found


def _into(name: str, source: str, take: Any) -> Rule:
    def rule(draft: Draft, value: Any) -> None:
        _config(draft)[name] = take(value, source)

    return rule


def _stop(draft: Draft, value: Any) -> None:
    stops = [value] if isinstance(value, str) else sequence(value, "stop")
    if len(stops) > MAX_STOPS:
        raise TranslationError("stop", f"must not be more than {MAX_STOPS} there")
    _config(draft)["stopSequences"] = [text(item, f"stop[{place}]") for place, item in enumerate(stops)]


def _tools(draft: Draft, value: Any) -> None:
    tools = tools_to_gemini(value)
    if tools:
        draft.body["tools"] = tools
    if any(inner(tool, "function", "strict") is not None for tool in value):
        draft.leave_out("tools[].function.strict")


def _tool_choice(draft: Draft, value: Any) -> None:
    if draft.source.get("tools"):
        draft.body["toolConfig"] = choice_to_gemini(value)


def _parallel(draft: Draft, value: Any) -> None:
    """Gemini decides by itself; callers take one call as they take several."""
    if not flag(value, "parallel_tool_calls"):
        draft.leave_out("parallel_tool_calls")


def _response_format(draft: Draft, value: Any) -> None:
    wanted = mapping(value, "response_format")
    match kind_of(wanted, "response_format"):
        case "text":
            return
        case "json_object":
            _config(draft)["responseMimeType"] = _JSON
        case "json_schema":
            described = mapping(wanted.get("json_schema"), "response_format.json_schema")
            schema = mapping(described.get("schema"), "response_format.json_schema.schema")
            _config(draft).update(responseMimeType=_JSON, responseJsonSchema=schema)
        case other:
            raise TranslationError("response_format.type", f"{other[:40]!r} has no equal")


def _logprobs(draft: Draft, value: Any) -> None:
    if flag(value, "logprobs"):
        _config(draft)["responseLogprobs"] = True


def _top_logprobs(draft: Draft, value: Any) -> None:
    if whole(value, "top_logprobs"):
        _config(draft)["logprobs"] = value


_RULES: Final[Mapping[str, Rule]] = {
    "model": elsewhere,
    "messages": elsewhere,
    "stream": elsewhere,
    "stream_options": elsewhere,
    "reasoning_effort": elsewhere,
    "max_tokens": _into("maxOutputTokens", "max_tokens", whole),
    "max_completion_tokens": _into("maxOutputTokens", "max_completion_tokens", whole),
    "temperature": _into("temperature", "temperature", number),
    "top_p": _into("topP", "top_p", number),
    "top_k": _into("topK", "top_k", whole),
    "n": _into("candidateCount", "n", whole),
    "seed": _into("seed", "seed", number),
    "presence_penalty": _into("presencePenalty", "presence_penalty", number),
    "frequency_penalty": _into("frequencyPenalty", "frequency_penalty", number),
    "stop": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _parallel,
    "response_format": _response_format,
    "logprobs": _logprobs,
    "top_logprobs": _top_logprobs,
    "logit_bias": only("logit_bias", ({},), "Gemini cannot favour tokens"),
    "modalities": only("modalities", (["text"],), _NO_AUDIO),
    "audio": only("audio", (), _NO_AUDIO),
    "functions": only("functions", ([],), _OLD_FUNCTIONS),
    "function_call": only("function_call", (), _OLD_FUNCTIONS),
    "web_search_options": only("web_search_options", (), "OpenAI's search runs at OpenAI only"),
    "moderation": only("moderation", (), "OpenAI's moderation runs at OpenAI only"),
    "store": only("store", (False,), "answers are stored at OpenAI only"),
    # How to serve, not what to answer: caches, predictions, whom it is for, style of length.
    "metadata": hint("metadata"),
    "prediction": hint("prediction"),
    "prompt_cache_key": hint("prompt_cache_key"),
    "prompt_cache_options": hint("prompt_cache_options"),
    "prompt_cache_retention": hint("prompt_cache_retention"),
    "safety_identifier": hint("safety_identifier"),
    "service_tier": hint("service_tier"),
    "user": hint("user"),
    "verbosity": hint("verbosity"),
}
