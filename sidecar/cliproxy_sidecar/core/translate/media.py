"""Images and files, both ways.

Sources: OpenAI API reference, chat message content parts; Anthropic API documentation, vision and PDF support
(both read 2026-11).
"""

import re
from typing import Final

from cliproxy_sidecar.core.translate.fields import Object, TranslationError, kind_of, mapping, text

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What Anthropic reads."""
PDF: Final = "application/pdf"
UNNAMED_FILE: Final = "document.pdf"
"""OpenAI wants a name for inline files."""
_DATA_URL: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?);base64,(.*)", re.DOTALL | re.IGNORECASE)


def image_to_messages(part: Object, field: str) -> Object:
    """Return an Anthropic image block for an `image_url` part."""
    image = part.get("image_url")
    url = image if isinstance(image, str) else mapping(image, f"{field}.image_url").get("url")
    return {"type": "image", "source": _source(text(url, f"{field}.image_url.url"), f"{field}.image_url.url")}


def _source(url: str, field: str) -> Object:
    if url.lower().startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    media_type, data = data_url(url, field)
    if media_type not in IMAGE_TYPES:
        raise TranslationError(field, f"images of type {media_type[:40]!r} are not understood there")
    return {"type": "base64", "media_type": media_type, "data": data}


def data_url(url: str, field: str) -> tuple[str, str]:
    """Return type and base64 content of a data URL."""
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise TranslationError(field, "must be a data URL with base64 content, or an http(s) address")
    media_type = match[1].lower()
    return ("image/jpeg" if media_type == "image/jpg" else media_type), match[3]


def file_to_messages(part: Object, field: str) -> Object:
    """Return an Anthropic document block for a `file` part; only inline PDFs have an equal."""
    file = mapping(part.get("file"), f"{field}.file")
    if file.get("file_data") is None:
        raise TranslationError(f"{field}.file.file_id", "files stored at OpenAI cannot be read elsewhere")
    media_type, data = data_url(text(file["file_data"], f"{field}.file.file_data"), f"{field}.file.file_data")
    if media_type != PDF:
        raise TranslationError(f"{field}.file.file_data", f"files of type {media_type[:40]!r} have no equal")
    block: Object = {"type": "document", "source": {"type": "base64", "media_type": PDF, "data": data}}
    if file.get("filename") is not None:
        block["title"] = text(file["filename"], f"{field}.file.filename")
    return block


def image_to_chat(block: Object, field: str) -> Object:
    """Return an `image_url` part for an Anthropic image block."""
    source = mapping(block.get("source"), f"{field}.source")
    match kind_of(source, f"{field}.source"):
        case "base64":
            media_type = text(source.get("media_type"), f"{field}.source.media_type")
            data = text(source.get("data"), f"{field}.source.data")
            url = f"data:{media_type};base64,{data}"
        case "url":
            url = text(source.get("url"), f"{field}.source.url")
        case other:
            raise TranslationError(f"{field}.source.type", f"{other[:40]!r} cannot be read elsewhere")
    return {"type": "image_url", "image_url": {"url": url}}


def document_to_chat(block: Object, field: str) -> list[Object]:
    """Return the parts for an Anthropic document block: a file, or its text."""
    source = mapping(block.get("source"), f"{field}.source")
    match kind_of(source, f"{field}.source"):
        case "text":
            return [{"type": "text", "text": text(source.get("data"), f"{field}.source.data")}]
        case "base64":
            data = text(source.get("data"), f"{field}.source.data")
            name = block.get("title")
            title = UNNAMED_FILE if name is None else text(name, f"{field}.title")
            return [{"type": "file", "file": {"filename": title, "file_data": f"data:{PDF};base64,{data}"}}]
        case other:
            raise TranslationError(f"{field}.source.type", f"{other[:40]!r} documents have no equal")
