"""An OpenAI Responses request as a chat request: the part that keeps nothing at OpenAI.

Input items are `responses_input`'s, tools `responses_tools`'. For Anthropic the chat request goes on through
`to_messages_request`. Source: OpenAI API reference, create a model response (read 2026-11); what Codex sends:
its public source and documentation.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.translate.draft import Destination, Draft, Rule, elsewhere, hint, only, write
from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    kind_of,
    mapping,
    sequence,
    text,
    whole,
)
from cliproxy_sidecar.core.translate.quirks import mind_quirks
from cliproxy_sidecar.core.translate.responses_input import input_to_chat
from cliproxy_sidecar.core.translate.responses_tools import choice_to_chat_form, tools_to_chat_form
from cliproxy_sidecar.core.translate.to_messages_request import request_to_messages

_STORED: Final = "what OpenAI has stored cannot be read elsewhere: send the whole conversation as input"
_NAMES: Final = (
    ("response_format.json_schema", "text.format"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
)
_INCLUDABLE: Final = "reasoning.encrypted_content"


def responses_to_chat(request: Object, destination: Destination) -> Draft:
    """Return the chat request.

    Raises:
        TranslationError: a field has no equal.

    """
    draft = Draft(request, destination)
    write(draft, _RULES)
    messages = input_to_chat(draft, request.get("input"))
    instructions = request.get("instructions")
    if instructions is not None:
        messages.insert(0, {"role": "system", "content": text(instructions, "instructions")})
    if destination.provider_type is not ProviderType.ANTHROPIC and not destination.native:
        messages = [_without_thoughts(message) for message in messages]
    draft.body |= {"model": destination.model, "messages": messages}
    if not draft.body.get("tools"):
        # Chat servers refuse a choice among no tools; all that were offered may have been left out.
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            draft.body.pop(name, None)
    mind_quirks(draft)
    return draft


def responses_to_messages(request: Object, destination: Destination) -> Draft:
    """Return the Anthropic request.

    Raises:
        TranslationError: a field has no equal.

    """
    chat = responses_to_chat(request, destination)
    try:
        draft = request_to_messages(chat.body, destination)
    except TranslationError as error:
        raise TranslationError(as_called_in_responses(error.field), error.message) from error
    left_out = {as_called_in_responses(name): None for name in draft.left_out}
    return replace(draft, left_out=chat.left_out | left_out)


def as_called_in_responses(field: str) -> str:
    """Return the caller's name for a field of the chat request in between."""
    for theirs, ours in _NAMES:
        if field.startswith(theirs):
            return ours + field.removeprefix(theirs)
    return field


def _without_thoughts(message: Object) -> Object:
    return {name: value for name, value in message.items() if name != "thinking_blocks"}


def _limit(draft: Draft, value: Any) -> None:
    azure = draft.destination.provider_type is ProviderType.AZURE_OPENAI
    draft.body["max_completion_tokens" if azure else "max_tokens"] = whole(value, "max_output_tokens")


def _stream(draft: Draft, value: Any) -> None:
    draft.body["stream"] = value
    if value is True:
        draft.body["stream_options"] = {"include_usage": True}


def _tools(draft: Draft, value: Any) -> None:
    draft.body["tools"] = tools_to_chat_form(draft, value)


def _tool_choice(draft: Draft, value: Any) -> None:
    draft.body["tool_choice"] = choice_to_chat_form(value)


def _text(draft: Draft, value: Any) -> None:
    wanted = mapping(value, "text")
    if wanted.get("verbosity") is not None:
        draft.leave_out("text.verbosity")
    if wanted.get("format") is None:
        return
    form = mapping(wanted["format"], "text.format")
    if kind_of(form, "text.format") == "json_schema":
        schema = {name: item for name, item in form.items() if name != "type"}
        draft.body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form["type"] != "text":
        draft.body["response_format"] = form


def _reasoning(draft: Draft, value: Any) -> None:
    wanted = mapping(value, "reasoning")
    if wanted.get("effort") is not None:
        draft.body["reasoning_effort"] = text(wanted["effort"], "reasoning.effort")
    for name, item in wanted.items():
        if name != "effort" and item is not None:
            draft.leave_out(f"reasoning.{name[:40]}")


def _include(_: Draft, value: Any) -> None:
    for place, name in enumerate(sequence(value, "include")):
        if name != _INCLUDABLE:
            raise TranslationError(f"include[{place}]", "has no equal")


def _store(draft: Draft, value: Any) -> None:
    if value is not False:
        draft.leave_out("store")


_RULES: Final[Mapping[str, Rule]] = {
    "model": elsewhere,
    "input": elsewhere,
    "instructions": elsewhere,
    "max_output_tokens": _limit,
    "stream": _stream,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "text": _text,
    "reasoning": _reasoning,
    "include": _include,
    "store": _store,
    "previous_response_id": only("previous_response_id", (), _STORED),
    "conversation": only("conversation", (), _STORED),
    "prompt": only("prompt", (), _STORED),
    "background": only("background", (False,), "answers in the background are stored at OpenAI"),
    "top_logprobs": only("top_logprobs", (0,), "probabilities of tokens have no equal here"),
    "moderation": only("moderation", (), "OpenAI's moderation runs at OpenAI only"),
    "truncation": only("truncation", ("disabled",), "only OpenAI shortens a conversation by itself"),
    # How to serve, not what to answer.
    "client_metadata": hint("client_metadata"),
    "context_management": hint("context_management"),
    "max_tool_calls": hint("max_tool_calls"),
    "metadata": hint("metadata"),
    "prompt_cache_key": hint("prompt_cache_key"),
    "prompt_cache_options": hint("prompt_cache_options"),
    "prompt_cache_retention": hint("prompt_cache_retention"),
    "service_tier": hint("service_tier"),
    "stream_options": hint("stream_options"),
}
