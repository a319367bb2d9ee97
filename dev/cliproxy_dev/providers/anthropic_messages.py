"""Anthropic's messages: bodies and stream events, with tools and thinking.

Source: Anthropic API documentation, messages and streaming messages (read 2026-11).
Errors, headers and routing are left to `anthropic_api.py`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from cliproxy_dev.providers import text
from cliproxy_dev.providers.call import Call
from cliproxy_dev.providers.openai_chat import TOKENS_PER_MESSAGE
from cliproxy_dev.providers.script import Normal
from cliproxy_dev.providers.stamp import Stamp

ARGUMENT_PIECES = 4
TOOL_SYSTEM_TOKENS = 346
"""What Anthropic adds for tool use with `auto` (tool use documentation, token counts)."""
THOUGHT = "The question is simple; I answer it directly."
SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"
_encode = msgspec.json.Encoder().encode

Block = dict[str, Any]


def blocks(call: Call, knobs: Normal, stamp: Stamp) -> tuple[list[Block], str, str | None]:
    """Return the answer's content blocks, its stop reason, and the stop sequence met."""
    prompt = last_text(call)
    thinking = _thinking(call)
    tool = None if knobs.text is not None else _wanted_tool(call)
    if tool is not None:
        arguments = text.example(tool.get("input_schema", {}), prompt)
        used = {
            "type": "tool_use",
            "id": stamp.id("toolu_01", 22),
            "name": tool.get("name"),
            "input": arguments,
        }
        return [*thinking, used], knobs.finish_reason or "tool_use", None
    said = knobs.text if knobs.text is not None else text.reply_to(prompt)
    stop = next((stop for stop in call.stop_sequences or () if stop and stop in said), None)
    if stop is not None:
        said = said.partition(stop)[0]
    said, was_cut = text.cut(said, call.max_tokens)
    reason = "max_tokens" if was_cut else "stop_sequence" if stop else "end_turn"
    return [*thinking, {"type": "text", "text": said}], knobs.finish_reason or reason, stop


def _thinking(call: Call) -> list[Block]:
    if (call.thinking or {}).get("type") not in ("enabled", "adaptive"):
        return []
    return [{"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}]


def last_text(call: Call) -> str:
    """Return the text of the last message; the prompt that everything said depends on."""
    return text.plain_text(call.messages[-1].get("content")) if call.messages else ""


def _wanted_tool(call: Call) -> dict[str, Any] | None:
    """Return the tool to use: the forced one, else the first offered unless a result is already here."""
    choice = call.tool_choice if isinstance(call.tool_choice, dict) else {}
    if not call.tools or choice.get("type") == "none":
        return None
    if choice.get("type") == "tool":
        return next((tool for tool in call.tools if tool.get("name") == choice.get("name")), call.tools[0])
    content = call.messages[-1].get("content") if call.messages else None
    results = isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") == "tool_result" for part in content
    )
    return None if results and choice.get("type") != "any" else call.tools[0]


def input_tokens(call: Call) -> int:
    """Return the input tokens of a call: messages, system prompt, tools."""
    said = (
        text.count_tokens(text.plain_text(m.get("content"))) + TOKENS_PER_MESSAGE for m in call.messages or ()
    )
    tools = text.count_tokens(_encode(call.tools).decode()) + TOOL_SYSTEM_TOKENS if call.tools else 0
    return sum(said) + TOKENS_PER_MESSAGE + text.count_tokens(text.plain_text(call.system)) + tools


def output_tokens(content: list[Block], knobs: Normal) -> int:
    """Return the output tokens of an answer, reasoning included."""
    return sum(text.count_tokens(_block_text(block)) for block in content) + knobs.reasoning_tokens


def _block_text(block: Block) -> str:
    match block["type"]:
        case "text":
            return str(block["text"])
        case "thinking":
            return str(block["thinking"])
        case _:
            return str(block["name"]) + _encode(block["input"]).decode()


def usage(call: Call, knobs: Normal, made: int) -> dict[str, Any]:
    """Return the usage object; cached tokens are not among the input tokens here, unlike OpenAI's."""
    given = input_tokens(call)
    cached = min(knobs.cached_tokens, given)
    return {
        "input_tokens": given - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": made,
        "service_tier": "standard",
    }


def message(call: Call, knobs: Normal, stamp: Stamp, model: str) -> dict[str, Any]:
    """Return a whole message."""
    content, reason, stop = blocks(call, knobs, stamp)
    return _message(stamp, model, content, reason, stop, usage(call, knobs, output_tokens(content, knobs)))


def _message(  # noqa: PLR0917 -- the parts of a message in its own order
    stamp: Stamp, model: str, content: list[Block], reason: str | None, stop: str | None, used: dict[str, Any]
) -> dict[str, Any]:
    return {
        "model": model,
        "id": stamp.id("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": stop,
        "usage": used,
    }


def events(call: Call, knobs: Normal, stamp: Stamp, model: str) -> Iterator[bytes]:
    """Yield a streamed message as server-sent events, from `message_start` to `message_stop`."""
    content, reason, stop = blocks(call, knobs, stamp)
    start = _message(stamp, model, [], None, None, usage(call, knobs, 1))
    yield event("message_start", {"message": start})
    for index, block in enumerate(content):
        yield event("content_block_start", {"index": index, "content_block": _empty(block)})
        if index == 0:
            yield event("ping", {})
        for delta in _deltas(block, knobs):
            yield event("content_block_delta", {"index": index, "delta": delta})
        yield event("content_block_stop", {"index": index})
    used = usage(call, knobs, output_tokens(content, knobs))
    final = {key: used[key] for key in used if key.endswith("_tokens")}
    yield event("message_delta", {"delta": {"stop_reason": reason, "stop_sequence": stop}, "usage": final})
    yield event("message_stop", {})


def _empty(block: Block) -> Block:
    match block["type"]:
        case "text":
            return block | {"text": ""}
        case "thinking":
            return block | {"thinking": "", "signature": ""}
        case _:
            return block | {"input": {}}


def _deltas(block: Block, knobs: Normal) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "text":
            for piece in text.pieces(block["text"], knobs.chunks):
                yield {"type": "text_delta", "text": piece}
        case "thinking":
            for piece in text.pieces(block["thinking"], knobs.chunks):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case _:
            arguments = _encode(block["input"]).decode()
            yield {"type": "input_json_delta", "partial_json": ""}
            for piece in text.pieces(arguments, knobs.chunks or ARGUMENT_PIECES):
                yield {"type": "input_json_delta", "partial_json": piece}


def event(kind: str, data: dict[str, Any]) -> bytes:
    """Return one server-sent event in Anthropic's form: a name, and data that repeats it as its type."""
    return b"event: " + kind.encode() + b"\ndata: " + _encode({"type": kind} | data) + b"\n\n"
