"""The conversation of a chat request as Gemini's contents and system instruction.

System and developer messages all become the instruction; results of tools become the user's parts, under the
name of their function. A call carries its signature where Gemini made it, and the mark that Google's
documentation gives for calls of others where the model insists on one.
Sources: OpenAI API reference, chat messages; Gemini API reference, Content and Part; Gemini API
documentation, function calling and thought signatures (read 2026-11).
"""

from mimetypes import guess_type
from typing import Final
from urllib.parse import urlsplit

from cliproxy_sidecar.core.translate.draft import Draft
from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    kind_of,
    mapping,
    objects,
    text,
)
from cliproxy_sidecar.core.translate.gemini_words import (
    SKIP_SIGNATURE,
    signature_of_call,
    signature_of_thought,
    wants_signatures,
)
from cliproxy_sidecar.core.translate.media import data_url
from cliproxy_sidecar.core.translate.tools import input_of

OWN_CALL: Final = "call_gemini_"
"""Begins ids of calls that Gemini itself left without one; it is not told of them."""
RESULT: Final = "result"
"""The name under which a result's text stands in Gemini's response, which is an object."""
_SYSTEM: Final = ("system", "developer")


def write_contents(draft: Draft, messages: object) -> None:
    """Write `systemInstruction` and `contents` into the draft."""
    system: list[Object] = []
    turns: list[Object] = []
    names: dict[str, str] = {}
    for field, message in objects(messages, "messages"):
        role = text(message.get("role"), f"{field}.role")
        match role:
            case "user":
                _append(turns, "user", _content(draft, message.get("content"), f"{field}.content"))
            case "assistant":
                _append(turns, "model", _assistant(draft, message, field, names))
            case "tool":
                _append(turns, "user", [_result(draft, message, field, names)])
            case _ if role in _SYSTEM:
                system += _content(draft, message.get("content"), f"{field}.content")
            case _:
                raise TranslationError(f"{field}.role", f"{role[:40]!r} has no equal")
        if message.get("name") is not None:
            draft.leave_out("messages[].name")
    if not turns:
        raise TranslationError("messages", "must hold at least one message that is not the system's")
    if system:
        draft.body["systemInstruction"] = {"parts": system}
    draft.body["contents"] = turns


def _append(turns: list[Object], role: str, parts: list[Object]) -> None:
    """Add to the turn of the same role, so that parallel results stand in one; nothing said is no turn."""
    if turns and turns[-1]["role"] == role:
        turns[-1]["parts"] += parts
    elif parts:
        turns.append({"role": role, "parts": parts})


def _content(draft: Draft, content: object, field: str) -> list[Object]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}] if content else []
    return [piece for name, part in objects(content, field) for piece in _part(draft, part, name)]


def _part(draft: Draft, part: Object, field: str) -> list[Object]:
    match kind_of(part, field):
        case "text" | "refusal" as kind:
            said = text(part.get(kind), f"{field}.{kind}")
            return [{"text": said}] if said else []
        case "image_url":
            image = part.get("image_url")
            if isinstance(image, dict) and image.get("detail") not in (None, "auto"):
                draft.leave_out("messages[].content[].image_url.detail")
            url = image if isinstance(image, str) else mapping(image, f"{field}.image_url").get("url")
            return [_media(text(url, f"{field}.image_url.url"), f"{field}.image_url.url")]
        case "file":
            return [_file(mapping(part.get("file"), f"{field}.file"), f"{field}.file")]
        case "input_audio":
            audio = mapping(part.get("input_audio"), f"{field}.input_audio")
            form = text(audio.get("format"), f"{field}.input_audio.format")
            data = text(audio.get("data"), f"{field}.input_audio.data")
            return [{"inlineData": {"mimeType": f"audio/{form}", "data": data}}]
        case other:
            raise TranslationError(f"{field}.type", f"{other[:40]!r} has no equal")


def _media(url: str, field: str) -> Object:
    if url.lower().startswith(("https://", "http://")):
        kind = guess_type(urlsplit(url).path)[0]
        return {"fileData": {"fileUri": url} | ({} if kind is None else {"mimeType": kind})}
    media_type, data = data_url(url, field)
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _file(file: Object, field: str) -> Object:
    if file.get("file_data") is None:
        raise TranslationError(f"{field}.file_id", "files stored at OpenAI cannot be read elsewhere")
    return _media(text(file["file_data"], f"{field}.file_data"), f"{field}.file_data")


def _assistant(draft: Draft, message: Object, field: str, names: dict[str, str]) -> list[Object]:
    for name in ("function_call", "audio"):
        if message.get(name) is not None:
            raise TranslationError(f"{field}.{name}", "has no equal")
    parts = _content(draft, message.get("content"), f"{field}.content")
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        parts.append({"text": message["refusal"]})
    given = message.get("tool_calls")
    calls = [] if given is None else objects(given, f"{field}.tool_calls")
    thoughts = message.get("thinking_blocks")
    signed = "" if thoughts is None else _signature(thoughts, f"{field}.thinking_blocks")
    if not signed and wants_signatures(draft.destination.model):
        signed = SKIP_SIGNATURE
    for place, (name, call) in enumerate(calls):
        # Of parallel calls only the first is signed.
        parts.append(_call(call, name, names, fallback="" if place else signed))
    return parts


def _signature(thoughts: object, field: str) -> str:
    found = [signature_of_thought(thought) for _, thought in objects(thoughts, field)]
    return next((signature for signature in reversed(found) if signature), "")


def _call(call: Object, field: str, names: dict[str, str], *, fallback: str) -> Object:
    if call.get("type", "function") != "function":
        raise TranslationError(f"{field}.type", "calls of custom tools have no equal")
    function = mapping(call.get("function"), f"{field}.function")
    name, call_id = text(function.get("name"), f"{field}.function.name"), text(call.get("id"), f"{field}.id")
    names[call_id] = name
    called: Object = {"name": name, "args": input_of(function.get("arguments", ""), f"{field}.function")}
    if not call_id.startswith(OWN_CALL):
        called = {"id": call_id, **called}
    signature = signature_of_call(call) or fallback
    return {"functionCall": called} | ({"thoughtSignature": signature} if signature else {})


def _result(draft: Draft, message: Object, field: str, names: dict[str, str]) -> Object:
    call_id = text(message.get("tool_call_id"), f"{field}.tool_call_id")
    if call_id not in names:
        raise TranslationError(f"{field}.tool_call_id", "names no call before it")
    said: list[str] = []
    for place, part in enumerate(_content(draft, message.get("content"), f"{field}.content")):
        if "text" not in part:
            raise TranslationError(f"{field}.content[{place}]", "only text has an equal in a tool's result")
        said.append(part["text"])
    answered: Object = {"name": names[call_id], "response": {RESULT: "\n".join(said)}}
    if not call_id.startswith(OWN_CALL):
        answered = {"id": call_id, **answered}
    return {"functionResponse": answered}
