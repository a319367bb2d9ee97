"""OpenAI's chat completions and legacy completions: bodies and stream events.

Source: OpenAI API reference, chat and completions objects and their chunks (read 2026-11).
Errors, headers and the other endpoints are left to `openai_api.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from cliproxy_dev.providers import text
from cliproxy_dev.providers.call import Call
from cliproxy_dev.providers.script import Normal
from cliproxy_dev.providers.stamp import Stamp

MAX_CHOICES = 128
"""The API's own limit of `n`."""
DONE = b"data: [DONE]\n\n"
FINGERPRINT = "fp_cbf1785567"
TOKENS_PER_MESSAGE = 3
"""What the chat format itself costs per message, and once more for the answer (OpenAI cookbook)."""
ARGUMENT_PIECES = 4
"""In how many deltas a streamed tool call's arguments come, unless the script says otherwise."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model 'said': text or one tool call, and why it stopped."""

    content: str | None
    finish_reason: str
    tool_name: str | None = None
    arguments: str = ""

    @property
    def tokens(self) -> int:
        """Completion tokens, without reasoning."""
        return text.count_tokens(self.content or "") + text.count_tokens(
            (self.tool_name or "") + self.arguments
        )


def compose(call: Call, knobs: Normal, index: int = 0) -> Reply:
    """Decide what to say to a chat: call the offered tool, fill the asked-for JSON, or answer in words."""
    prompt = last_text(call)
    tool = None if knobs.text is not None else _wanted_tool(call)
    if tool is not None:
        arguments = _json(text.example(tool.get("parameters", {}), prompt)).decode()
        return Reply(None, knobs.finish_reason or "tool_calls", str(tool.get("name")), arguments)
    said = knobs.text if knobs.text is not None else _said(call, prompt)
    limit = call.max_completion_tokens or call.max_tokens
    said, was_cut = text.cut(f"{said} ({index})" if index else said, limit)
    return Reply(said, knobs.finish_reason or ("length" if was_cut else "stop"))


def _said(call: Call, prompt: str) -> str:
    wanted = call.response_format or {}
    match wanted.get("type"):
        case "json_schema":
            return _json(text.example(_inner(wanted, "json_schema").get("schema"), prompt)).decode()
        case "json_object":
            return _json({"answer": text.reply_to(prompt)}).decode()
        case _:
            return text.reply_to(prompt)


def last_text(call: Call) -> str:
    """Return the text of the last message; the prompt that everything said depends on."""
    return text.plain_text(call.messages[-1].get("content")) if call.messages else ""


def _wanted_tool(call: Call) -> dict[str, Any] | None:
    """Return the function to call: the forced one, else the first unless its result is already here."""
    offered = [_inner(tool, "function") for tool in call.tools or ()]
    if not offered or call.tool_choice == "none":
        return None
    if isinstance(call.tool_choice, dict):
        name = _inner(call.tool_choice, "function").get("name")
        return next((tool for tool in offered if tool.get("name") == name), offered[0])
    answered = bool(call.messages) and call.messages[-1].get("role") == "tool"  # type: ignore[index]
    return None if answered and call.tool_choice != "required" else offered[0]


def _inner(outer: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object under `name`, or the outer one where there is none."""
    inner = outer.get(name)
    return inner if isinstance(inner, dict) else outer


def usage(call: Call, replies: list[Reply], knobs: Normal) -> dict[str, Any]:
    """Return the usage object; reasoning counts into the completion, cached into the prompt."""
    prompt_tokens = prompt_tokens_of(call)
    completion_tokens = sum(reply.tokens for reply in replies) + knobs.reasoning_tokens
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": min(knobs.cached_tokens, prompt_tokens),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": knobs.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def prompt_tokens_of(call: Call) -> int:
    """Return the prompt tokens of a chat, tools included, or of a legacy prompt."""
    if call.messages is None:
        return text.count_tokens(text.plain_text(call.prompt))
    said = (text.count_tokens(text.plain_text(m.get("content"))) + TOKENS_PER_MESSAGE for m in call.messages)
    tools = text.count_tokens(_json(call.tools).decode()) if call.tools else 0
    return sum(said) + TOKENS_PER_MESSAGE + tools


def completion(call: Call, knobs: Normal, stamp: Stamp, model: str) -> dict[str, Any]:
    """Return a whole chat completion."""
    replies = [compose(call, knobs, index) for index in range(min(call.n or 1, MAX_CHOICES))]
    return {
        "id": stamp.id("chatcmpl-", 29),
        "object": "chat.completion",
        "created": stamp.created_s,
        "model": model,
        "choices": [
            {
                "index": index,
                "message": _message(reply, stamp, index),
                "logprobs": None,
                "finish_reason": reply.finish_reason,
            }
            for index, reply in enumerate(replies)
        ],
        "usage": usage(call, replies, knobs),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def _message(reply: Reply, stamp: Stamp, index: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.content}
    if reply.tool_name is not None:
        message["tool_calls"] = [
            {
                "id": stamp.id("call_", 24, salt=str(index)),
                "type": "function",
                "function": {"name": reply.tool_name, "arguments": reply.arguments},
            }
        ]
    return message | {"refusal": None, "annotations": []}


def chunks(call: Call, knobs: Normal, stamp: Stamp, model: str) -> Iterator[bytes]:
    """Yield a streamed chat completion as server-sent events, up to and including `[DONE]`."""
    with_usage = bool((call.stream_options or {}).get("include_usage"))
    common = {
        "id": stamp.id("chatcmpl-", 29),
        "object": "chat.completion.chunk",
        "created": stamp.created_s,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }
    tail: dict[str, Any] = {"usage": None} if with_usage else {}
    replies = [compose(call, knobs, index) for index in range(min(call.n or 1, MAX_CHOICES))]
    for index, reply in enumerate(replies):
        for delta in _deltas(reply, knobs, stamp, index):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
            yield event(common | {"choices": [choice]} | tail)
        last = {"index": index, "delta": {}, "logprobs": None, "finish_reason": reply.finish_reason}
        yield event(common | {"choices": [last]} | tail)
    if with_usage:
        yield event(common | {"choices": [], "usage": usage(call, replies, knobs)})
    yield DONE


def _deltas(reply: Reply, knobs: Normal, stamp: Stamp, index: int) -> Iterator[dict[str, Any]]:
    first: dict[str, Any] = {"role": "assistant", "content": None if reply.tool_name else "", "refusal": None}
    if reply.tool_name is None:
        yield first
        for piece in text.pieces(reply.content or "", knobs.chunks):
            yield {"content": piece}
        return
    call_id = stamp.id("call_", 24, salt=str(index))
    function = {"name": reply.tool_name, "arguments": ""}
    yield first | {"tool_calls": [{"index": 0, "id": call_id, "type": "function", "function": function}]}
    for piece in text.pieces(reply.arguments, knobs.chunks or ARGUMENT_PIECES):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def legacy(call: Call, knobs: Normal, stamp: Stamp, model: str) -> dict[str, Any]:
    """Return a whole legacy completion."""
    said, reason = _legacy_said(call, knobs)
    choice = {"text": said, "index": 0, "logprobs": None, "finish_reason": reason}
    return _legacy_common(stamp, model) | {
        "choices": [choice],
        "usage": usage(call, [Reply(said, reason)], knobs),
    }


def legacy_chunks(call: Call, knobs: Normal, stamp: Stamp, model: str) -> Iterator[bytes]:
    """Yield a streamed legacy completion, up to and including `[DONE]`."""
    common = _legacy_common(stamp, model)
    said, reason = _legacy_said(call, knobs)
    for piece in text.pieces(said, knobs.chunks):
        yield event(
            common | {"choices": [{"text": piece, "index": 0, "logprobs": None, "finish_reason": None}]}
        )
    yield event(common | {"choices": [{"text": "", "index": 0, "logprobs": None, "finish_reason": reason}]})
    if (call.stream_options or {}).get("include_usage"):
        yield event(common | {"choices": [], "usage": usage(call, [Reply(said, reason)], knobs)})
    yield DONE


def _legacy_common(stamp: Stamp, model: str) -> dict[str, Any]:
    name = stamp.id("cmpl-", 29)
    return {"id": name, "object": "text_completion", "created": stamp.created_s, "model": model}


def _legacy_said(call: Call, knobs: Normal) -> tuple[str, str]:
    said = knobs.text if knobs.text is not None else text.reply_to(text.plain_text(call.prompt))
    said, was_cut = text.cut(said, call.max_tokens)
    return said, knobs.finish_reason or ("length" if was_cut else "stop")


def event(data: dict[str, Any]) -> bytes:
    """Return one server-sent event in OpenAI's form: data only."""
    return b"data: " + _json(data) + b"\n\n"


_json = msgspec.json.Encoder().encode
