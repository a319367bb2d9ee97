"""The conversation of a Gemini request as chat messages.

Calls and their results find each other by id, or, where Gemini's callers send none, by the function's name in
turn. Thoughts are left behind; the signature of a call goes along to Gemini's OpenAI-compatible endpoint
only. Sources: Gemini API reference, Content and Part; OpenAI API reference, chat messages (read 2026-11).
"""

from typing import Final

import msgspec

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.translate.draft import Draft
from cliproxy_sidecar.core.translate.fields import Object, TranslationError, mapping, objects, text
from cliproxy_sidecar.core.translate.gemini_words import signed_call

_TEXTS: Final = ("result", "output")
"""Names under which a function's response holds nothing but a text: ours, and what Google's agents write."""
_AUDIO: Final = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}
_PDF: Final = "application/pdf"
_PARAGRAPH: Final = "\n\n"
_NOT_HERE: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
"""Notes of what Google itself did in a conversation that has moved elsewhere."""
_BESIDE: Final = ("thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata")


def history_from_gemini(draft: Draft) -> list[Object]:
    """Return the messages for `systemInstruction` and `contents`."""
    request = draft.source
    instruction = request.get("systemInstruction")
    turns: list[Object] = []
    said = _texts(instruction) if instruction is not None else []
    if said:
        turns.append({"role": "system", "content": _PARAGRAPH.join(said)})
    calls = _Calls()
    contents = request.get("contents")
    listed = [contents] if isinstance(contents, dict) else contents
    for field, content in objects(listed, "contents"):
        role = text("user" if content.get("role") is None else content["role"], f"{field}.role")
        given = content.get("parts")
        parts = [] if given is None else objects(given, f"{field}.parts")
        match role:
            case "user" | "function":
                turns += _user(draft, parts, calls)
            case "model":
                turns += _model(draft, parts, calls)
            case other:
                raise TranslationError(f"{field}.role", f"{other[:40]!r} has no equal")
    if all(turn["role"] == "system" for turn in turns):
        raise TranslationError("contents", "must say something")
    return turns


class _Calls:
    """Names calls that came without an id, and finds the call that a result answers."""

    __slots__ = ("_count", "_open")

    def __init__(self) -> None:
        self._count = 0
        self._open: list[tuple[str, str]] = []
        """Name and id of calls without a result so far."""

    def begin(self, name: str, sent: object, field: str) -> str:
        """Return a call's id."""
        self._count += 1
        call_id = f"call_{self._count}" if sent is None else text(sent, field)
        self._open.append((name, call_id))
        return call_id

    def answer(self, name: str, sent: object, field: str) -> str:
        """Return the id of the call that a result answers."""
        fitting = [known for known in self._open if known[1] == sent]
        # Google's agents name a result after their own bookkeeping where the call had no id.
        fitting = fitting or [known for known in self._open if known[0] == name]
        if not fitting:
            raise TranslationError(field, f"answers no call before it: {name[:40]!r}")
        self._open.remove(fitting[0])
        return fitting[0][1]


def _texts(instruction: object) -> list[str]:
    if isinstance(instruction, str):
        return [instruction] if instruction else []
    given = mapping(instruction, "systemInstruction").get("parts")
    listed = [given] if isinstance(given, dict) else given
    said = [
        text(part.get("text"), f"{field}.text") for field, part in objects(listed, "systemInstruction.parts")
    ]
    return [item for item in said if item]


def _user(draft: Draft, parts: list[tuple[str, Object]], calls: _Calls) -> list[Object]:
    results: list[Object] = []
    said: list[Object] = []
    for field, part in parts:
        if part.get("functionResponse") is None:
            said += _part(draft, part, field)
            continue
        message, media = _result(draft, part["functionResponse"], f"{field}.functionResponse", calls)
        results.append(message)
        said += media
    if not said:
        return results
    simple = len(said) == 1 and said[0]["type"] == "text"
    return [*results, {"role": "user", "content": said[0]["text"] if simple else said}]


def _model(draft: Draft, parts: list[tuple[str, Object]], calls: _Calls) -> list[Object]:
    said: list[str] = []
    called: list[Object] = []
    takes_signatures = draft.destination.provider_type is ProviderType.GEMINI
    for field, part in parts:
        if part.get("thought") is True:
            continue
        if part.get("functionCall") is not None:
            call = _call(
                mapping(part["functionCall"], f"{field}.functionCall"), f"{field}.functionCall", calls
            )
            called.append(call | signed_call(part.get("thoughtSignature") if takes_signatures else None))
            continue
        for piece in _part(draft, part, field):
            if piece["type"] != "text":
                raise TranslationError(field, "only text and calls of the model's have an equal")
            said.append(piece["text"])
    if not said and not called:
        return []
    message: Object = {"role": "assistant", "content": "".join(said) if said else None}
    if called:
        message["tool_calls"] = called
    return [message]


def _call(called: Object, field: str, calls: _Calls) -> Object:
    name = text(called.get("name"), f"{field}.name")
    args = called.get("args")
    given = {} if args is None else mapping(args, f"{field}.args")
    function = {"name": name, "arguments": msgspec.json.encode(given).decode()}
    call_id = calls.begin(name, called.get("id"), f"{field}.id")
    return {"id": call_id, "type": "function", "function": function}


def _result(draft: Draft, given: object, field: str, calls: _Calls) -> tuple[Object, list[Object]]:
    """Return the tool's message, and what has to follow in the user's: media, which it cannot hold."""
    answered = mapping(given, field)
    name = text(answered.get("name"), f"{field}.name")
    call_id = calls.answer(name, answered.get("id"), f"{field}.id")
    response = answered.get("response")
    held = {} if response is None else mapping(response, f"{field}.response")
    only = next(iter(held.items())) if len(held) == 1 else ("", None)
    if only[0] in _TEXTS and isinstance(only[1], str):
        content = only[1]
    else:
        content = msgspec.json.encode(held).decode()
    parts = answered.get("parts")
    listed = [] if parts is None else objects(parts, f"{field}.parts")
    media = [piece for place, part in listed for piece in _part(draft, part, place)]
    return {"role": "tool", "tool_call_id": call_id, "content": content}, media


def _part(draft: Draft, part: Object, field: str) -> list[Object]:
    if part.get("text") is not None:
        said = text(part["text"], f"{field}.text")
        return [{"type": "text", "text": said}] if said else []
    if part.get("inlineData") is not None:
        return [_inline(mapping(part["inlineData"], f"{field}.inlineData"), f"{field}.inlineData")]
    if part.get("fileData") is not None:
        return [_stored(mapping(part["fileData"], f"{field}.fileData"), f"{field}.fileData")]
    for name, value in part.items():
        if name in _NOT_HERE and value is not None:
            draft.leave_out(f"contents[].parts[].{name}")
        elif name not in _BESIDE and value is not None:
            raise TranslationError(f"{field}.{name[:40]}", "has no equal")
    return []


def _inline(data: Object, field: str) -> Object:
    kind = text(data.get("mimeType"), f"{field}.mimeType").lower()
    content = text(data.get("data"), f"{field}.data")
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{content}"}}
    if kind == _PDF:
        file = {"filename": "document.pdf", "file_data": f"data:{_PDF};base64,{content}"}
        return {"type": "file", "file": file}
    if kind in _AUDIO:
        return {"type": "input_audio", "input_audio": {"data": content, "format": _AUDIO[kind]}}
    raise TranslationError(f"{field}.mimeType", f"{kind[:40]!r} has no equal")


def _stored(data: Object, field: str) -> Object:
    url = text(data.get("fileUri"), f"{field}.fileUri")
    kind = data.get("mimeType")
    if "/v1beta/files/" in url or not url.lower().startswith(("https://", "http://")):
        raise TranslationError(f"{field}.fileUri", "files stored at Google cannot be read elsewhere")
    if kind is not None and not text(kind, f"{field}.mimeType").startswith("image/"):
        raise TranslationError(f"{field}.mimeType", "only images can be read from an address elsewhere")
    return {"type": "image_url", "image_url": {"url": url}}
