"""What choosing wants to know of a request, read from its headers and body: only where a profile needs it.

The session is what the caller names as one; the prefix is how its prompt begins. Nothing here raises, and a
body that is odd simply has no key: the provider is to judge it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from cliproxy_api.vocabulary import Affinity
from cliproxy_sidecar.core.affinity import key_of
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.strategies.base import Facts

SESSION_HEADERS: Final = (b"x-session-id", b"x-cliproxy-session", b"session_id")
"""The last is what Codex sends (read 2026-11)."""
MAX_KEY_BYTES: Final = 1024
MAX_PREFIX_BYTES: Final = 16 * 1024
"""Of a system prompt, and of a message: what differs only behind that is the same to us."""
MAX_LEADING: Final = 8
"""Messages that are looked at for the first that is no system prompt."""
_SYSTEM: Final = (b'"system"', b'"developer"')


class _Body(msgspec.Struct):
    max_tokens: msgspec.Raw = msgspec.Raw()
    max_completion_tokens: msgspec.Raw = msgspec.Raw()
    max_output_tokens: msgspec.Raw = msgspec.Raw()
    prompt_cache_key: msgspec.Raw = msgspec.Raw()
    user: msgspec.Raw = msgspec.Raw()
    metadata: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    contents: msgspec.Raw = msgspec.Raw()
    """Gemini's, with the next two."""
    system_instruction: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="systemInstruction")
    config: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="generationConfig")


class _Message(msgspec.Struct):
    role: msgspec.Raw = msgspec.Raw()


_BODY: Final = msgspec.json.Decoder(_Body)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_ANY: Final = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Needs:
    """What a profile's preferences look at."""

    affinity: Affinity = Affinity.NONE
    bounds: bool = False
    """How long the caller lets the answer be."""


def facts_of(body: bytes, headers: Iterable[tuple[bytes, bytes]], needs: Needs, *, stream: bool) -> Facts:
    """Return a request's facts."""
    affinity, bounds = needs.affinity, needs.bounds
    session = _session_header(headers) if affinity is Affinity.SESSION else b""
    if session and not bounds:
        return Facts(len(body), stream, None, key_of(session))
    if affinity is Affinity.NONE and not bounds:
        return Facts(len(body), stream)
    try:
        fields = _BODY.decode(body)
    except JSON_FAULTS:
        return Facts(len(body), stream, None, key_of(session) if session else None)
    if not session and affinity is Affinity.SESSION:
        session = _session_field(fields)
    parts = (session,) if session else _prefix(fields) if affinity is Affinity.PREFIX else ()
    return Facts(
        len(body),
        stream,
        _bound(fields) if bounds else None,
        key_of(*parts) if parts else None,
    )


def _session_header(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    found = {name: value for name, value in headers if name in SESSION_HEADERS and value}
    return next((found[name][:MAX_KEY_BYTES] for name in SESSION_HEADERS if name in found), b"")


def _session_field(fields: _Body) -> bytes:
    """Return the caller's own name for related requests: the most precise that it gives."""
    metadata = _plain(fields.metadata)
    user_id = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    for value in (_plain(fields.prompt_cache_key), user_id, _plain(fields.user)):
        if isinstance(value, str) and value:
            return value.encode()[:MAX_KEY_BYTES]
    return b""


def _prefix(fields: _Body) -> tuple[bytes, ...]:
    """Return how the prompt begins: system prompts and the first message behind them."""
    prompts = (fields.system, fields.instructions, fields.system_instruction)
    system = b"".join([bytes(prompt)[:MAX_PREFIX_BYTES] for prompt in prompts])
    for listed in (fields.messages, fields.input, fields.contents):
        try:
            messages = _LIST.decode(listed)
        except JSON_FAULTS:
            continue
        return (system, *_leading(messages))
    first = bytes(fields.input or fields.prompt)[:MAX_PREFIX_BYTES]
    return (system, first) if system or first else ()


def _leading(messages: list[msgspec.Raw]) -> list[bytes]:
    leading: list[bytes] = []
    for message in messages[:MAX_LEADING]:
        leading.append(bytes(message)[:MAX_PREFIX_BYTES])
        try:
            role = bytes(_MESSAGE.decode(message).role)
        except JSON_FAULTS:
            break
        if role not in _SYSTEM:
            break
    return leading


def _bound(fields: _Body) -> int | None:
    values = (fields.max_completion_tokens, fields.max_output_tokens, fields.max_tokens)
    config = _plain(fields.config) if fields.config else None
    found = [*map(_plain, values), config.get("maxOutputTokens") if isinstance(config, dict) else None]
    bounds = [value for value in found if type(value) is int and value > 0]
    return min(bounds, default=None)


def _plain(raw: msgspec.Raw) -> Any:
    try:
        return _ANY.decode(raw) if len(raw) <= MAX_PREFIX_BYTES else None
    except JSON_FAULTS:
        return None
