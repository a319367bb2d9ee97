"""What an answer says about itself: which model answered, under which id, why it ended.

Short JSON is parsed as far as these three go; of all else, streams above all, `ends` is asked.
"""

from typing import Any, Final

import msgspec

from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.tracing.ends import MAX_REASONS, Ends

MAX_PARSED_BYTES: Final = 16 * 1024
"""Parsing passes over all of an answer; a long one is known by its ends."""
MAX_NAME_CHARS: Final = 128
"""Of a model, of an id."""
MAX_REASON_CHARS: Final = 40
MAX_KNOWN: Final = 1024
"""Words that are remembered as good or bad: few come again and again, but a provider could make them up."""


class Told(msgspec.Struct, frozen=True):
    """What was found; "" and () where nothing was."""

    model: str = ""
    response_id: str = ""
    reasons: tuple[str, ...] = ()


NOTHING: Final = Told()


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Candidate(msgspec.Struct, gc=False):
    finish: str | None = msgspec.field(default=None, name="finishReason")


class _Details(msgspec.Struct, gc=False):
    reason: str | None = None


class _Answer(msgspec.Struct, gc=False):
    """One object of any format; what is missing is of another."""

    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    stop_reason: str | None = None
    incomplete: _Details | None = msgspec.field(default=None, name="incomplete_details")
    response_id: str | None = msgspec.field(default=None, name="responseId")
    version: str | None = msgspec.field(default=None, name="modelVersion")
    candidates: list[_Candidate] | None = None


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class Reader:
    """Reads the answers to one snapshot's requests; a text that holds a key is left out."""

    def __init__(self, secrets: tuple[bytes, ...] = ()) -> None:
        self._secrets = sorted([secret.decode("latin-1") for secret in secrets if secret], key=len)
        self._models: dict[str, str] = {}
        self._reasons: dict[str, tuple[str, ...]] = {}

    def whole(self, body: bytes) -> Told:
        """Return what an answer says that came in one piece. Never raises."""
        if len(body) <= MAX_PARSED_BYTES:
            try:
                seen = _ANSWER.decode(body)
            except JSON_FAULTS:
                pass
            else:
                model = seen.model or seen.version or ""
                known = self._models.get(model)
                response_id = seen.id or seen.response_id or ""
                return Told(
                    self._model(model) if known is None else known,
                    self._clean(response_id) if response_id else "",
                    self._ended(seen),
                )
        ends = Ends()
        ends.take(body)
        return self.by_ends(ends)

    def by_ends(self, ends: Ends) -> Told:
        """Return what an answer says that came in pieces. Never raises."""
        return Told(self._model(ends.model()), self._clean(ends.response_id()), ends.reasons())

    def _ended(self, seen: _Answer) -> tuple[str, ...]:
        choices = seen.choices
        if choices is not None and len(choices) == 1:
            return self._reason(choices[0].finish_reason)
        if choices:
            found = [choice.finish_reason for choice in choices]
        elif seen.candidates:
            found = [candidate.finish for candidate in seen.candidates]
        else:
            found = [seen.stop_reason or (seen.incomplete.reason if seen.incomplete is not None else None)]
        reasons = [reason for one in dict.fromkeys(found) for reason in self._reason(one)]
        return tuple(reasons[:MAX_REASONS])

    def _reason(self, word: str | None) -> tuple[str, ...]:
        """Return a reason as the only one; none if it is no word."""
        if word is None:
            return ()
        known = self._reasons.get(word)
        if known is None:
            good = len(word) <= MAX_REASON_CHARS and word.replace("_", "a").isalpha() and self._clean(word)
            known = (word,) if good else ()
            if _has_room(self._reasons, word):
                self._reasons[word] = known
        return known

    def _model(self, name: str) -> str:
        known = self._models.get(name)
        if known is None:
            known = self._clean(name)
            if _has_room(self._models, name):
                self._models[name] = known
        return known

    def _clean(self, text: str) -> str:
        """Return the text if it may stand in a span, else ""."""
        size = len(text)
        if size > MAX_NAME_CHARS or not text.isascii() or not text.isprintable():
            return ""
        for secret in self._secrets:
            if len(secret) > size:
                break  # So are all that follow.
            if secret in text:
                return ""
        return text


def _has_room(known: dict[str, Any], text: str) -> bool:
    if len(known) >= MAX_KNOWN:
        known.clear()
    return len(text) <= MAX_NAME_CHARS
