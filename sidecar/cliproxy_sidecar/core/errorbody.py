"""Error bodies of all providers, read into one form.

Reads OpenAI's, Anthropic's, Gemini's (also wrapped in an array), Azure's, AWS's and envelope-less errors, and
plain text. Never raises: the bytes come from the provider. What the words mean stands in `signals`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

MAX_WORD_CHARS: Final = 128
"""`Evidence.code` takes no more."""
MAX_MESSAGE_CHARS: Final = 4096
"""Enough for every message known; texts are searched with patterns."""
MAX_DETAILS: Final = 32
"""Gemini sends a handful."""

JSON_FAULTS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
"""What decoding untrusted bytes may raise (ValueError: integers of thousands of digits)."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error answer says about itself."""

    words: tuple[str, ...] = ()
    """Codes, types and reasons, lower case, the most specific first."""
    code: str | None = None
    """The first of them as it was sent, printable, at most 128 characters."""
    message: str = ""
    """As sent, at most 4,096 characters. May quote the caller or a key: never shown."""
    status: int | None = None
    """A numeric code in the body that is an HTTP status (Gemini; errors inside streams)."""
    quota_ids: tuple[str, ...] = ()
    """Gemini: QuotaFailure's quotaId values."""
    retry_delay: object = None
    """Gemini: RetryInfo's retryDelay."""
    resets_in_s: object = None
    """Codex: resets_in_seconds."""
    resets_at: object = None
    """Codex: resets_at, epoch seconds."""


def read_error(body: bytes, headers: Mapping[str, str]) -> ErrorBody:
    """Read an error body (a bounded prefix is enough) and the header in which AWS names the error."""
    header_word = headers.get("x-amzn-errortype", "").partition(":")[0]
    try:
        document = msgspec.json.decode(body)
    except JSON_FAULTS:
        text = body[:MAX_MESSAGE_CHARS].decode("utf-8", "replace")
        return _error_body([header_word], ErrorBody(message=text))
    fields = _error_fields(document)
    details = _dicts(fields.get("details"))
    found = ErrorBody(
        message=_message(fields),
        status=_status(fields.get("code")),
        quota_ids=tuple(_quota_ids(details)),
        retry_delay=next((item["retryDelay"] for item in details if "retryDelay" in item), None),
        resets_in_s=fields.get("resets_in_seconds"),
        resets_at=fields.get("resets_at"),
    )
    return _error_body([header_word, *_words(fields, details)], found)


def _error_body(words: list[object], rest: ErrorBody) -> ErrorBody:
    sent = [word.strip()[:MAX_WORD_CHARS] for word in words if isinstance(word, str) and word.strip()]
    code = sent[0] if sent else (str(rest.status) if rest.status is not None else None)
    return ErrorBody(
        words=tuple(word.lower() for word in sent),
        code=None if code is None else "".join(char if char.isprintable() else "?" for char in code),
        message=rest.message,
        status=rest.status,
        quota_ids=rest.quota_ids,
        retry_delay=rest.retry_delay,
        resets_in_s=rest.resets_in_s,
        resets_at=rest.resets_at,
    )


def _error_fields(document: object) -> dict[str, Any]:
    """Find the object that holds code and message, whatever it is wrapped in."""
    if isinstance(document, list):
        document = next((item for item in document[:MAX_DETAILS] if isinstance(item, dict)), {})
    if not isinstance(document, dict):
        return {"message": document}
    inner = document.get("error")
    response = document.get("response")
    if inner is None and isinstance(response, dict):
        inner = response.get("error")  # The Responses API's `response.failed`.
    if isinstance(inner, dict):
        return inner
    return {"message": inner, **document} if isinstance(inner, str) else document


def _words(fields: dict[str, Any], details: list[dict[str, Any]]) -> Iterator[object]:
    yield from (item.get("reason") for item in details)
    yield from (item.get("error_code") for item in details)
    yield from (item.get("code") for item in _dicts(fields.get("innererror")))
    yield fields.get("code")
    yield fields.get("status")
    yield fields.get("type")
    aws = fields.get("__type")
    yield aws.rpartition("#")[2] if isinstance(aws, str) else None


def _dicts(value: object) -> list[dict[str, Any]]:
    """Take an object, or the objects of a list."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items[:MAX_DETAILS] if isinstance(item, dict)]


def _quota_ids(details: list[dict[str, Any]]) -> Iterator[str]:
    for item in details:
        for violation in _dicts(item.get("violations")):
            quota_id = violation.get("quotaId")
            if isinstance(quota_id, str):
                yield quota_id[:MAX_WORD_CHARS]


def _message(fields: dict[str, Any]) -> str:
    message = fields.get("message") or fields.get("Message")
    if isinstance(message, dict):  # Mistral
        return _text(_detail(message.get("detail")))
    return _text(message or _detail(fields.get("detail")))


def _detail(detail: object) -> object:
    """Return what validating servers (FastAPI: vLLM, Mistral) say of each field, as one text."""
    if not isinstance(detail, list):
        return detail
    said = [(item.get("loc"), item.get("msg")) for item in _dicts(detail)]
    where = [".".join(map(str, loc)) if isinstance(loc, list) else "" for loc, _ in said]
    return "; ".join([f"{at}: {msg}" if at else str(msg) for at, (_, msg) in zip(where, said, strict=True)])


def _text(value: object) -> str:
    return value[:MAX_MESSAGE_CHARS] if isinstance(value, str) else ""


def _status(code: object) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == len("429"):
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:  # noqa: PLR2004 - HTTP errors
        return code
    return None
