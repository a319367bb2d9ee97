"""The input items of a Responses request as chat messages.

Reasoning items of OpenAI's are encrypted for OpenAI and left behind; those that `responses_answer` wrote hold
Anthropic's signed thoughts, which go back to where they came from.
Source: OpenAI API reference, responses, input items; chat messages (read 2026-11).
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.translate.draft import Draft
from cliproxy_sidecar.core.translate.fields import Object, TranslationError, kind_of, objects, text
from cliproxy_sidecar.core.translate.responses_tools import custom_arguments

SEALED: Final = "cliproxy-thoughts-"
"""Begins our `encrypted_content`, also where nothing is kept: by it what OpenAI did not write is known."""
_MARK: Final = SEALED.encode()
_ROLES: Final = ("user", "system", "developer", "assistant")
_TEXTS: Final = ("input_text", "output_text", "text")
_LEFT: Final = (
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "mcp_",
)
"""Notes of what OpenAI itself did in a conversation that has moved elsewhere."""


def input_to_chat(draft: Draft, items: object) -> list[Object]:
    """Return the chat messages for `input`."""
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    turns: list[Object] = []
    thoughts: list[Object] = []
    for field, item in objects(items, "input"):
        kind = "message" if item.get("type") is None else kind_of(item, field)
        if kind == "reasoning":
            thoughts += opened(item.get("encrypted_content"))
            continue
        if kind == "message":
            turns.append(_message(draft, item, field))
        elif kind in ("function_call", "custom_tool_call"):
            _call(turns, item, field, custom=kind == "custom_tool_call", fresh=bool(thoughts))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            turns.append(_output(draft, item, field))
        elif kind.startswith(_LEFT):
            draft.leave_out(f"input[].{kind[:40]}")
        else:
            raise TranslationError(f"{field}.type", f"{kind[:40]!r} has no equal")
        if thoughts and turns and turns[-1]["role"] == "assistant":
            turns[-1]["thinking_blocks"] = [*turns[-1].get("thinking_blocks", []), *thoughts]
            thoughts = []
    return turns


def _message(draft: Draft, item: Object, field: str) -> Object:
    role = text(item.get("role"), f"{field}.role")
    if role not in _ROLES:
        raise TranslationError(f"{field}.role", f"{role[:40]!r} has no equal")
    content = _content(draft, item.get("content"), f"{field}.content")
    # Chat servers other than OpenAI's know no developer; to all it is the system.
    return {"role": "system" if role == "developer" else role, "content": content}


def _content(draft: Draft, content: object, field: str) -> object:
    if isinstance(content, str):
        return content
    parts = [_part(draft, part, name) for name, part in objects(content, field)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return parts[0]["text"]
    return parts


def _part(draft: Draft, part: Object, field: str) -> Object:
    kind = kind_of(part, field)
    if kind in _TEXTS:
        return {"type": "text", "text": text(part.get("text"), f"{field}.text")}
    if kind == "refusal":
        return {"type": "text", "text": text(part.get("refusal"), f"{field}.refusal")}
    if kind == "input_image":
        if part.get("image_url") is None:
            raise TranslationError(f"{field}.file_id", "files stored at OpenAI cannot be read elsewhere")
        if part.get("detail") not in (None, "auto"):
            draft.leave_out("input[].content[].detail")
        return {"type": "image_url", "image_url": {"url": text(part["image_url"], f"{field}.image_url")}}
    if kind == "input_file":
        if part.get("file_data") is None:
            raise TranslationError(f"{field}.file_data", "only files in the request can be read elsewhere")
        kept = {name: part[name] for name in ("filename", "file_data") if part.get(name) is not None}
        return {"type": "file", "file": kept}
    raise TranslationError(f"{field}.type", f"{kind[:40]!r} has no equal")


def _call(turns: list[Object], item: Object, field: str, *, custom: bool, fresh: bool) -> None:
    """Add a call to the assistant's turn before it, or begin one (after new thoughts always)."""
    if custom:
        arguments = custom_arguments(text(item.get("input"), f"{field}.input"))
    else:
        arguments = text(item.get("arguments"), f"{field}.arguments")
    function = {"name": text(item.get("name"), f"{field}.name"), "arguments": arguments}
    call = {"id": text(item.get("call_id"), f"{field}.call_id"), "type": "function", "function": function}
    if fresh or not turns or turns[-1]["role"] != "assistant":
        turns.append({"role": "assistant", "content": None})
    turns[-1].setdefault("tool_calls", []).append(call)


def _output(draft: Draft, item: Object, field: str) -> Object:
    content = _content(draft, item.get("output"), f"{field}.output")
    return {"role": "tool", "tool_call_id": text(item.get("call_id"), f"{field}.call_id"), "content": content}


def sealed(thoughts: list[Object]) -> str:
    """Return thoughts in the form in which a caller keeps them for us."""
    return SEALED + urlsafe_b64encode(msgspec.json.encode(thoughts)).decode()


def opened(content: object) -> list[Object]:
    """Return the thoughts that were sealed; none if others sealed them."""
    if not isinstance(content, str) or not content.startswith(SEALED):
        return []
    try:
        found = msgspec.json.decode(urlsafe_b64decode(content.removeprefix(SEALED)))
    except (*JSON_FAULTS, ValueError):
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def without_foreign_reasoning(body: bytes) -> bytes:
    """Return a Responses request without reasoning that OpenAI did not write; else byte for byte.

    It comes when a conversation began at a provider of another format and now goes to OpenAI itself.
    """
    if _MARK not in body:
        return body
    try:
        request = msgspec.json.decode(body)
    except JSON_FAULTS:
        return body
    items = request.get("input") if isinstance(request, dict) else None
    if not isinstance(items, list):
        return body
    kept = [item for item in items if not _is_foreign(item)]
    return msgspec.json.encode({**request, "input": kept})


def _is_foreign(item: object) -> bool:
    content = item.get("encrypted_content") if isinstance(item, dict) else None
    return isinstance(content, str) and content.startswith(SEALED)
