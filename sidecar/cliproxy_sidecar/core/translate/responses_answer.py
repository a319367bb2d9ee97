"""An Anthropic message as an OpenAI response; a chat completion goes by way of `to_messages_answer`.

Blocks and items correspond: a thought is a reasoning item with a summary (its signature sealed beside it), a
text is a message, a use of a tool is a call. Source: OpenAI API reference, response object (read 2026-11).
"""

from typing import Final

from cliproxy_sidecar.core.translate.fields import Object, objects, text
from cliproxy_sidecar.core.translate.gemini_words import signature_of_thought
from cliproxy_sidecar.core.translate.reasoning import is_ours_to_drop, is_thought
from cliproxy_sidecar.core.translate.responses_input import sealed
from cliproxy_sidecar.core.translate.responses_tools import custom_input, custom_names
from cliproxy_sidecar.core.translate.tools import arguments_of
from cliproxy_sidecar.core.translate.usages import usage_to_chat

_ECHOED: Final[tuple[tuple[str, object], ...]] = (
    ("instructions", None),
    ("max_output_tokens", None),
    ("metadata", {}),
    ("parallel_tool_calls", True),
    ("previous_response_id", None),
    ("reasoning", None),
    ("temperature", None),
    ("text", {"format": {"type": "text"}}),
    ("tool_choice", "auto"),
    ("tools", []),
    ("top_p", None),
    ("truncation", "disabled"),
    ("user", None),
)
"""Fields of the request that a response repeats, and what stands there if it had none."""
_INCOMPLETE: Final = {
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "refusal": "content_filter",
}


def message_to_response(message: Object, request: Object, *, created_s: int) -> Object:
    """Return the whole response.

    Raises:
        TranslationError: it is no message.

    """
    begun = begin(message, request, created_s=created_s)
    customs = custom_names(request)
    output: list[Object] = []
    for field, block in objects(message.get("content"), "content"):
        item = item_of(block, field, key=item_key(begun, len(output)), customs=customs)
        if item is not None:
            output.append(item)
    return end(begun, output, message.get("stop_reason"), message.get("usage"))


def begin(message: Object, request: Object, *, created_s: int) -> Object:
    """Return a response of which nothing has been said yet."""
    echoed = {name: default if request.get(name) is None else request[name] for name, default in _ECHOED}
    return {
        "id": f"resp_{text(message.get('id'), 'id')}",
        "object": "response",
        "created_at": created_s,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": text(message.get("model"), "model"),
        "output": [],
        "store": False,
        "usage": None,
        **echoed,
    }


def end(begun: Object, output: list[Object], stop_reason: object, usage: object) -> Object:
    """Return the response with all that was said."""
    reason = _INCOMPLETE.get(stop_reason) if isinstance(stop_reason, str) else None
    return {
        **begun,
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": output,
        "usage": _usage(usage),
    }


def item_key(begun: Object, place: int) -> str:
    """Return what tells an item from all others, of other responses as well."""
    return f"{begun['id'].removeprefix('resp_')}_{place}"


def item_of(block: Object, field: str, *, key: str, customs: frozenset[str]) -> Object | None:
    """Return the output item for a block; None for Anthropic's own tools, which have no equal."""
    if is_thought(block):
        return _reasoning(block, key)
    match block.get("type"):
        case "text":
            return message_item(key, [text_part(text(block.get("text"), f"{field}.text"))], "completed")
        case "tool_use":
            call_id = text(block.get("id"), f"{field}.id")
            name = text(block.get("name"), f"{field}.name")
            arguments = arguments_of(block.get("input"), f"{field}.input")
            return call_item(call_id, name, arguments, customs=customs)
        case _:
            return None


def _reasoning(block: Object, key: str) -> Object:
    thought = block.get("thinking")
    summary = [{"type": "summary_text", "text": thought}] if isinstance(thought, str) and thought else []
    thoughts = [] if is_ours_to_drop(block) and not signature_of_thought(block) else [block]
    item: Object = {"id": reasoning_id(key), "type": "reasoning", "summary": summary}
    return {**item, "encrypted_content": sealed(thoughts)}


def reasoning_id(key: str) -> str:
    """Return the id of a reasoning item."""
    return f"rs_{key}"


def message_item(key: str, content: list[Object], status: str) -> Object:
    """Return a message item."""
    item = {"id": f"msg_{key}", "type": "message", "role": "assistant", "status": status}
    return {**item, "content": content}


def text_part(said: str) -> Object:
    """Return the content of a message item."""
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}


def call_item(
    call_id: str, name: str, arguments: str, *, customs: frozenset[str], status: str = "completed"
) -> Object:
    """Return a call of a function, or of a custom tool."""
    common: Object = {"call_id": call_id, "name": name, "status": status}
    if name in customs:
        given = custom_input(arguments) if arguments else ""
        return {"id": f"ctc_{call_id}", "type": "custom_tool_call", **common, "input": given}
    return {"id": f"fc_{call_id}", "type": "function_call", **common, "arguments": arguments}


def _usage(usage: object) -> Object:
    told = usage_to_chat(usage)
    return {
        "input_tokens": told["prompt_tokens"],
        "input_tokens_details": told["prompt_tokens_details"],
        "output_tokens": told["completion_tokens"],
        "output_tokens_details": told["completion_tokens_details"],
        "total_tokens": told["total_tokens"],
    }
