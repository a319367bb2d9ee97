"""An OpenAI chat completion as an Anthropic message.

Reasoning that a server shows becomes a thought without a true signature (see `reasoning`), a refusal becomes
text with the stop reason "refusal". Sources: OpenAI API reference, chat completion object; Anthropic API
documentation, messages; for the names of shown reasoning DeepSeek's, Groq's and vLLM's (read 2026-11).
"""

from typing import Final

from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    inner,
    mapping,
    objects,
    sequence,
    text,
)
from cliproxy_sidecar.core.translate.gemini_words import SIGNED, signature_of_call
from cliproxy_sidecar.core.translate.reasoning import FOREIGN
from cliproxy_sidecar.core.translate.tools import id_to_messages, input_of
from cliproxy_sidecar.core.translate.usages import usage_to_messages
from cliproxy_sidecar.core.translate.words import stop_reason

REASONING: Final = ("reasoning_content", "reasoning")
"""Where OpenAI-like servers show what a model thought; OpenAI shows nothing."""


def answer_to_messages(answer: Object) -> Object:
    """Return the message.

    Raises:
        TranslationError: it is no completion.

    """
    choices = sequence(answer.get("choices"), "choices")
    if not choices:
        raise TranslationError("choices", "is empty")
    choice = mapping(choices[0], "choices[0]")
    field = "choices[0].message"
    message = mapping(choice.get("message"), field)
    blocks: list[Object] = []
    thought = reasoning_of(message)
    if thought:
        blocks.append({"type": "thinking", "thinking": thought, "signature": FOREIGN})
    said = said_in(message.get("content"), f"{field}.content")
    refusal = message.get("refusal")
    refused = isinstance(refusal, str) and bool(refusal)
    said += str(refusal) if refused else ""
    if said:
        blocks.append({"type": "text", "text": said})
    calls = message.get("tool_calls")
    calls = [] if calls is None else objects(calls, f"{field}.tool_calls")
    for name, call in calls:
        _sign(blocks, signature_of_call(call))
        blocks.append(_use(call, name))
    return {
        "id": text(answer.get("id"), "id"),
        "type": "message",
        "role": "assistant",
        "model": text(answer.get("model"), "model"),
        "content": blocks,
        "stop_reason": stop_reason(choice.get("finish_reason"), called=bool(calls), refused=refused),
        "stop_sequence": None,
        "usage": usage_to_messages(answer.get("usage")),
    }


def _sign(blocks: list[Object], signature: str) -> None:
    """Keep Gemini's signature of a call in the thought before it, from where it finds its way back."""
    if not signature:
        return
    if not blocks or blocks[-1].get("signature") != FOREIGN:
        blocks.append({"type": "thinking", "thinking": ""})
    blocks[-1]["signature"] = SIGNED + signature


def reasoning_of(message: Object) -> str:
    """Return the reasoning that a message or a delta shows: in a field, or in parts of its content."""
    shown = next((message[name] for name in REASONING if message.get(name)), "")
    if isinstance(shown, str) and shown:
        return shown
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    thoughts = [inner(part, "thinking") for part in parts if inner(part, "type") == "thinking"]
    listed = [one for thought in thoughts if isinstance(thought, list) for one in thought]
    return "".join([said for said in (inner(one, "text") for one in listed) if isinstance(said, str)])


def said_in(content: object, field: str) -> str:
    """Take the text of a string, or of parts (Mistral answers with parts when it reasons)."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts = [part for part in objects(content, field) if part[1].get("type") == "text"]
    return "".join(text(part.get("text"), f"{name}.text") for name, part in texts)


def _use(call: Object, field: str) -> Object:
    function = mapping(call.get("function"), f"{field}.function")
    return {
        "type": "tool_use",
        "id": id_to_messages(call.get("id"), f"{field}.id"),
        "name": text(function.get("name"), f"{field}.function.name"),
        "input": input_of(function.get("arguments") or "", f"{field}.function.arguments"),
    }
