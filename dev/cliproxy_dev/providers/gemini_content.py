"""Gemini's answers, chunks and vectors, and what it finds fault with in a conversation.

Source: Gemini API reference, generateContent, GenerateContentResponse; Gemini API documentation, thought
signatures (read 2026-11). Paths, headers and errors are left to `gemini_api.py`.
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from cliproxy_dev.providers import text
from cliproxy_dev.providers.script import Normal
from cliproxy_dev.providers.stamp import Stamp

GENERATE_FIELDS: Final = frozenset(
    {
        "model",
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "safetySettings",
        "cachedContent",
        "labels",
        "serviceTier",
        "store",
    }
)
EMBED_FIELDS: Final = frozenset({"model", "content", "taskType", "title", "outputDimensionality"})
DIMENSIONS: Final = 3072
TOKENS_PER_CONTENT: Final = 2
_SIGNED: Final = "gemini-3"


def canonical(value: Any) -> Any:
    """Return a body with the names of its fields as the reference spells them: Google takes both forms."""
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if not isinstance(value, dict):
        return value
    free = ("args", "response", "parametersJsonSchema", "responseJsonSchema", "properties")
    named = {_camel(name): inner for name, inner in value.items()}
    return {name: inner if name in free else canonical(inner) for name, inner in named.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join([part[:1].upper() + part[1:] for part in rest])


def fault_in(body: dict[str, Any], model: str) -> str | None:
    """Return what Google would refuse a conversation for, None if nothing."""
    contents = body.get("contents")
    if not contents:
        return "* GenerateContentRequest.contents: contents is not specified"
    open_calls = 0
    for place, content in enumerate(contents):
        parts = content.get("parts") or []
        calls = [part for part in parts if "functionCall" in part]
        results = [part for part in parts if "functionResponse" in part]
        if results and len(results) != open_calls:
            return (
                "Please ensure that the number of function response parts is equal to the number of function "
                "call parts of the function call turn."
            )
        if calls and model.startswith(_SIGNED) and "thoughtSignature" not in calls[0]:
            name = calls[0]["functionCall"].get("name")
            return f"Function call `{name}` in the `{place}.` content block is missing a `thought_signature`."
        open_calls = len(calls)
    return None


def content(body: dict[str, Any], knobs: Normal, stamp: Stamp, model: str) -> dict[str, Any]:
    """Return a whole answer."""
    count = _config(body).get("candidateCount") or 1
    candidates = []
    for index in range(count):
        parts, reason = _said(body, knobs, stamp, model, index)
        candidates.append(
            {"content": {"parts": parts, "role": "model"}, "finishReason": reason, "index": index}
        )
    return {"candidates": candidates, **_tail(body, candidates, knobs, stamp, model)}


def chunks(body: dict[str, Any], knobs: Normal, stamp: Stamp, model: str) -> Iterator[dict[str, Any]]:
    """Yield a streamed answer: text in pieces, calls whole, the reason last."""
    parts, reason = _said(body, knobs, stamp, model, 0)
    pieces: list[dict[str, Any]] = []
    for part in parts:
        if "text" not in part or part.get("thought"):
            pieces.append(part)
        else:
            pieces += [{"text": piece} for piece in text.pieces(part["text"], knobs.chunks)]
    told: list[dict[str, Any]] = []
    for place, part in enumerate(pieces):
        told.append({"content": {"parts": [part], "role": "model"}})
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if place == len(pieces) - 1:
            candidate["finishReason"] = reason
        yield {"candidates": [candidate], **_tail(body, told, knobs, stamp, model)}


def embedding(body: dict[str, Any]) -> dict[str, Any]:
    """Return the vector of one content."""
    said = _text(body.get("content") or {})
    return {"values": text.vector(said, int(body.get("outputDimensionality") or DIMENSIONS))}


def prompt_tokens(body: dict[str, Any]) -> int:
    """Return the prompt's tokens, tools included."""
    contents = [*(body.get("contents") or ()), body.get("systemInstruction") or {}]
    said = sum(text.count_tokens(_text(one)) + TOKENS_PER_CONTENT for one in contents)
    tools = text.count_tokens(msgspec.json.encode(body["tools"]).decode()) if body.get("tools") else 0
    return said + tools


def _config(body: dict[str, Any]) -> dict[str, Any]:
    found = body.get("generationConfig")
    return found if isinstance(found, dict) else {}


def _text(content_: dict[str, Any]) -> str:
    parts = content_.get("parts") or []
    return " ".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _said(
    body: dict[str, Any], knobs: Normal, stamp: Stamp, model: str, index: int
) -> tuple[list[dict[str, Any]], str]:
    """Decide what to say: call the offered function, fill the asked-for JSON, or answer in words."""
    config = _config(body)
    prompt = _text(body["contents"][-1])
    thoughts = []
    if (config.get("thinkingConfig") or {}).get("includeThoughts"):
        thoughts = [{"text": "Let me think.", "thought": True}]
    function = None if knobs.text is not None else _wanted(body)
    if function is not None:
        schema = function.get("parametersJsonSchema") or _lower(function.get("parameters") or {})
        called = {"name": function.get("name"), "args": text.example(schema, prompt) or {}}
        part: dict[str, Any] = {"functionCall": called}
        if model.startswith(_SIGNED):
            called["id"] = stamp.id("fc_", 20)
            part["thoughtSignature"] = b64encode(stamp.id("", 24).encode()).decode()
        return [*thoughts, part], knobs.finish_reason or "STOP"
    said = knobs.text if knobs.text is not None else _words(config, prompt)
    said, was_cut = text.cut(f"{said} ({index})" if index else said, config.get("maxOutputTokens"))
    return [*thoughts, {"text": said}], knobs.finish_reason or ("MAX_TOKENS" if was_cut else "STOP")


def _words(config: dict[str, Any], prompt: str) -> str:
    if config.get("responseMimeType") != "application/json":
        return text.reply_to(prompt)
    schema = config.get("responseJsonSchema") or _lower(config.get("responseSchema") or {})
    made = text.example(schema, prompt) if schema else {"answer": text.reply_to(prompt)}
    return msgspec.json.encode(made).decode()


def _lower(schema: Any) -> Any:
    """Return Google's own form of a schema with types in small letters."""
    if isinstance(schema, list):
        return [_lower(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: value.lower() if key == "type" else _lower(value) for key, value in schema.items()}


def _wanted(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the function to call: an allowed one, else the first unless its result is already here."""
    offered = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or ()]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode, allowed = calling.get("mode", "AUTO"), calling.get("allowedFunctionNames")
    if allowed:
        offered = [one for one in offered if one.get("name") in allowed]
    if not offered or mode == "NONE":
        return None
    answered = any("functionResponse" in part for part in body["contents"][-1].get("parts") or ())
    return None if answered and mode != "ANY" else offered[0]


def _tail(
    body: dict[str, Any], candidates: list[dict[str, Any]], knobs: Normal, stamp: Stamp, model: str
) -> dict[str, Any]:
    prompt = prompt_tokens(body)
    said = sum(
        text.count_tokens(part.get("text") or msgspec.json.encode(part).decode())
        for candidate in candidates
        for part in candidate["content"]["parts"]
        if not part.get("thought")
    )
    usage: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": said,
        "totalTokenCount": prompt + said + knobs.reasoning_tokens,
    }
    if knobs.cached_tokens:
        usage["cachedContentTokenCount"] = min(knobs.cached_tokens, prompt)
    if knobs.reasoning_tokens:
        usage["thoughtsTokenCount"] = knobs.reasoning_tokens
    return {"usageMetadata": usage, "modelVersion": model, "responseId": stamp.id("", 22)}
