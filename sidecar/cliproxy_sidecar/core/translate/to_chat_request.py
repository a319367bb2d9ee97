"""An Anthropic messages request as an OpenAI chat request.

The conversation is `to_chat_history`'s, tools are `tools`'. Sources: Anthropic API documentation, create a
message; OpenAI API reference, create chat completion (read 2026-11).
"""

from collections.abc import Mapping
from hashlib import sha256
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
    kind_of,
    mapping,
    number,
    sequence,
    text,
    whole,
)
from cliproxy_sidecar.core.translate.quirks import mind_quirks
from cliproxy_sidecar.core.translate.reasoning import effort_for
from cliproxy_sidecar.core.translate.to_chat_history import history_to_chat, system_to_chat
from cliproxy_sidecar.core.translate.tools import choice_to_chat, tools_to_chat

_OPENAI_ITSELF: Final = frozenset({ProviderType.OPENAI, ProviderType.AZURE_OPENAI})
"""Takes `max_completion_tokens` for all models, and only that for the newer; others know `max_tokens`."""
_MAX_STOPS: Final = 4
"""OpenAI's own limit; others have none or greater ones."""
MAX_USER_CHARS: Final = 64
"""A longer name of a user goes as its SHA-256 in hexadecimal, which is that long and as steady."""
SCHEMA_NAME: Final = "answer"
"""OpenAI wants a name for a schema; Anthropic's have none."""


def request_to_chat(request: Object, destination: Destination) -> Draft:
    """Return the OpenAI request.

    Raises:
        TranslationError: a field has no equal.

    """
    draft = Draft(request, destination)
    write(draft, _RULES)
    system = system_to_chat(draft, request["system"]) if request.get("system") is not None else []
    draft.body["model"] = destination.model
    draft.body["messages"] = [*system, *history_to_chat(draft, request.get("messages"))]
    effort = effort_for(request.get("thinking"), request.get("output_config"), destination)
    if effort is not None:
        draft.body["reasoning_effort"] = effort
    elif inner(request, "thinking", "type") not in (None, "disabled") or inner(
        request, "output_config", "effort"
    ):
        draft.leave_out("thinking")
    mind_quirks(draft)
    return draft


def _max_tokens(draft: Draft, value: Any) -> None:
    itself = draft.destination.provider_type in _OPENAI_ITSELF
    draft.body["max_completion_tokens" if itself else "max_tokens"] = whole(value, "max_tokens")


def _top_k(draft: Draft, value: Any) -> None:
    """Many OpenAI-like servers take it as an extension; OpenAI and Gemini's OpenAI endpoint refuse it."""
    if draft.destination.provider_type is not ProviderType.OPENAI_COMPATIBLE and not draft.destination.native:
        raise TranslationError("top_k", "has no equal")
    draft.body["top_k"] = whole(value, "top_k")


def _stop_sequences(draft: Draft, value: Any) -> None:
    stops = [
        text(item, f"stop_sequences[{place}]") for place, item in enumerate(sequence(value, "stop_sequences"))
    ]
    if len(stops) > _MAX_STOPS and draft.destination.provider_type in _OPENAI_ITSELF:
        raise TranslationError("stop_sequences", f"must not be more than {_MAX_STOPS} there")
    if stops:
        draft.body["stop"] = stops


def _stream(draft: Draft, value: Any) -> None:
    draft.body["stream"] = flag(value, "stream")
    if value:
        # Anthropic's streams always end with the usage, and the sidecar counts by it.
        draft.body["stream_options"] = {"include_usage": True}


def _metadata(draft: Draft, value: Any) -> None:
    user = mapping(value, "metadata").get("user_id")
    if user is not None:
        name = text(user, "metadata.user_id")
        short = len(name) <= MAX_USER_CHARS
        draft.body["user"] = name if short else sha256(name.encode("utf-8", "replace")).hexdigest()


def _tools(draft: Draft, value: Any) -> None:
    tools = tools_to_chat(value)
    if any(tool.get("cache_control") is not None for tool in value):
        draft.leave_out("tools[].cache_control")
    if tools:
        draft.body["tools"] = tools


def _tool_choice(draft: Draft, value: Any) -> None:
    choice, parallel = choice_to_chat(mapping(value, "tool_choice"))
    if not draft.source.get("tools"):
        return  # OpenAI refuses a choice among no tools; Anthropic does not mind.
    draft.body["tool_choice"] = choice
    if parallel is not None:
        draft.body["parallel_tool_calls"] = parallel


def _output_config(draft: Draft, value: Any) -> None:
    wanted = mapping(value, "output_config").get("format")
    if wanted is None:
        return
    form = mapping(wanted, "output_config.format")
    if kind_of(form, "output_config.format") != "json_schema":
        raise TranslationError("output_config.format.type", "only json_schema has an equal")
    schema = mapping(form.get("schema"), "output_config.format.schema")
    described = {"name": SCHEMA_NAME, "schema": schema, "strict": True}
    draft.body["response_format"] = {"type": "json_schema", "json_schema": described}


def _service_tier(draft: Draft, value: Any) -> None:
    if draft.destination.provider_type in _OPENAI_ITSELF and value in ("auto", "standard_only"):
        draft.body["service_tier"] = "auto" if value == "auto" else "default"
    else:
        draft.leave_out("service_tier")


_RULES: Final[Mapping[str, Rule]] = {
    "model": elsewhere,
    "system": elsewhere,
    "messages": elsewhere,
    "thinking": elsewhere,
    "max_tokens": _max_tokens,
    "temperature": renamed("temperature", number, "temperature"),
    "top_p": renamed("top_p", number, "top_p"),
    "top_k": _top_k,
    "stop_sequences": _stop_sequences,
    "stream": _stream,
    "metadata": _metadata,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "output_config": _output_config,
    "service_tier": _service_tier,
    "container": only("container", (), "containers run at Anthropic only"),
    "mcp_servers": only("mcp_servers", ([],), "Anthropic's connector to MCP servers runs at Anthropic only"),
    "inference_geo": only("inference_geo", (), "the place of inference cannot be chosen there"),
    # How to serve, not what to answer: caches, clearing of old tool results, speed, diagnostics.
    "cache_control": hint("cache_control"),
    "context_management": hint("context_management"),
    "diagnostics": hint("diagnostics"),
    "speed": hint("speed"),
    "user_profile_id": hint("user_profile_id"),
    "workspace_id": hint("workspace_id"),
}
