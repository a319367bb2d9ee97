"""A provider's errors in the caller's shape: status kept, words mapped, the message as it was.

Reading errors of whatever shape is `core.errorbody`'s. Sources: OpenAI API reference, error codes; Anthropic
API documentation, errors (both read 2026-11).
"""

from collections.abc import Callable
from typing import Final

import msgspec

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.errorbody import read_error
from cliproxy_sidecar.core.errors import GOOGLE_STATUS
from cliproxy_sidecar.core.translate.fields import Object
from cliproxy_sidecar.core.translate.words import (
    SERVER_FAULT,
    anthropic_error_type,
    openai_error_type,
    status_of_words,
)

TOO_LONG: Final = "prompt is too long"
"""Anthropic's words for it, by which its callers know that they have to shorten the conversation."""
CONTEXT_LENGTH: Final = "context_length_exceeded"
"""OpenAI's code for the same."""
TOO_MANY: Final = "exceeds the maximum number of tokens"
"""Gemini's words for it."""
_NO_MESSAGE: Final = "The provider refused the request and gave no reason."

Form = Callable[[int, str, bool], Object]


def error_answer(dialect: Dialect, status: int, body: bytes, *, too_long: bool) -> bytes:
    """Return the body of an error answer in the caller's format; `too_long`: the context is exceeded."""
    found = read_error(body, {})
    return msgspec.json.encode(_form(dialect)(status, found.message or _NO_MESSAGE, too_long))


def error_event(dialect: Dialect, event: Object) -> Object:
    """Return the data of an error event in the caller's format."""
    found = read_error(msgspec.json.encode(event), {})
    status = found.status or status_of_words(found.words)
    told = _form(dialect)(status, found.message or _NO_MESSAGE, CONTEXT_LENGTH in found.words)
    return _flat(told) if dialect is Dialect.RESPONSES else told


def _form(dialect: Dialect) -> Form:
    return _FORMS.get(dialect, _openai)


def _flat(error: Object) -> Object:
    """Return an error as a response's stream tells it: flat by the reference, nested as SDKs look for it."""
    inner = error["error"]
    return {"type": "error", **{name: inner[name] for name in ("code", "message", "param")}, **error}


def _anthropic(status: int, message: str, too_long: bool) -> Object:  # noqa: FBT001 -- a Form
    if too_long and TOO_LONG not in message:
        message = f"{TOO_LONG}: {message}"
    return {"type": "error", "error": {"type": anthropic_error_type(status), "message": message}}


def _openai(status: int, message: str, too_long: bool) -> Object:  # noqa: FBT001 -- a Form
    kind, code = openai_error_type(status)
    code = CONTEXT_LENGTH if too_long else code
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _gemini(status: int, message: str, too_long: bool) -> Object:  # noqa: FBT001 -- a Form
    if too_long and TOO_MANY not in message:
        message = f"The input {TOO_MANY} allowed: {message}"
    word = "INVALID_ARGUMENT" if status < SERVER_FAULT else "INTERNAL"
    error = {"code": status, "message": message, "status": GOOGLE_STATUS.get(status, word)}
    return {"error": error}


_FORMS: Final[dict[Dialect, Form]] = {Dialect.ANTHROPIC: _anthropic, Dialect.GEMINI: _gemini}
