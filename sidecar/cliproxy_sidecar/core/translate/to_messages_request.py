"""An OpenAI chat request as an Anthropic messages request.

The conversation is `to_messages_history`'s, tools are `tools`'. Sources: OpenAI API reference, create chat
completion; Anthropic API documentation, create a message, structured outputs (read 2026-11).
"""

from collections.abc import Mapping
from typing import Any, Final

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
    inner,
    kind_of,
    mapping,
    number,
    sequence,
    text,
    whole,
)
from cliproxy_sidecar.core.translate.reasoning import budget_of, is_thought, thinking_for
from cliproxy_sidecar.core.translate.to_messages_history import write_history
from cliproxy_sidecar.core.translate.tools import choice_to_messages, tools_to_messages

DEFAULT_MAX_TOKENS: Final = 4096
"""Anthropic wants a limit; this is the greatest that every Claude model allows. Thinking comes on top."""

_NO_LOGPROBS: Final = "Anthropic tells no probabilities of tokens"
_NO_PENALTY: Final = "Anthropic has no such penalty"
_NO_AUDIO: Final = "Anthropic hears and speaks no audio"
_OLD_FUNCTIONS: Final = "is OpenAI's deprecated form; use tools and tool_choice"
_TIERS: Final = {"auto": "auto", "default": "standard_only"}


def request_to_messages(request: Object, destination: Destination) -> Draft:
    """Return the Anthropic request.

    Raises:
        TranslationError: a field has no equal.

    """
    draft = Draft(request, destination)
    write(draft, _RULES)
    write_history(draft, request.get("messages"))
    draft.body["model"] = destination.model
    if draft.body.get("tools"):
        choice = choice_to_messages(request.get("tool_choice"), parallel=request.get("parallel_tool_calls"))
        if choice is not None:
            draft.body["tool_choice"] = choice
    limit = _limit(request)
    draft.body["max_tokens"] = DEFAULT_MAX_TOKENS if limit is None else limit
    _write_thinking(draft, limit)
    _drop_neutral(draft.body)
    return draft


def _drop_neutral(body: Object) -> None:
    """Of temperature and top_p newer Claude models take one; where both are sent, one mostly says nothing.

    Source: Anthropic API documentation, messages, temperature and top_p (read 2026-11).
    """
    if "temperature" in body and "top_p" in body:
        neutral = next((name for name in ("temperature", "top_p") if body[name] == 1), None)
        if neutral is not None:
            del body[neutral]


def _limit(request: Object) -> int | None:
    names = ("max_completion_tokens", "max_tokens")
    return next((whole(request[name], name) for name in names if request.get(name) is not None), None)


def _write_thinking(draft: Draft, limit: int | None) -> None:
    effort = draft.source.get("reasoning_effort")
    if effort is None or draft.body.get("thinking") is not None:
        return
    wanted = text(effort, "reasoning_effort")
    most = DEFAULT_MAX_TOKENS + budget_of(wanted) if limit is None else limit
    fields = None if _forbids_thinking(draft.body) else thinking_for(wanted, draft.destination, most)
    if fields is None:
        draft.leave_out("reasoning_effort")
        return
    draft.body["thinking"] = fields["thinking"]
    if "output_config" in fields:
        _configure(draft, fields["output_config"])
    if fields["thinking"]["type"] != "disabled":
        draft.body["max_tokens"] = most


def _forbids_thinking(body: Object) -> bool:
    """Whether Anthropic would refuse to think: a forced tool, a temperature, or a turn begun without thought.

    OpenAI's models reason in all these cases, so callers of its format do not know of them. Source: Anthropic
    API documentation, extended thinking, feature compatibility and preserving thinking blocks (read 2026-11).
    """
    if inner(body.get("tool_choice"), "type") in ("any", "tool") or body.get("temperature") not in (None, 1):
        return True
    spoken = (turn["content"] for turn in reversed(body["messages"]) if turn["role"] == "assistant")
    last: list[Object] = next(spoken, [])
    return any(block["type"] == "tool_use" for block in last) and not is_thought(last[0])


def _configure(draft: Draft, config: Object) -> None:
    """Add to `output_config`, which the caller may have sent as well."""
    given = draft.body.get("output_config")
    draft.body["output_config"] = {**config, **(given if isinstance(given, dict) else {})}


def _temperature(draft: Draft, value: Any) -> None:
    degree = number(value, "temperature")
    if not 0 <= degree <= 1:
        raise TranslationError("temperature", f"must be from 0 to 1 there, but is {degree}")
    draft.body["temperature"] = degree


def _stop(draft: Draft, value: Any) -> None:
    """Anthropic refuses stops of nothing but white space; others may take them."""
    given = [value] if isinstance(value, str) else sequence(value, "stop")
    stops = [text(item, f"stop[{place}]") for place, item in enumerate(given)]
    for place, stop in enumerate(stops):
        if stop.isspace():
            raise TranslationError(f"stop[{place}]", "must not be white space alone there")
    draft.body["stop_sequences"] = [stop for stop in stops if stop]


def _tools(draft: Draft, value: Any) -> None:
    draft.body["tools"] = tools_to_messages(value)


def _response_format(draft: Draft, value: Any) -> None:
    wanted = mapping(value, "response_format")
    match kind_of(wanted, "response_format"):
        case "text":
            return
        case "json_schema":
            schema = inner(wanted, "json_schema", "schema")
            found = mapping(schema, "response_format.json_schema.schema")
            _configure(draft, {"format": {"type": "json_schema", "schema": found}})
        case _:
            why = "Anthropic promises JSON only by a schema: use json_schema"
            raise TranslationError("response_format.type", why)


def _output_config(draft: Draft, value: Any) -> None:
    """Anthropic's own field, sent by a caller who knows; what we write beside it gives way."""
    written = draft.body.get("output_config", {})
    draft.body["output_config"] = {**written, **mapping(value, "output_config")}


def _user(draft: Draft, value: Any) -> None:
    draft.body["metadata"] = {"user_id": text(value, "user")}


def _metadata(draft: Draft, value: Any) -> None:
    """OpenAI keeps these notes with stored answers; of them Anthropic knows the user."""
    for name, item in mapping(value, "metadata").items():
        if name == "user_id":
            draft.body.setdefault("metadata", {"user_id": text(item, "metadata.user_id")})
        else:
            draft.leave_out(f"metadata.{name[:40]}")


def _service_tier(draft: Draft, value: Any) -> None:
    tier = _TIERS.get(value) if isinstance(value, str) else None
    if tier is None:
        draft.leave_out("service_tier")
    else:
        draft.body["service_tier"] = tier


_RULES: Final[Mapping[str, Rule]] = {
    "model": elsewhere,
    "messages": elsewhere,
    "max_tokens": elsewhere,
    "max_completion_tokens": elsewhere,
    "temperature": _temperature,
    "top_p": renamed("top_p", number, "top_p"),
    "stop": _stop,
    "n": only("n", (1,), "Anthropic gives one answer per request"),
    "stream_options": elsewhere,
    "tools": _tools,
    "tool_choice": elsewhere,
    "parallel_tool_calls": elsewhere,
    "response_format": _response_format,
    "output_config": _output_config,
    "reasoning_effort": elsewhere,
    "user": _user,
    "safety_identifier": _user,
    "metadata": _metadata,
    "service_tier": _service_tier,
    "logprobs": only("logprobs", (False,), _NO_LOGPROBS),
    "top_logprobs": only("top_logprobs", (0,), _NO_LOGPROBS),
    "logit_bias": only("logit_bias", ({},), "Anthropic cannot favour tokens"),
    "presence_penalty": only("presence_penalty", (0,), _NO_PENALTY),
    "frequency_penalty": only("frequency_penalty", (0,), _NO_PENALTY),
    "modalities": only("modalities", (["text"],), _NO_AUDIO),
    "audio": only("audio", (), _NO_AUDIO),
    "functions": only("functions", ([],), _OLD_FUNCTIONS),
    "function_call": only("function_call", (), _OLD_FUNCTIONS),
    "web_search_options": only("web_search_options", (), "OpenAI's search runs at OpenAI only"),
    "moderation": only("moderation", (), "OpenAI's moderation runs at OpenAI only"),
    "store": only("store", (False,), "answers are stored at OpenAI only"),
    # How to serve, not what to answer: caches, predictions, sampling seeds ("best effort"), style of length.
    "prediction": hint("prediction"),
    "prompt_cache_key": hint("prompt_cache_key"),
    "prompt_cache_options": hint("prompt_cache_options"),
    "prompt_cache_retention": hint("prompt_cache_retention"),
    "seed": hint("seed"),
    "verbosity": hint("verbosity"),
}
