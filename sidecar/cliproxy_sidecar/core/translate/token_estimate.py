"""How many tokens a request to be counted would have, when nobody can count it: an estimate by size.

OpenAI-like providers have no endpoint that counts. Callers ask in order to know when to shorten a
conversation, for which a rough figure is far better than an error; that it is rough is said in a header by
whoever sends it.
"""

from typing import Final

import msgspec

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.translate.counts import counted_in
from cliproxy_sidecar.core.translate.fields import Object, TranslationError, inner, mapping, objects

_BYTES_PER_TOKEN: Final = 4
"""English prose; providers' own rule of thumb."""
_TOKENS_PER_IMAGE: Final = 1600
"""The most that an image costs at Anthropic, which scales larger ones down (vision guide, 2026-11)."""
_TOKENS_PER_MESSAGE: Final = 4
"""Roles and what parts messages."""
_MEDIA: Final = ("image", "document")


def estimate_tokens(request: object) -> int:
    """Return about how many input tokens Anthropic's request has.

    Raises:
        TranslationError: it is no request.

    """
    whole = mapping(request, "body")
    messages = objects(whole.get("messages"), "messages")
    found = sum(_TOKENS_PER_MESSAGE + _content(message.get("content")) for _, message in messages)
    return found + _content(whole.get("system")) + _size(whole.get("tools"))


def estimate_gemini_tokens(request: object) -> int:
    """Return about how many input tokens Gemini's request has.

    Raises:
        TranslationError: it is no request.

    """
    whole = counted_in(mapping(request, "body"))
    contents = objects(whole.get("contents"), "contents")
    found = sum(_TOKENS_PER_MESSAGE + _parts(content.get("parts")) for _, content in contents)
    return found + _parts(inner(whole.get("systemInstruction"), "parts")) + _size(whole.get("tools"))


def _parts(parts: object) -> int:
    if not isinstance(parts, list):
        return _size(parts)
    media = ("inlineData", "fileData")
    return sum(
        _TOKENS_PER_IMAGE if any(inner(part, name) for name in media) else _part(part) for part in parts
    )


def _part(part: object) -> int:
    said = inner(part, "text")
    return _size(said if isinstance(said, str) else part)


def estimated_count(dialect: Dialect, body: bytes) -> bytes:
    """Return the answer to a request to count tokens, in Anthropic's or Gemini's form.

    Raises:
        TranslationError: it is no request.

    """
    try:
        request = msgspec.json.decode(body)
    except JSON_FAULTS as error:
        raise TranslationError("body", "is not valid JSON") from error
    try:
        if dialect is Dialect.GEMINI:
            return msgspec.json.encode({"totalTokens": estimate_gemini_tokens(request)})
        return msgspec.json.encode({"input_tokens": estimate_tokens(request)})
    except RecursionError as error:  # content in content: read by C code, which may go deeper than ours
        raise TranslationError("body", "cannot be measured: it is nested too deeply") from error


def _content(content: object) -> int:
    if not isinstance(content, list):
        return _size(content)
    return sum(_block(block) for block in content)


def _block(block: object) -> int:
    if inner(block, "type") in _MEDIA:
        return _TOKENS_PER_IMAGE
    nested = inner(block, "content")
    if isinstance(block, dict) and isinstance(nested, list):
        rest: Object = {name: value for name, value in block.items() if name != "content"}
        return _size(rest) + _content(nested)
    said = inner(block, "text")
    return _size(said if isinstance(said, str) else block)


def _size(value: object) -> int:
    if not value:
        return 0
    try:
        return -(-len(msgspec.json.encode(value)) // _BYTES_PER_TOKEN)
    except (RecursionError, ValueError) as error:
        raise TranslationError("body", "cannot be measured") from error
