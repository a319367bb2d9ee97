"""OpenAI's other endpoints: embeddings, models, and a minimal Responses API.

Source: OpenAI API reference (read 2026-11). Chat and legacy completions are left to `openai_chat.py`.
"""

import base64
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from cliproxy_dev.providers import text
from cliproxy_dev.providers.call import Call
from cliproxy_dev.providers.script import Normal
from cliproxy_dev.providers.stamp import Stamp

DIMENSIONS = {"text-embedding-3-large": 3072}
DEFAULT_DIMENSIONS = 1536
MAX_DIMENSIONS = 4096
MODEL_CREATED_S = 1723515131
_encode = msgspec.json.Encoder().encode


def embeddings(call: Call, model: str) -> dict[str, Any]:
    """Return one unit vector per input, as numbers or as base64 of little-endian float32."""
    inputs = _inputs(call.input)
    size = min(max(1, call.dimensions or DIMENSIONS.get(model, DEFAULT_DIMENSIONS)), MAX_DIMENSIONS)
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(item, size, call.encoding_format)}
        for index, item in enumerate(inputs)
    ]
    tokens = sum(text.count_tokens(item) for item in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _inputs(given: Any) -> list[str]:
    """Return the inputs as texts: a string, strings, one list of token ids, or lists of token ids."""
    if isinstance(given, list) and given and not isinstance(given[0], int):
        return [item if isinstance(item, str) else str(item) for item in given]
    return [given if isinstance(given, str) else str(given)]


def _vector(item: str, size: int, encoding: str | None) -> list[float] | str:
    values = text.vector(item, size)
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{size}f", *values)).decode()
    return values


def model_entry(name: str, owner: str = "system") -> dict[str, Any]:
    """Return one model as the models endpoint describes it."""
    return {"id": name, "object": "model", "created": MODEL_CREATED_S, "owned_by": owner}


def model_list(names: tuple[str, ...], owner: str = "system") -> dict[str, Any]:
    """Return the list of models."""
    return {"object": "list", "data": [model_entry(name, owner) for name in names]}


def response(call: Call, knobs: Normal, stamp: Stamp, model: str) -> dict[str, Any]:
    """Return a whole response of the Responses API: the offered function called, or words."""
    called = None if knobs.text is not None else _called(call, stamp)
    if called is not None:
        return _response(stamp, model, "completed", [called], _usage(call, called["arguments"], knobs))
    said = _said(call, knobs)
    item = _item(stamp, "completed", [_part(said)])
    return _response(stamp, model, "completed", [item], _usage(call, said, knobs))


def response_events(call: Call, knobs: Normal, stamp: Stamp, model: str) -> Iterator[bytes]:
    """Yield a streamed response: named events with a running number."""
    for number, (kind, data) in enumerate(_events(call, knobs, stamp, model)):
        body = _encode({"type": kind, "sequence_number": number} | data)
        yield b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"


def _events(call: Call, knobs: Normal, stamp: Stamp, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    called = None if knobs.text is not None else _called(call, stamp)
    if called is not None:
        yield from _call_events(call, knobs, stamp, model, called)
        return
    said = _said(call, knobs)
    done = _item(stamp, "completed", [_part(said)])
    begun = {"response": _response(stamp, model, "in_progress", [], None)}
    at = {"item_id": done["id"], "output_index": 0, "content_index": 0}
    yield "response.created", begun
    yield "response.in_progress", begun
    yield "response.output_item.added", {"output_index": 0, "item": _item(stamp, "in_progress", [])}
    yield "response.content_part.added", at | {"part": _part("")}
    for piece in text.pieces(said, knobs.chunks):
        yield "response.output_text.delta", at | {"delta": piece, "logprobs": []}
    yield "response.output_text.done", at | {"text": said, "logprobs": []}
    yield "response.content_part.done", at | {"part": _part(said)}
    yield "response.output_item.done", {"output_index": 0, "item": done}
    whole = _response(stamp, model, "completed", [done], _usage(call, said, knobs))
    yield "response.completed", {"response": whole}


def _call_events(
    call: Call, knobs: Normal, stamp: Stamp, model: str, called: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    begun = {"response": _response(stamp, model, "in_progress", [], None)}
    at = {"item_id": called["id"], "output_index": 0}
    opened = called | {"status": "in_progress", "arguments": ""}
    yield "response.created", begun
    yield "response.in_progress", begun
    yield "response.output_item.added", {"output_index": 0, "item": opened}
    for piece in text.pieces(called["arguments"], knobs.chunks):
        yield "response.function_call_arguments.delta", at | {"delta": piece}
    yield "response.function_call_arguments.done", at | {"arguments": called["arguments"]}
    yield "response.output_item.done", {"output_index": 0, "item": called}
    usage = _usage(call, called["arguments"], knobs)
    yield "response.completed", {"response": _response(stamp, model, "completed", [called], usage)}


def _said(call: Call, knobs: Normal) -> str:
    if knobs.text is not None:
        return knobs.text
    return text.cut(text.reply_to(_last_input(call.input)), call.max_output_tokens)[0]


def _called(call: Call, stamp: Stamp) -> dict[str, Any] | None:
    """Return the call of the first offered function, unless its result is already here."""
    offered = [tool for tool in call.tools or () if tool.get("type") == "function"]
    last = call.input[-1] if isinstance(call.input, list) and call.input else {}
    answered = isinstance(last, dict) and last.get("type") == "function_call_output"
    if not offered or call.tool_choice == "none" or (answered and call.tool_choice != "required"):
        return None
    arguments = text.example(offered[0].get("parameters") or {}, _last_input(call.input)) or {}
    return {
        "id": stamp.hex_id("fc_"),
        "type": "function_call",
        "status": "completed",
        "call_id": stamp.id("call_", 24),
        "name": str(offered[0].get("name")),
        "arguments": _encode(arguments).decode(),
    }


def _last_input(given: Any) -> str:
    if isinstance(given, list) and given:
        last = given[-1]
        return text.plain_text(last.get("content")) if isinstance(last, dict) else text.plain_text(given)
    return text.plain_text(given)


def _part(said: str) -> dict[str, Any]:
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}


def _item(stamp: Stamp, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    name = stamp.hex_id("msg_")
    return {"id": name, "type": "message", "status": status, "role": "assistant", "content": content}


def _usage(call: Call, said: str, knobs: Normal) -> dict[str, Any]:
    given = text.count_tokens(text.plain_text(call.input)) + text.count_tokens(
        text.plain_text(call.instructions)
    )
    made = text.count_tokens(said) + knobs.reasoning_tokens
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": min(knobs.cached_tokens, given)},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": knobs.reasoning_tokens},
        "total_tokens": given + made,
    }


def _response(
    stamp: Stamp, model: str, status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "id": stamp.hex_id("resp_"),
        "object": "response",
        "created_at": stamp.created_s,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "user": None,
        "metadata": {},
    }
