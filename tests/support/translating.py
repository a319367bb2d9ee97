"""Translations as tests begin them, and streams taken apart.

A `caller` is the operation that is asked for, with the provider's format where there are several: `chat`,
`messages`, `responses` (at Anthropic), `responses-chat`; at Gemini's own API `chat-gemini` and the like; for
callers of that API `gemini` (at an OpenAI-like server) and `gemini-messages`.
"""

import json
from typing import Any

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import (
    BATCH_EMBED,
    CHAT,
    COUNT_TOKENS,
    EMBED,
    EMBEDDINGS,
    GEMINI_COUNT,
    GENERATE,
    MESSAGES,
    RESPONSES,
    STREAM_GENERATE,
    Dialect,
    Form,
    Operation,
)
from cliproxy_sidecar.core.sse import Event, SSEParser
from cliproxy_sidecar.core.translate.draft import Destination
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.pairs import pair_for
from cliproxy_sidecar.core.translate.translation import Translation

CREATED_S = 1_700_000_000
FORMS = {
    ProviderType.OPENAI: Form.OPENAI,
    ProviderType.ANTHROPIC: Form.ANTHROPIC,
}
CALLERS: dict[str, tuple[Operation, ProviderType, str]] = {
    "chat": (CHAT, ProviderType.ANTHROPIC, "claude-sonnet-4-5"),
    "messages": (MESSAGES, ProviderType.OPENAI, "gpt-4o"),
    "responses": (RESPONSES, ProviderType.ANTHROPIC, "claude-sonnet-4-5"),
    "responses-chat": (RESPONSES, ProviderType.OPENAI_COMPATIBLE, "qwen3-32b"),
    "chat-gemini": (CHAT, ProviderType.GEMINI, "gemini-2.5-flash"),
    "messages-gemini": (MESSAGES, ProviderType.GEMINI, "gemini-2.5-flash"),
    "responses-gemini": (RESPONSES, ProviderType.GEMINI, "gemini-2.5-flash"),
    "gemini": (GENERATE, ProviderType.OPENAI_COMPATIBLE, "qwen3-32b"),
    "gemini-messages": (GENERATE, ProviderType.ANTHROPIC, "claude-sonnet-4-5"),
    "embeddings": (EMBEDDINGS, ProviderType.GEMINI, "gemini-embedding-001"),
    "embed": (EMBED, ProviderType.OPENAI, "text-embedding-3-small"),
    "batch-embed": (BATCH_EMBED, ProviderType.OPENAI, "text-embedding-3-small"),
    "count": (COUNT_TOKENS, ProviderType.GEMINI, "gemini-2.5-flash"),
    "gemini-count": (GEMINI_COUNT, ProviderType.ANTHROPIC, "claude-sonnet-4-5"),
}
NATIVE = ("chat-gemini", "messages-gemini", "responses-gemini", "embeddings", "count")
"""Callers whose provider is asked by Gemini's own API."""
MINIMAL: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "messages": {"max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]},
    "responses": {"input": "Hi"},
    "responses-chat": {"input": "Hi"},
    "chat-gemini": {"messages": [{"role": "user", "content": "Hi"}]},
    "messages-gemini": {"max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]},
    "responses-gemini": {"input": "Hi"},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    "gemini-messages": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    "embeddings": {"input": "Hi"},
    "embed": {"content": {"parts": [{"text": "Hi"}]}},
    "batch-embed": {"requests": [{"content": {"parts": [{"text": "Hi"}]}}]},
    "count": {"messages": [{"role": "user", "content": "Hi"}]},
    "gemini-count": {"contents": [{"parts": [{"text": "Hi"}]}]},
}


def translation(
    caller: str,
    request: dict[str, Any],
    *,
    type: str = "",  # noqa: A002
    model: str = "",
    stream: bool = False,
) -> Translation:
    """Begin a translation; what the request lacks is made up. `stream`: Gemini's callers ask by the path."""
    operation, provider_type, usual = CALLERS[caller]
    native = caller in NATIVE
    operation = STREAM_GENERATE if stream and operation is GENERATE else operation
    destination = Destination(ProviderType(type) if type else provider_type, model or usual, native=native)
    form = Form.GEMINI if native else FORMS.get(destination.provider_type, Form.CHAT)
    pair = pair_for(operation, form, stream=stream or bool(request.get("stream")))
    assert pair is not None
    named = {} if operation.dialect is Dialect.GEMINI else {"model": "public"}
    body = json.dumps({**named, **MINIMAL[caller], **request}).encode()
    return Translation(pair, operation.dialect, body, destination, created_s=CREATED_S)


def request_outcome(caller: str, request: dict[str, Any], *, type: str = "", model: str = "") -> Any:  # noqa: A002
    """Translate a request: its body and what was left out, or the refusal."""
    try:
        made = translation(caller, request, type=type, model=model)
    except TranslationError as error:
        return {"error": {"field": error.field, "message": error.message}}
    return {"body": json.loads(made.body), "left_out": list(made.left_out)}


def encoded(events: list[Any]) -> bytes:
    """Write a provider's stream: objects as data (named by their type, if any), strings as they are."""
    parts: list[bytes] = []
    for event in events:
        name = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
        data = event if isinstance(event, str) else json.dumps(event)
        parts.append(data.encode() if isinstance(event, str) else f"{name}data: {data}\n\n".encode())
    return b"".join(parts)


def stream_of(caller: str, request: dict[str, Any], pieces: list[bytes]) -> bytes:
    """Translate a provider's stream that comes in these pieces."""
    parser, translator = SSEParser(), translation(caller, request, stream=True).stream()
    out = b"".join([translator.feed(parser.feed(piece)) for piece in pieces])
    return out + translator.finish()


def events_of(events: list[Any]) -> list[Event]:
    """Return a provider's stream as events."""
    parser = SSEParser()
    found = parser.feed(encoded(events))
    rest = parser.finish()
    return [*found, rest] if rest is not None else found


def frames(stream: bytes) -> list[Any]:
    """Take a caller's stream apart: data as objects, all else as text; names must be the data's types."""
    found: list[Any] = []
    for block in stream.decode().split("\n\n")[:-1]:
        name, _, data = block.rpartition("data: ")
        if not data.startswith("{"):
            found.append(block)
            continue
        parsed = json.loads(data)
        assert name in ("", f"event: {parsed.get('type')}\n")
        found.append(parsed)
    return found


def joined_message(events: list[Any]) -> dict[str, Any]:
    """Put an Anthropic stream together, as an SDK does; the order of its events is checked on the way."""
    message: dict[str, Any] = dict(events[0]["message"])
    assert events[0]["type"] == "message_start"
    assert events[-1]["type"] == "message_stop"
    content: list[dict[str, Any]] = []
    inputs: dict[int, str] = {}
    is_open = False
    for event in events[1:-1]:
        match event["type"]:
            case "content_block_start":
                assert not is_open
                is_open = True
                assert event["index"] == len(content)
                content.append(dict(event["content_block"]))
            case "content_block_delta":
                assert is_open
                assert event["index"] == len(content) - 1
                _add(content[-1], event["delta"], inputs, event["index"])
            case "content_block_stop":
                assert is_open
                is_open = False
            case "message_delta":
                assert not is_open
                message |= event["delta"]
                message["usage"] = message["usage"] | event["usage"]
    for index, text in inputs.items():
        content[index]["input"] = json.loads(text)
    return message | {"content": content}


def _add(block: dict[str, Any], delta: dict[str, Any], inputs: dict[int, str], index: int) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] += delta["signature"]
        case "input_json_delta":
            inputs[index] = inputs.get(index, "") + delta["partial_json"]


def joined_completion(chunks: list[Any]) -> dict[str, Any]:
    """Put chat completion chunks together, as an SDK does."""
    assert chunks[-1] == "data: [DONE]"
    message: dict[str, Any] = {}
    calls: dict[int, dict[str, Any]] = {}
    finish, usage = None, None
    for chunk in chunks[:-1]:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            finish = choice["finish_reason"] or finish
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    for call in value:
                        found = calls.setdefault(call["index"], {**call, "function": {"arguments": ""}})
                        found["function"]["arguments"] += call["function"]["arguments"]
                        found["function"] |= {k: v for k, v in call["function"].items() if k == "name"}
                elif isinstance(value, list):
                    message[name] = message.get(name, []) + value
                elif isinstance(value, str) and name != "role":
                    message[name] = (message.get(name) or "") + value
                else:
                    message.setdefault(name, value)
    if calls:
        message["tool_calls"] = [{k: v for k, v in calls[i].items() if k != "index"} for i in sorted(calls)]
    return {"message": message, "finish_reason": finish, "usage": usage, "id": chunks[0]["id"]}


def joined_gemini(chunks: list[Any]) -> dict[str, Any]:
    """Put Gemini's chunks together: texts of a kind in one part, as `answer_to_gemini` writes them."""
    parts: list[dict[str, Any]] = []
    for one in chunks:
        for part in one["candidates"][0]["content"]["parts"]:
            kind = (part.get("thought"), "text" in part)
            if parts and "text" in part and kind == (parts[-1].get("thought"), "text" in parts[-1]):
                parts[-1]["text"] += part["text"]
            else:
                parts.append(dict(part))
    last = chunks[-1]
    return last | {"candidates": [last["candidates"][0] | {"content": {"parts": parts, "role": "model"}}]}
