"""The two things a relay does to a request body: look at a few fields, and change the model's name.

Nothing else is parsed or built: the bytes pass as they came. Bounding the size is left to the shell.
"""

import re
from dataclasses import dataclass
from typing import Final

import msgspec

MAX_MODEL_CHARS: Final = 256
"""No provider's name is half as long; names become metric labels and messages."""
MAX_REPEATED_BYTES: Final = 1024 * 1024
"""A body that repeats top-level keys is read token by token, which is slow; larger ones are refused."""

_UNESCAPED: Final = b'"model"'
_ESCAPED: Final = b"\\u006"
"""How a JSON escape of any letter of the key would begin."""
_SPACES: Final = frozenset({b" ", b"\t", b"\r", b"\n"})
_TEXT: Final = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_KEY: Final = re.compile(rb"[ \t\r\n]*(" + _TEXT + rb")[ \t\r\n]*:[ \t\r\n]*", re.DOTALL)
_TOKEN: Final = re.compile(_TEXT + rb"|[{}\[\],]", re.DOTALL)


# A Struct, not a dataclass: one is made per request.
class Peek(msgspec.Struct, frozen=True, gc=False):
    """What routing needs to know of a request."""

    model: str
    stream: bool


@dataclass(frozen=True, slots=True)
class BodyError:
    """Why a body cannot be used, in words for the caller."""

    message: str
    param: str | None = None
    """The field at fault, if it is one."""


class RepeatedKeysError(ValueError):
    """A large body with repeated top-level keys: the caller's fault."""


class _Request(msgspec.Struct):
    model: str | msgspec.UnsetType = msgspec.UNSET
    stream: bool | None = None


class _Nameless(msgspec.Struct):
    """An object whose fields do not matter."""


_NAMELESS: Final = msgspec.json.Decoder(_Nameless)
_REQUEST: Final = msgspec.json.Decoder(_Request)
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING: Final = msgspec.json.Decoder(str)
_encode: Final = msgspec.json.Encoder().encode


def peek(body: bytes) -> Peek | BodyError:
    """Read model and stream from a JSON body; of a repeated key the last counts. Never raises."""
    try:
        request = _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        return _mistyped(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return _malformed(body, error)
    model = request.model
    if not isinstance(model, str):
        return BodyError("`model` is missing: name the model to use", "model")
    if not model:
        return BodyError("`model` is empty: name the model to use", "model")
    if len(model) > MAX_MODEL_CHARS:
        return BodyError(f"`model` is too long: {len(model)} characters; at most {MAX_MODEL_CHARS}", "model")
    return Peek(model, request.stream is True)


def peek_named(body: bytes, model: str, *, stream: bool) -> Peek | BodyError:
    """Look at a body whose model stands in the path: that it is a JSON object is all. Never raises."""
    if len(model) > MAX_MODEL_CHARS:
        return BodyError(f"`model` is too long: {len(model)} characters; at most {MAX_MODEL_CHARS}", "model")
    try:
        _NAMELESS.decode(body)
    except msgspec.ValidationError:
        return BodyError("the body must be a JSON object")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return _malformed(body, error)
    return Peek(model, stream)


def with_model(body: bytes, old: str, new: str) -> bytes:
    """Return the body with the value of its top-level "model" changed, all other bytes as they were.

    `old` is what `peek` read. A repeated key is changed everywhere, since servers differ in which they take.

    Raises:
        RepeatedKeysError: the body repeats top-level keys and is too large to be searched for them.

    """
    # A single byte is looked for many times as fast as a word, and most often there is none.
    if old == new and body.count(_UNESCAPED) == 1 and (body.find(b"\\") < 0 or body.find(_ESCAPED) < 0):
        return body  # `peek` has found the key, so this is it.
    value = _encode(new)
    span = _only_span(body, old)
    if span is not None:
        return body if old == new else body[: span[0]] + value + body[span[1] :]
    spans = _walk(body)
    if spans is None:
        if len(body) > MAX_REPEATED_BYTES:
            raise RepeatedKeysError("the body repeats a top-level key")
        spans = _scan(body)
    parts: list[bytes] = []
    end = 0
    for start, stop in spans:
        parts += (body[end:start], value)
        end = stop
    return b"".join((*parts, body[end:]))


def _only_span(body: bytes, old: str) -> tuple[int, int] | None:
    """Find the value if there is only one place where the key can stand, which is nearly always so."""
    first = body.find(_UNESCAPED)
    if first < 0 or body.find(_UNESCAPED, first + 1) >= 0 or _ESCAPED in body:
        return None
    match = _KEY.match(body, first)
    value = _encode(old)
    if match is None or not body.startswith(value, match.end()):
        return None
    return match.end(), match.end() + len(value)


def _walk(body: bytes) -> list[tuple[int, int]] | None:
    """Find the value by stepping over the other top-level values at the decoder's speed.

    None if keys repeat, or the decoder cannot tell all values (keys that are not UTF-8).
    """
    try:
        fields = _FIELDS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    spans: list[tuple[int, int]] = []
    at = body.find(b"{") + 1
    for name, raw in fields.items():
        match = _KEY.match(body, at)
        if match is None or not body.startswith(value := bytes(raw), match.end()):
            return None
        stop = match.end() + len(value)
        if name == "model":
            spans.append((match.end(), stop))
        at = stop
        while body[at : at + 1] in _SPACES:
            at += 1
        if body[at : at + 1] not in {b",", b"}"}:
            return None
        at += 1
    return spans if body[at - 1 : at] == b"}" else None


def _scan(body: bytes) -> list[tuple[int, int]]:
    """Find all values of the key token by token."""
    spans: list[tuple[int, int]] = []
    at = body.find(b"{") + 1
    while (match := _KEY.match(body, at)) is not None:
        stop, at = _value_end(body, match.end())
        if _is_model(match[1]):
            spans.append((match.end(), stop))
    return spans


def _is_model(key: bytes) -> bool:
    try:
        return _STRING.decode(key) == "model"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _value_end(body: bytes, start: int) -> tuple[int, int]:
    """Return where the value that begins at `start` ends, and where the next key begins."""
    depth = 0
    for token in _TOKEN.finditer(body, start):
        match token[0]:
            case b"{" | b"[":
                depth += 1
            case b"," | b"}" | b"]" if depth == 0:
                stop = token.start()
                while body[stop - 1 : stop] in _SPACES:
                    stop -= 1
                return stop, token.end()
            case b"}" | b"]":
                depth -= 1
            case _:
                pass
    return len(body), len(body)


def _mistyped(message: str) -> BodyError:
    for name, expected in (("model", "a string"), ("stream", "true or false")):
        if message.endswith(f"`$.{name}`"):
            return BodyError(f"`{name}` must be {expected}", name)
    return BodyError("the body must be a JSON object")


def _malformed(body: bytes, error: Exception) -> BodyError:
    if not body.strip():
        return BodyError("the body is empty; a JSON object is expected")
    if isinstance(error, RecursionError):
        return BodyError("the body is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return BodyError("the body is not UTF-8")
    return BodyError(f"the body is not valid JSON: {error}")
