"""Whether an event of a provider's stream is already content, or may still be taken back.

Failover is possible until the first content has gone downstream, so what only announces an answer is held.
What is not understood is content: holding it would break formats that are newer than this code. Splitting
bytes into events is `sse`'s, classifying an error event `outcome`'s.
"""

from enum import Enum, auto
from typing import Final

import msgspec

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.sse import Event


class ContentKind(Enum):
    """What an event means to a relay that may still change its mind."""

    PREAMBLE = auto()
    """Announces an answer, or keeps the line open; may be held and dropped."""
    CONTENT = auto()
    ERROR = auto()
    DONE = auto()
    """The provider's own word that the stream is complete."""


_ANTHROPIC: Final = {
    "message_start": ContentKind.PREAMBLE,
    "ping": ContentKind.PREAMBLE,
    "error": ContentKind.ERROR,
    "message_stop": ContentKind.DONE,
}
_RESPONSES: Final = {
    "response.created": ContentKind.PREAMBLE,
    "response.queued": ContentKind.PREAMBLE,
    "response.in_progress": ContentKind.PREAMBLE,
    "response.output_item.added": ContentKind.PREAMBLE,
    "response.content_part.added": ContentKind.PREAMBLE,
    "keepalive": ContentKind.PREAMBLE,
    "error": ContentKind.ERROR,
    "response.failed": ContentKind.ERROR,
    "response.completed": ContentKind.DONE,
    "response.incomplete": ContentKind.DONE,
}
_EMPTY: Final = frozenset({b"null", b'""', b"[]", b"{}"})
_ASIDE: Final = frozenset({"role", "thoughtSignature"})
"""What stands beside what is said, and may come behind its end."""


class _Choice(msgspec.Struct):
    delta: dict[str, msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET
    text: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    finish_reason: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | msgspec.UnsetType | None = msgspec.UNSET
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    object: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    type: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Candidates(msgspec.Struct):
    """A chunk of Gemini's own API."""

    candidates: list[msgspec.Raw] | None = None
    feedback: msgspec.Raw | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="promptFeedback")
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="usageMetadata")
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Content(msgspec.Struct):
    parts: list[dict[str, msgspec.Raw]] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None
    finish: str | None = msgspec.field(default=None, name="finishReason")


class _Saying(msgspec.Struct):
    """What a chunk of Gemini's own API says."""

    candidates: list[_Candidate] | None = None


class _Typed(msgspec.Struct):
    type: str | None = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_CHUNKS: Final = msgspec.json.Decoder(list[_Chunk])
_CANDIDATES: Final = msgspec.json.Decoder(_Candidates)
_SAYING: Final = msgspec.json.Decoder(_Saying)
_TYPED: Final = msgspec.json.Decoder(_Typed)


_SIGNS: Final = (
    *(b"\r", b"\n:", b"error", b"[DONE]", b"message_stop", b"response."),
    # Gemini's; it has both in nearly every event.
    *(b'Reason"', b'"usageMetadata"'),
)
"""What makes a chunk worth a closer look."""


def plain_events(chunk: bytes) -> int:
    """Return how many events the chunk consists of if they are content and nothing else; 0: look closer.

    For most chunks of a stream: whole events with nothing in them that ends the stream, tells usage, or might
    be an error. Counts blocks, so one without data counts as well. `chunk` begins an event.
    """
    if not chunk.endswith(b"\n\n") or chunk.startswith(b":"):
        return 0
    for sign in _SIGNS:
        # Not `in`: for bytes it raises and swallows a TypeError before it looks (bytes may be sought as an
        # integer), which takes five times as long as looking.
        if chunk.find(sign) >= 0:
            return 0
    if not _all_null(chunk, b'_reason"') or not _all_null(chunk, b'"usage"'):
        return 0
    return chunk.count(b"\n\n")


def _all_null(chunk: bytes, key_end: bytes) -> bool:
    """Whether every key with this end has the value null, written as most servers write it."""
    keys = chunk.count(key_end)
    return not keys or keys == chunk.count(key_end + b":null") or keys == chunk.count(key_end + b": null")


def content_kind(dialect: Dialect, event: Event) -> ContentKind:
    """Return what the event of a stream in this dialect is; never raises.

    Sources: OpenAI API reference, chat completion chunks and streaming events of responses; Anthropic API
    documentation, streaming messages; Gemini API reference, streamGenerateContent (all read 2026-11). Some
    OpenAI-like servers put an error object into a data line instead of an event.
    """
    if not event.data:
        return ContentKind.ERROR if event.event == "error" else ContentKind.PREAMBLE
    if dialect is Dialect.ANTHROPIC or dialect is Dialect.RESPONSES:
        kinds = _ANTHROPIC if dialect is Dialect.ANTHROPIC else _RESPONSES
        return kinds.get(named(event) or "", ContentKind.CONTENT)
    if event.event == "error":
        return ContentKind.ERROR
    return _gemini_kind(event.data) if dialect is Dialect.GEMINI else _openai_kind(event.data)


def goes_on(dialect: Dialect, event: Event) -> bool:
    """Return whether something is said in the event by a choice that does not end with it; never raises.

    Behind the reason for which one choice has ended, that shows that another has not: of several (`n`,
    `candidateCount`) each has its own. What is told of a finished one (usage, Azure's filter results, a
    role) says nothing.
    """
    try:
        if dialect is Dialect.ANTHROPIC or dialect is Dialect.RESPONSES:
            return named(event) == "content_block_delta"
        if dialect is Dialect.GEMINI:
            candidates = _SAYING.decode(event.data).candidates or ()
            return any(not one.finish and _says(part) for one in candidates for part in _parts(one))
        choices = _CHUNK.decode(event.data).choices
    except JSON_FAULTS:
        return False
    if not isinstance(choices, list):
        return False
    return any(
        _is_empty(choice.finish_reason)
        and (not _is_empty(choice.text) or (isinstance(choice.delta, dict) and _says(choice.delta)))
        for choice in choices
    )


def _parts(candidate: _Candidate) -> list[dict[str, msgspec.Raw]]:
    return (candidate.content.parts if candidate.content is not None else None) or []


def _says(piece: dict[str, msgspec.Raw]) -> bool:
    return any(name not in _ASIDE and bytes(value) not in _EMPTY for name, value in piece.items())


def named(event: Event) -> str | None:
    """Return an event's name: its own, else the `type` in its data."""
    if event.event is not None:
        return event.event
    try:
        return _TYPED.decode(event.data).type
    except JSON_FAULTS:
        return None


def _listed(data: bytes) -> ContentKind:
    """Gemini wraps an error in an array."""
    try:
        chunks = _CHUNKS.decode(data)
    except JSON_FAULTS:
        return ContentKind.CONTENT
    return ContentKind.ERROR if any(_is_error(chunk) for chunk in chunks) else ContentKind.CONTENT


def _gemini_kind(data: bytes) -> ContentKind:
    try:
        chunk = _CANDIDATES.decode(data)
    except JSON_FAULTS:
        return _listed(data)
    if not _is_empty(chunk.error):
        return ContentKind.ERROR
    if chunk.candidates or not _is_empty(chunk.feedback) or _is_empty(chunk.usage):
        return ContentKind.CONTENT
    return ContentKind.PREAMBLE


def _openai_kind(data: bytes) -> ContentKind:
    if data == b"[DONE]":
        return ContentKind.DONE
    try:
        chunk = _CHUNK.decode(data)
    except JSON_FAULTS:
        return _listed(data)
    if _is_error(chunk):
        return ContentKind.ERROR
    if not isinstance(chunk.choices, list):
        return ContentKind.CONTENT
    if not chunk.choices:
        # The last chunk holds only the usage; Azure's first holds only the prompt's filter results.
        return ContentKind.PREAMBLE if _is_empty(chunk.usage) else ContentKind.CONTENT
    announces = all(_is_preamble(choice) for choice in chunk.choices)
    return ContentKind.PREAMBLE if announces else ContentKind.CONTENT


def _is_error(chunk: _Chunk) -> bool:
    if not _is_empty(chunk.error):
        return True
    return b'"error"' in (_bytes(chunk.object), _bytes(chunk.type))


def _is_preamble(choice: _Choice) -> bool:
    """Whether the choice only announces a role: nothing said, nothing ended, nothing unknown."""
    if not _is_empty(choice.finish_reason):
        return False
    if isinstance(choice.delta, dict):
        return not _says(choice.delta)
    return choice.text is not msgspec.UNSET and _is_empty(choice.text)


def _is_empty(value: msgspec.Raw | msgspec.UnsetType) -> bool:
    return _bytes(value) in _EMPTY


def _bytes(value: msgspec.Raw | msgspec.UnsetType) -> bytes:
    return bytes(value) if isinstance(value, msgspec.Raw) else b"null"
