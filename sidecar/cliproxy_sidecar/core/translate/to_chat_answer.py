"""An Anthropic message as an OpenAI chat completion.

Beside OpenAI's fields, thoughts come as `reasoning_content` (as DeepSeek and others name it) and, with their
signatures, as `thinking_blocks`: a caller that hands these back unchanged keeps the model's train of thought
over its tool calls. Blocks of Anthropic's own tools have no place in a completion and are not shown.
Sources: Anthropic API documentation, messages; OpenAI API reference, chat completion object (read 2026-11).
"""

from cliproxy_sidecar.core.translate.fields import Object, objects, text
from cliproxy_sidecar.core.translate.reasoning import is_thought
from cliproxy_sidecar.core.translate.tools import arguments_of
from cliproxy_sidecar.core.translate.usages import usage_to_chat
from cliproxy_sidecar.core.translate.words import finish_reason


def answer_to_chat(answer: Object, *, created_s: int) -> Object:
    """Return the completion; `created_s` is Unix time, which Anthropic does not tell.

    Raises:
        TranslationError: it is no message.

    """
    message: Object = {"role": "assistant", "content": None, "refusal": None}
    said: list[str] = []
    thought: list[str] = []
    thoughts: list[Object] = []
    calls: list[Object] = []
    for field, block in objects(answer.get("content"), "content"):
        kind = block.get("type")
        if kind == "text":
            said.append(text(block.get("text"), f"{field}.text"))
        elif kind == "tool_use":
            calls.append(_call(block, field))
        elif is_thought(block):
            thoughts.append({"index": len(thoughts), **block})
            if kind == "thinking":
                thought.append(text(block.get("thinking"), f"{field}.thinking"))
    if said:
        message["content"] = "".join(said)
    if calls:
        message["tool_calls"] = calls
    if thought:
        message["reasoning_content"] = "".join(thought)
    if thoughts:
        message["thinking_blocks"] = thoughts
    return {
        "id": text(answer.get("id"), "id"),
        "object": "chat.completion",
        "created": created_s,
        "model": text(answer.get("model"), "model"),
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": finish_reason(answer.get("stop_reason")),
            }
        ],
        "usage": usage_to_chat(answer.get("usage")),
    }


def _call(block: Object, field: str) -> Object:
    arguments = arguments_of(block.get("input"), f"{field}.input")
    function = {"name": text(block.get("name"), f"{field}.name"), "arguments": arguments}
    return {"id": text(block.get("id"), f"{field}.id"), "type": "function", "function": function}
