"""The conversation of an Anthropic messages request, as OpenAI chat messages.

Thoughts are left behind: they are signed for Anthropic (Gemini's find their way back to Gemini). Results of
tools become messages of their own, before what the user says in the same turn; images in results, which a
tool's message cannot hold, follow in the user's. Sources: Anthropic API documentation, messages; OpenAI API
reference, chat messages (read 2026-11).
"""

from collections.abc import Sequence
from typing import Final

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.translate.draft import Draft
from cliproxy_sidecar.core.translate.fields import Object, TranslationError, flag, kind_of, objects, text
from cliproxy_sidecar.core.translate.gemini_words import signature_of_thought, signed_call
from cliproxy_sidecar.core.translate.media import document_to_chat, image_to_chat
from cliproxy_sidecar.core.translate.quirks import wants_thoughts
from cliproxy_sidecar.core.translate.reasoning import FOREIGN, is_thought
from cliproxy_sidecar.core.translate.tools import arguments_of

PARAGRAPH: Final = "\n\n"
"""Between the blocks of a system prompt: not all servers take a list of parts, or several system messages."""
ATTACHED: Final = "(The result is attached to the next message.)"
"""In place of a result that is all images."""


def system_to_chat(draft: Draft, system: object) -> list[Object]:
    """Return the system message, none if nothing is said."""
    said = _texts(draft, system, "system")
    return [{"role": "system", "content": PARAGRAPH.join(said)}] if said else []


def history_to_chat(draft: Draft, messages: object) -> list[Object]:
    """Return the other messages."""
    turns: list[Object] = []
    for field, message in objects(messages, "messages"):
        content = message.get("content")
        match text(message.get("role"), f"{field}.role"):
            case "user":
                turns += _user(draft, content, f"{field}.content")
            case "assistant":
                turns += _assistant(draft, content, f"{field}.content")
            case "system":
                said = _texts(draft, content, f"{field}.content")
                turns += [{"role": "system", "content": PARAGRAPH.join(said)}] if said else []
            case other:
                raise TranslationError(f"{field}.role", f"{other[:40]!r} has no equal")
    if turns and turns[-1]["role"] == "assistant":
        raise TranslationError("messages", "must not end with the assistant's: elsewhere it is not continued")
    return turns


def _texts(draft: Draft, content: object, field: str) -> list[str]:
    """Take a string or text blocks; what is empty says nothing."""
    if isinstance(content, str):
        return [content] if content else []
    said: list[str] = []
    for name, block in objects(content, field):
        if kind_of(block, name) != "text":
            raise TranslationError(f"{name}.type", "only text has an equal here")
        _note(draft, block, field)
        said.append(text(block.get("text"), f"{name}.text"))
    return [item for item in said if item]


def _user(draft: Draft, content: object, field: str) -> list[Object]:
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    results: list[Object] = []
    parts: list[Object] = []
    for name, block in objects(content, field):
        _note(draft, block, "messages[].content")
        if kind_of(block, name) == "tool_result":
            message, images = _result(draft, block, name)
            results.append(message)
            parts += images
        else:
            parts += _parts(block, name)
    return [*results, {"role": "user", "content": _simple(parts)}] if parts or not results else results


def _parts(block: Object, field: str) -> list[Object]:
    match kind_of(block, field):
        case "text":
            return [{"type": "text", "text": text(block.get("text"), f"{field}.text")}]
        case "image":
            return [image_to_chat(block, field)]
        case "document":
            return document_to_chat(block, field)
        case other:
            raise TranslationError(f"{field}.type", f"{other[:40]!r} has no equal")


def _simple(parts: Sequence[Object]) -> object:
    """Return one text as a string, which every server takes; else the parts."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return parts[0]["text"]
    return list(parts)


def _result(draft: Draft, block: Object, field: str) -> tuple[Object, list[Object]]:
    """Return the tool's message, and what has to follow in the user's."""
    content = block.get("content")
    texts: list[Object] = []
    others: list[Object] = []
    if isinstance(content, str):
        texts = [{"type": "text", "text": content}]
    elif content is not None:
        for name, item in objects(content, f"{field}.content"):
            for part in _parts(item, name):
                (texts if part["type"] == "text" else others).append(part)
    if block.get("is_error") is not None and flag(block["is_error"], f"{field}.is_error"):
        draft.leave_out("messages[].content[].is_error")
    if others and not texts:
        texts = [{"type": "text", "text": ATTACHED}]
    call_id = text(block.get("tool_use_id"), f"{field}.tool_use_id")
    return {"role": "tool", "tool_call_id": call_id, "content": _simple(texts)}, others


def _assistant(draft: Draft, content: object, field: str) -> list[Object]:
    if isinstance(content, str):
        return [{"role": "assistant", "content": content}]
    said: list[str] = []
    calls: list[Object] = []
    takes_signatures = draft.destination.provider_type is ProviderType.GEMINI
    thoughts: list[str] = []
    signature = ""
    for name, block in objects(content, field):
        if is_thought(block):
            signature = signature_of_thought(block) or signature
            if block.get("signature") == FOREIGN:
                thoughts.append(text(block.get("thinking"), f"{name}.thinking"))
            continue
        _note(draft, block, "messages[].content")
        match kind_of(block, name):
            case "text":
                said.append(text(block.get("text"), f"{name}.text"))
            case "tool_use":
                # Gemini's own thoughts go back to it, in front of the call that they led to.
                signed = signed_call(signature if takes_signatures else "")
                calls.append(_call(block, name) | signed)
                signature = ""
            case other:
                raise TranslationError(f"{name}.type", f"{other[:40]!r} has no equal")
    if not said and not calls:
        return []
    message: Object = {"role": "assistant", "content": "".join(said) if said else None}
    if calls:
        message["tool_calls"] = calls
        if thoughts and wants_thoughts(draft.destination):
            message["reasoning_content"] = "".join(thoughts)
    return [message]


def _call(block: Object, field: str) -> Object:
    arguments = arguments_of(block.get("input"), f"{field}.input")
    function = {"name": text(block.get("name"), f"{field}.name"), "arguments": arguments}
    return {"id": text(block.get("id"), f"{field}.id"), "type": "function", "function": function}


def _note(draft: Draft, block: Object, field: str) -> None:
    """Caches are marked by hand at Anthropic only; citations cannot be asked for elsewhere."""
    if block.get("cache_control") is not None:
        draft.leave_out(f"{field}[].cache_control")
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled") is True:
        raise TranslationError(f"{field}[].citations", "citations have no equal")
