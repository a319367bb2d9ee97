"""Token usage of one answer, read from its bytes as they pass, in bounded memory.

Providers count overlapping things; here every token stands in exactly one bucket (design section 11). Pricing
is left to others. Nothing raises: the bytes come from the provider, and a wrong figure is no reason to break
an answer.
"""

import re
from typing import Any, Final

import msgspec

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.sse import Event

TAIL_BYTES: Final = 64 * 1024
"""How much of a body's end is kept: usage stands last in every format known, embeddings too."""
MAX_TOKENS: Final = 2**40
"""More than any answer has; greater figures are not counted."""
BYTES_PER_TOKEN: Final = 4
"""For estimates: English prose; providers' own rule of thumb."""

MAX_PLACES: Final = 4
"""How many places that look like usage are tried, from the last; more would be an attempt to keep us busy."""

_USAGE_KEY: Final = re.compile(rb'(?<!\\)"usage(?:Metadata)?"\s*:\s*(?=\{)')
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}]', re.DOTALL)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Disjoint token counts of one answer."""

    input: int = 0
    """Fresh input: neither read from nor written to a prompt cache."""
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    """Output without reasoning, where the provider tells them apart."""
    reasoning: int = 0
    estimated: bool = False
    """The provider did not say; derived from sizes."""

    @property
    def total(self) -> int:
        """All tokens of the answer."""
        return self.input + self.cached_input + self.cache_write + self.output + self.reasoning


class _Body(msgspec.Struct):
    usage: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = msgspec.field(default=None, name="usageMetadata")
    """Gemini."""


class _Started(msgspec.Struct):
    usage: dict[str, Any] | None = None
    message: _Body | None = None
    """Anthropic: `message_start`."""
    response: _Body | None = None
    """Responses API: all events of the response as a whole."""
    x_groq: _Body | None = None
    """Groq: where a stream tells its usage without being asked."""


_BODY: Final = msgspec.json.Decoder(_Body)
_STARTED: Final = msgspec.json.Decoder(_Started)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


def read_usage(dialect: Dialect, fields: dict[str, Any]) -> Usage | None:
    """Return what a usage object says in this dialect; None if it is empty."""
    return _READERS[dialect](fields)


class UsageMeter:
    """Reads one answer. Feed the events of a stream, or the bytes of a body; then ask for the result.

    `generates`: False for embeddings, whose size says nothing about tokens.
    """

    __slots__ = ("_body_bytes", "_dialect", "_events", "_fields", "_final", "_generates", "_tail")

    def __init__(self, dialect: Dialect, *, generates: bool = True) -> None:
        self._dialect = dialect
        self._generates = generates
        self._fields: dict[str, Any] = {}
        self._final = False
        self._tail = bytearray()
        self._body_bytes = 0
        self._events = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of a body that is not a stream."""
        self._body_bytes += len(data)
        self._tail += data
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    def pass_events(self, count: int) -> None:
        """Take the next events of a stream, known to tell no usage."""
        self._events += count

    def feed_event(self, event: Event) -> None:
        """Take the next event of a stream."""
        data = event.data
        if not data or data == b"[DONE]":
            return None
        self._events += 1
        if self._dialect is Dialect.GEMINI:
            return self._feed_gemini(data)
        if data.find(b'"usage"') < 0 or data.find(b'"usage":null') >= 0:
            return None
        try:
            found = _STARTED.decode(data)
        except JSON_FAULTS:
            return None
        # Anthropic begins with one usage and goes on with cumulative ones: later figures replace earlier.
        last = found.usage or next(
            (one.usage for one in (found.response, found.x_groq) if one is not None and one.usage), None
        )
        self._final = self._final or bool(last)
        for usage in (found.message.usage if found.message else None, last):
            if usage:
                self._fields.update((name, value) for name, value in usage.items() if value is not None)
        return None

    def _feed_gemini(self, data: bytes) -> None:
        """Every chunk repeats the figures so far; those of the one that ends the answer are the last."""
        if b'"usageMetadata"' not in data:
            return
        try:
            found = _BODY.decode(data).metadata
        except JSON_FAULTS:
            return
        if found:
            self._fields = found
            self._final = self._final or b'"finishReason"' in data or b'"blockReason"' in data

    def result(self, *, request_bytes: int = 0) -> Usage:
        """Return what has been counted so far; an estimate if the provider has not said, or not to the end.

        An estimate takes one token per event of a stream, or a quarter of the bytes of a body, and a quarter
        of `request_bytes` for the input. Nothing received and nothing sent is nothing used.
        """
        fields = self._fields or self._body_usage()
        usage = read_usage(self._dialect, fields)
        output = (self._events or self._body_bytes // BYTES_PER_TOKEN) if self._generates else 0
        if usage is None:
            return Usage(input=request_bytes // BYTES_PER_TOKEN, output=output, estimated=True)
        if self._fields and not self._final:
            # Cut off between the first usage and the last: the input is known, the output is not.
            return msgspec.structs.replace(usage, output=max(usage.output, output), estimated=True)
        return usage

    def _body_usage(self) -> dict[str, Any]:
        tail = bytes(self._tail)
        if len(tail) == self._body_bytes:
            try:
                body = _BODY.decode(tail)
            except JSON_FAULTS:
                return _scan(tail)
            return body.usage or body.metadata or {}
        return _scan(tail)


def _scan(tail: bytes) -> dict[str, Any]:
    """Find the last readable usage object in the end of a body."""
    places = [match.end() for match in _USAGE_KEY.finditer(tail)]
    for start in reversed(places[-MAX_PLACES:]):
        end = _object_end(tail, start)
        if end is not None:
            try:
                return _OBJECT.decode(tail[start:end])
            except JSON_FAULTS:
                continue
    return {}


def _object_end(tail: bytes, start: int) -> int | None:
    depth = 0
    for token in _TOKEN.finditer(tail, start):
        if token[0] == b"{":
            depth += 1
        elif token[0] == b"}":
            depth -= 1
            if depth == 0:
                return token.end()
    return None


def _anthropic(fields: dict[str, Any]) -> Usage | None:
    """Anthropic's input buckets are disjoint already; its output includes thinking.

    Newer answers tell how much of the output was thinking. Source: Anthropic API documentation, prompt
    caching and usage (read 2026-11).
    """
    if not fields:
        return None
    output = _count(fields.get("output_tokens"))
    thinking = min(_count(_inner(fields, "output_tokens_details", "thinking_tokens")), output)
    return Usage(
        input=_count(fields.get("input_tokens")),
        cached_input=_count(fields.get("cache_read_input_tokens")),
        cache_write=_count(fields.get("cache_creation_input_tokens")),
        output=output - thinking,
        reasoning=thinking,
    )


def _openai(fields: dict[str, Any]) -> Usage | None:
    """OpenAI's prompt includes what was read from and written to a cache, its completion the reasoning.

    Few tell what was written; who does not, charges nothing extra for it. Some count reasoning beside the
    completion: then the total shows it (Gemini's and xAI's OpenAI-compatible answers). DeepSeek names
    the cached part `prompt_cache_hit_tokens`. Read 2026-11.
    """
    if not fields:
        return None
    get = fields.get
    prompt = _count(get("prompt_tokens"))
    completion = _count(get("completion_tokens"))
    total = _count(get("total_tokens"))
    before, after = get("prompt_tokens_details"), get("completion_tokens_details")
    cached = _count(before.get("cached_tokens")) if isinstance(before, dict) else 0
    cached = cached or _count(get("prompt_cache_hit_tokens"))
    written = _count(before.get("cache_write_tokens")) if isinstance(before, dict) else 0
    reasoning = _count(after.get("reasoning_tokens")) if isinstance(after, dict) else 0
    return parted(prompt, completion, total, cached=cached, written=written, reasoning=reasoning)


def parted(prompt: int, completion: int, total: int, *, cached: int, written: int, reasoning: int) -> Usage:
    """Return overlapping sums as OpenAI tells them (see `_openai`) in disjoint buckets."""
    # No min() and max() here: a call costs ten times as much as a comparison.
    if cached > prompt:  # noqa: PLR1730 -- see above
        cached = prompt
    if written > prompt - cached:  # noqa: PLR1730
        written = prompt - cached
    beside = total - prompt - completion
    output = completion
    if beside > 0:
        if reasoning < beside:  # noqa: PLR1730
            reasoning = beside
    elif reasoning:
        if reasoning > completion:  # noqa: PLR1730
            reasoning = completion
        output -= reasoning
    return Usage(
        input=prompt - cached - written,
        cached_input=cached,
        cache_write=written,
        output=output,
        reasoning=reasoning,
    )


def _responses(fields: dict[str, Any]) -> Usage | None:
    """The Responses API counts as chat does, by other names."""
    names = {
        "input_tokens": "prompt_tokens",
        "output_tokens": "completion_tokens",
        "input_tokens_details": "prompt_tokens_details",
        "output_tokens_details": "completion_tokens_details",
    }
    return _openai({names.get(name, name): value for name, value in fields.items()})


def _gemini(fields: dict[str, Any]) -> Usage | None:
    """Gemini's prompt includes the cached part; thoughts and results of its own tools stand beside the rest.

    Source: Gemini API reference, UsageMetadata (read 2026-11).
    """
    if not fields:
        return None
    prompt = _count(fields.get("promptTokenCount"))
    cached = min(_count(fields.get("cachedContentTokenCount")), prompt)
    return Usage(
        input=prompt - cached + _count(fields.get("toolUsePromptTokenCount")),
        cached_input=cached,
        output=_count(fields.get("candidatesTokenCount")),
        reasoning=_count(fields.get("thoughtsTokenCount")),
    )


def _inner(fields: dict[str, Any], name: str, key: str) -> object:
    inner = fields.get(name)
    return inner.get(key) if isinstance(inner, dict) else None


_READERS: Final = {
    Dialect.OPENAI: _openai,
    Dialect.ANTHROPIC: _anthropic,
    Dialect.RESPONSES: _responses,
    Dialect.GEMINI: _gemini,
}


def _count(value: object) -> int:
    # The exact type: JSON's true is an int as well, to isinstance.
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else 0
