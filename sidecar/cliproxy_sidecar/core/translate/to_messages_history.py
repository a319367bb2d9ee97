"""The conversation of an OpenAI chat request, as Anthropic's system prompt and messages.

System and developer messages all become the system prompt, wherever they stand, as Anthropic's own OpenAI
compatibility does it; results of tools become blocks of the user's turn. Sources: OpenAI API reference, chat
messages; Anthropic API documentation, messages and OpenAI SDK compatibility (read 2026-11).
"""

from typing import Final

from cliproxy_sidecar.core.translate.draft import Draft
from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    kind_of,
    mapping,
    objects,
    text,
)
from cliproxy_sidecar.core.translate.media import file_to_messages, image_to_messages
from cliproxy_sidecar.core.translate.reasoning import is_ours_to_drop, is_thought
from cliproxy_sidecar.core.translate.tools import id_to_messages, input_of

_SYSTEM: Final = ("system", "developer")


def write_history(draft: Draft, messages: object) -> None:
    """Write `system` and `messages` into the draft."""
    system: list[Object] = []
    turns: list[Object] = []
    for field, message in objects(messages, "messages"):
        role = text(message.get("role"), f"{field}.role")
        if role in _SYSTEM:
            system += _content(draft, message.get("content"), f"{field}.content")
            continue
        match role:
            case "user":
                _append(turns, "user", _content(draft, message.get("content"), f"{field}.content"))
            case "assistant":
                _append(turns, "assistant", _assistant(draft, message, field))
            case "tool":
                _append(turns, "user", [_result(draft, message, field)])
            case _:
                raise TranslationError(f"{field}.role", f"{role[:40]!r} has no equal")
        if message.get("name") is not None:
            draft.leave_out("messages[].name")
    if not turns:
        raise TranslationError("messages", "must hold at least one message that is not the system's")
    if system:
        draft.body["system"] = system
    draft.body["messages"] = turns


def _append(turns: list[Object], role: str, blocks: list[Object]) -> None:
    """Add to the turn of the same role, so that parallel results stand in one; nothing said is no turn."""
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    elif blocks:
        turns.append({"role": role, "content": blocks})


def _content(draft: Draft, content: object, field: str) -> list[Object]:
    """Return blocks for a string or parts; Anthropic refuses empty texts, so they are none."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [block for name, part in objects(content, field) for block in _part(draft, part, name)]


def _part(draft: Draft, part: Object, field: str) -> list[Object]:
    match kind_of(part, field):
        case "text":
            # Extensions such as cache_control have the same name and place in both.
            return [part] if text(part.get("text"), f"{field}.text") else []
        case "refusal":
            refusal = text(part.get("refusal"), f"{field}.refusal")
            return [{"type": "text", "text": refusal}] if refusal else []
        case "image_url":
            image = part.get("image_url")
            if isinstance(image, dict) and image.get("detail") not in (None, "auto"):
                draft.leave_out("messages[].content[].image_url.detail")
            return [_extended(image_to_messages(part, field), part)]
        case "file":
            return [_extended(file_to_messages(part, field), part)]
        case other:
            raise TranslationError(f"{field}.type", f"{other[:40]!r} has no equal")


def _extended(block: Object, part: Object) -> Object:
    cache_control = part.get("cache_control")
    return block if cache_control is None else {**block, "cache_control": cache_control}


def _assistant(draft: Draft, message: Object, field: str) -> list[Object]:
    for name in ("function_call", "audio"):
        if message.get(name) is not None:
            raise TranslationError(f"{field}.{name}", "has no equal")
    blocks = _thoughts(message.get("thinking_blocks"), f"{field}.thinking_blocks")
    blocks += _content(draft, message.get("content"), f"{field}.content")
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        blocks.append({"type": "text", "text": message["refusal"]})
    calls = message.get("tool_calls")
    if calls is not None:
        blocks += [_call(call, name) for name, call in objects(calls, f"{field}.tool_calls")]
    return blocks


def _thoughts(thoughts: object, field: str) -> list[Object]:
    """Return Anthropic's own thoughts, which callers may hand back as they are (see `to_chat_answer`)."""
    if thoughts is None:
        return []
    return [
        {name: value for name, value in thought.items() if name != "index"}
        for _, thought in objects(thoughts, field)
        if is_thought(thought) and not is_ours_to_drop(thought)
    ]


def _call(call: Object, field: str) -> Object:
    kind = call.get("type", "function")
    if kind != "function":
        raise TranslationError(f"{field}.type", "calls of custom tools have no equal")
    function = mapping(call.get("function"), f"{field}.function")
    return {
        "type": "tool_use",
        "id": id_to_messages(call.get("id"), f"{field}.id"),
        "name": text(function.get("name"), f"{field}.function.name"),
        "input": input_of(function.get("arguments", ""), f"{field}.function.arguments"),
    }


def _result(draft: Draft, message: Object, field: str) -> Object:
    call_id = id_to_messages(message.get("tool_call_id"), f"{field}.tool_call_id")
    block: Object = {"type": "tool_result", "tool_use_id": call_id}
    content = message.get("content")
    if isinstance(content, str):
        block["content"] = content
    elif content is not None:
        block["content"] = _content(draft, content, f"{field}.content")
    return block
