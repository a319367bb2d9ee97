"""What a caller says an answer was worth: read, matched to who gave it, counted once.

Knows the requests that `decisions` knows; what is done with a score is `proxy.feedback`'s.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import isfinite
from typing import Final, NamedTuple

import msgspec

from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.decisions import MAX_REQUESTS, Decided, Decisions

EXAMPLE: Final = '{"request_id": "THE ANSWER\'S x-request-id", "score": 0.8}'
MAX_FEEDBACK_BYTES: Final = 4096
_TRIED: Final = 6
"""Length of an attempt's entry in a trail."""


class Feedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v0/feedback`."""

    request_id: str
    """As the answer's `x-request-id` names it."""
    score: float
    """From 0 (useless) to 1 (perfect)."""


@dataclass(frozen=True, slots=True)
class BadFeedback:
    """Why a body is none; the field, if it is one's fault."""

    message: str
    param: str | None = None


class Rated(NamedTuple):
    """Whose answer was rated."""

    provider: str
    model: str


def read_feedback(body: bytes) -> Feedback | BadFeedback:
    """Read a body. Never raises: it comes from a caller."""
    try:
        told = msgspec.json.decode(body, type=Feedback)
    except msgspec.ValidationError as error:
        param = next((name for name in Feedback.__struct_fields__ if name in str(error)), None)
        return BadFeedback(f"{error}; send {EXAMPLE}", param)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadFeedback(f"The body is not JSON ({error}); send {EXAMPLE}")
    if not (isfinite(told.score) and 0 <= told.score <= 1):
        return BadFeedback("score is from 0 (useless) to 1 (perfect)", "score")
    return told


def served_by(decided: Decided) -> Rated | None:
    """Return who gave a request's answer; None if nobody did."""
    model, trail = decided[1], decided[-1]
    for entry in reversed(trail):
        if isinstance(entry, tuple) and len(entry) == _TRIED and entry[2] is OutcomeClass.SUCCESS:
            return Rated(entry[1][0].rpartition("/")[2], model or "")
    return None


class Ratings:
    """Which of the last requests have been rated: once each."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._rated: OrderedDict[str, None] = OrderedDict()

    def rate(self, request_id: str) -> Rated | str:
        """Return whose answer is rated; "unknown", "unanswered" or "rated" if it cannot be."""
        decided = self._decisions.find(request_id)
        if decided is None:
            return "unknown"
        served = served_by(decided)
        if served is None:
            return "unanswered"
        if request_id in self._rated:
            return "rated"
        self._rated[request_id] = None
        while len(self._rated) > MAX_REQUESTS:
            self._rated.popitem(last=False)
        return served
