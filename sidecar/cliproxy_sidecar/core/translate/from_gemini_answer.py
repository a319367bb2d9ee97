"""Gemini's answer as a chat completion; Anthropic's and Responses answers go by way of it.

Thoughts become `reasoning_content`, as DeepSeek and others name it; a call carries its signature where
Google's OpenAI-compatible endpoint puts it. What a filter withholds is a refusal with the finish reason
"content_filter". Parts of tools that Google runs itself have no place in a completion and are not shown.
Sources: Gemini API reference, GenerateContentResponse; Gemini API documentation, OpenAI compatibility and
thought signatures; OpenAI API reference, chat completion object (read 2026-11).
"""

from typing import Final

import msgspec

from cliproxy_sidecar.core.translate.fields import Object, TranslationError, inner, mapping, objects, text
from cliproxy_sidecar.core.translate.gemini_words import (
    finish_of,
    is_withheld,
    signed_call,
    usage_from_gemini,
)
from cliproxy_sidecar.core.translate.to_gemini_history import OWN_CALL

BLOCKED: Final = "The provider's filter withheld an answer"
"""Begins what callers read in place of an answer."""


def answer_from_gemini(answer: Object, request: Object, *, created_s: int) -> Object:
    """Return the completion; `created_s` is Unix time, which Gemini does not tell.

    Raises:
        TranslationError: it is no answer.

    """
    blocked = blocked_by(answer)
    candidates = answer.get("candidates")
    if blocked is None and not candidates:
        raise TranslationError("candidates", "is missing or empty")
    choices = [
        _choice(candidate, field, place, answer)
        for place, (field, candidate) in enumerate(objects(candidates or [], "candidates"))
    ]
    if not choices:
        refusal = {"role": "assistant", "content": None, "refusal": f"{BLOCKED}: {blocked}."}
        choices = [{"index": 0, "message": refusal, "logprobs": None, "finish_reason": "content_filter"}]
    return {
        "id": completion_id(answer, created_s),
        "object": "chat.completion",
        "created": created_s,
        "model": model_of(answer, request),
        "choices": choices,
        "usage": usage_from_gemini(answer.get("usageMetadata")),
    }


def completion_id(answer: Object, created_s: int) -> str:
    """Return the completion's id; Gemini's own where it sends one."""
    return f"chatcmpl-{answer.get('responseId') or created_s}"


def model_of(answer: Object, request: Object) -> str:
    """Return which model answered; the one that was asked for where Gemini does not say."""
    return str(answer.get("modelVersion") or request.get("model") or "")


def blocked_by(answer: Object) -> str | None:
    """Return why the prompt was refused as a whole; None: it was not."""
    reason = inner(answer, "promptFeedback", "blockReason")
    return None if reason is None else text(reason, "promptFeedback.blockReason")


def index_of(candidate: Object, place: int) -> int:
    """Return a candidate's number; the first's is often left out."""
    index = candidate.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else place


def parts_of(candidate: Object, field: str) -> list[tuple[str, Object]]:
    """Return what a candidate says; nothing where a filter withheld it."""
    content = candidate.get("content")
    parts = None if content is None else mapping(content, f"{field}.content").get("parts")
    return [] if parts is None else objects(parts, f"{field}.content.parts")


def call_of(part: Object, field: str, key: str) -> Object:
    """Return a chat call; `key` tells it from all others where Gemini gave it no id."""
    called = mapping(part["functionCall"], f"{field}.functionCall")
    args = called.get("args")
    given = {} if args is None else mapping(args, f"{field}.functionCall.args")
    function = {
        "name": text(called.get("name"), f"{field}.functionCall.name"),
        "arguments": msgspec.json.encode(given).decode(),
    }
    call_id = called.get("id") or f"{OWN_CALL}{key}"
    signed = signed_call(part.get("thoughtSignature"))
    return {
        "id": text(call_id, f"{field}.functionCall.id"),
        "type": "function",
        "function": function,
        **signed,
    }


def image_of(part: Object, field: str) -> Object:
    """Return a picture that the model made, as other gateways put it beside a message's text."""
    data = mapping(part["inlineData"], f"{field}.inlineData")
    kind = text(data.get("mimeType"), f"{field}.inlineData.mimeType")
    url = f"data:{kind};base64,{text(data.get('data'), f'{field}.inlineData.data')}"
    return {"type": "image_url", "image_url": {"url": url}}


def logprobs_of(candidate: Object) -> Object | None:
    """Return the probabilities of tokens, None without any."""
    result = candidate.get("logprobsResult")
    if not isinstance(result, dict):
        return None
    chosen = result.get("chosenCandidates")
    tops = result.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    content: list[Object] = []
    for place, (_, token) in enumerate(objects([] if chosen is None else chosen, "chosenCandidates")):
        others = inner(tops[place], "candidates") if place < len(tops) else None
        listed = objects([] if others is None else others, "topCandidates.candidates")
        content.append(_logprob(token) | {"top_logprobs": [_logprob(other) for _, other in listed]})
    return {"content": content, "refusal": None}


def _logprob(token: Object) -> Object:
    return {"token": token.get("token", ""), "logprob": token.get("logProbability", 0.0), "bytes": None}


def _choice(candidate: Object, field: str, place: int, answer: Object) -> Object:
    message: Object = {"role": "assistant", "content": None, "refusal": None}
    said: list[str] = []
    thought: list[str] = []
    calls: list[Object] = []
    images: list[Object] = []
    index = index_of(candidate, place)
    for name, part in parts_of(candidate, field):
        if "functionCall" in part:
            calls.append(call_of(part, name, call_key(answer, index, len(calls))))
        elif "inlineData" in part:
            images.append(image_of(part, name))
        elif isinstance(part.get("text"), str):
            (thought if part.get("thought") is True else said).append(part["text"])
    reason = candidate.get("finishReason")
    if said:
        message["content"] = "".join(said)
    elif is_withheld(reason) and not calls:
        message["refusal"] = f"{BLOCKED}: {reason}."
    if calls:
        message["tool_calls"] = calls
    if thought:
        message["reasoning_content"] = "".join(thought)
    if images:
        message["images"] = images
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs_of(candidate),
        "finish_reason": finish_of(reason, called=bool(calls)),
    }


def call_key(answer: Object, index: int, place: int) -> str:
    """Return what tells a call from all others, of other answers as well."""
    return f"{answer.get('responseId') or 'x'}_{index}_{place}"
