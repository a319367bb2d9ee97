"""What the body of a 2xx says: an answer, a filtered one, an error in disguise, or no answer at all.

Whole bodies come here, and the event that ends a stream; other events are `stream`'s. Never raises.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

import msgspec

from cliproxy_sidecar.core.errorbody import JSON_FAULTS


class Answer(Enum):
    """What a 2xx turned out to be."""

    GOOD = auto()
    FILTERED = auto()
    """The provider's content filter ended or refused it (a 200 in all formats)."""
    ERROR = auto()
    """An error object under a 200, as some OpenAI-like relays send when their own provider fails."""
    GARBAGE = auto()
    """Not JSON: a login page, a load balancer's greeting, a wrong baseURL."""


class _Choice(msgspec.Struct):
    finish_reason: Any = None


class _Candidate(msgspec.Struct):
    finish: Any = msgspec.field(default=None, name="finishReason")


class _Feedback(msgspec.Struct):
    block: Any = msgspec.field(default=None, name="blockReason")


class _Delta(msgspec.Struct):
    """In the event that ends Anthropic's streams."""

    stop_reason: Any = None


class _Body(msgspec.Struct):
    choices: list[_Choice] = []
    candidates: list[_Candidate] = []
    stop_reason: Any = None
    delta: _Delta | None = None
    feedback: _Feedback | None = msgspec.field(default=None, name="promptFeedback")
    error: Any = None


_BODY: Final = msgspec.json.Decoder(_Body)
# As values only: the keys `"refusal":null` and `"content_filter_results"` stand in many good answers.
_TRACE: Final = re.compile(
    rb'"(?:content_filter|refusal|(?:IMAGE_)?(?:SAFETY|PROHIBITED_CONTENT|RECITATION)|BLOCKLIST|SPII)"'
    rb'(?!\s*:)|"blockReason"',
    re.ASCII,
)
GEMINI_FILTER_ENDS: Final = frozenset(
    {
        "SAFETY",
        "PROHIBITED_CONTENT",
        "RECITATION",
        "BLOCKLIST",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    }
)
FILTER_ENDS: Final = frozenset({"content_filter", "refusal"}) | GEMINI_FILTER_ENDS
"""OpenAI and Azure: finish_reason; Anthropic: stop_reason; Gemini: finishReason. Read 2026-11."""
_HEAD_BYTES: Final = 256
"""Where an error object stands if the body is one."""


def read_answer(body: bytes, headers: Mapping[str, str]) -> Answer:
    """Return what the body (or a prefix of it) is; an empty one is good, as streams hand in none."""
    if headers.get("content-type", "").startswith("text/html"):
        return Answer.GARBAGE
    start = body[:_HEAD_BYTES].lstrip()
    if not start or "event-stream" in headers.get("content-type", ""):
        return Answer.GOOD
    if start[:1] not in {b"{", b"["}:
        return Answer.GARBAGE
    # A search first: nearly every answer is spared the parsing.
    if b'"error"' in start or _TRACE.search(body) is not None:
        return _parsed(body)
    return Answer.GOOD


def _parsed(body: bytes) -> Answer:
    try:
        answer = _BODY.decode(body)
    except JSON_FAULTS:
        return Answer.GOOD
    if answer.error and not answer.choices:
        return Answer.ERROR
    ends = [item.finish_reason for item in answer.choices]
    ends += [item.finish for item in answer.candidates]
    ends += [answer.stop_reason, answer.delta.stop_reason if answer.delta is not None else None]
    blocked = answer.feedback is not None and answer.feedback.block is not None
    filtered = blocked or any(isinstance(end, str) and end in FILTER_ENDS for end in ends)
    return Answer.FILTERED if filtered else Answer.GOOD
