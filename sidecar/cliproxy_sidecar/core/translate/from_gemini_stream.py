"""Gemini's stream as chat completion chunks: each chunk holds what is new, whole calls among it.

What the pieces are is `from_gemini_answer`'s to say: joined, the chunks are the completion that it would
make. Source: Gemini API reference, streamGenerateContent (read 2026-11).
"""

from typing import Final

from cliproxy_sidecar.core.translate.fields import Object, TranslationError, objects
from cliproxy_sidecar.core.translate.from_gemini_answer import (
    BLOCKED,
    blocked_by,
    call_key,
    call_of,
    completion_id,
    image_of,
    index_of,
    logprobs_of,
    model_of,
    parts_of,
)
from cliproxy_sidecar.core.translate.gemini_words import finish_of, is_withheld, usage_from_gemini

_CHUNK: Final = "chat.completion.chunk"


class _Candidate:
    """What is known of one candidate so far."""

    __slots__ = ("calls", "said")

    def __init__(self) -> None:
        self.calls = 0
        self.said = False


class FromGeminiStream:
    """Gemini's chunks in, chat's out; the last, with the usage, comes at `finish`.

    Raises:
        TranslationError: from all methods, for a chunk that makes no sense.

    """

    __slots__ = ("_candidates", "_created_s", "_first", "_head", "_include_usage", "_request", "_usage")

    def __init__(self, request: Object, *, created_s: int, include_usage: bool) -> None:
        self._request = request
        self._created_s = created_s
        self._include_usage = include_usage
        self._head: Object = {}
        self._first: Object = {}
        """The first chunk: ids of calls go by it, should later ones have another id."""
        self._usage: object = None
        self._candidates: dict[int, _Candidate] = {}

    def feed(self, chunk: Object) -> list[Object]:
        """Return the chunks for one chunk."""
        if not self._head:
            self._start(chunk)
        if chunk.get("usageMetadata") is not None:
            self._usage = chunk["usageMetadata"]
        found: list[Object] = []
        given = chunk.get("candidates")
        for place, (field, candidate) in enumerate(objects([] if given is None else given, "candidates")):
            found += self._candidate(candidate, field, index_of(candidate, place))
        blocked = blocked_by(chunk)
        if blocked is not None and not self._candidates:
            found += self._open(0)
            found.append(self._delta(0, {"refusal": f"{BLOCKED}: {blocked}."}))
            found.append(self._delta(0, {}, finish="content_filter"))
        return found

    def finish(self) -> list[Object]:
        """Return what comes after the answer's end."""
        if not self._candidates:
            raise TranslationError("candidates", "the stream is empty")
        if not self._include_usage:
            return []
        return [{**self._head, "choices": [], "usage": usage_from_gemini(self._usage)}]

    def _start(self, chunk: Object) -> None:
        self._first = {"responseId": chunk.get("responseId")}
        self._head = {
            "id": completion_id(chunk, self._created_s),
            "object": _CHUNK,
            "created": self._created_s,
            "model": model_of(chunk, self._request),
        }

    def _open(self, index: int) -> list[Object]:
        if index in self._candidates:
            return []
        self._candidates[index] = _Candidate()
        return [self._delta(index, {"role": "assistant", "content": "", "refusal": None})]

    def _candidate(self, candidate: Object, field: str, index: int) -> list[Object]:
        found = self._open(index)
        known = self._candidates[index]
        logprobs = logprobs_of(candidate)
        for name, part in parts_of(candidate, field):
            if "functionCall" in part:
                key = call_key(self._first, index, known.calls)
                call = {"index": known.calls, **call_of(part, name, key)}
                known.calls += 1
                found.append(self._delta(index, {"tool_calls": [call]}))
            elif "inlineData" in part:
                found.append(self._delta(index, {"images": [image_of(part, name)]}))
            elif isinstance(part.get("text"), str) and part["text"]:
                thought = part.get("thought") is True
                known.said = known.said or not thought
                text = {"reasoning_content" if thought else "content": part["text"]}
                found.append(self._delta(index, text, logprobs=None if thought else logprobs))
                logprobs = logprobs if thought else None
        reason = candidate.get("finishReason")
        if reason:
            if is_withheld(reason) and not known.said and not known.calls:
                found.append(self._delta(index, {"refusal": f"{BLOCKED}: {reason}."}))
            finish = finish_of(reason, called=known.calls > 0)
            found.append(self._delta(index, {}, finish=finish, logprobs=logprobs))
        return found

    def _delta(
        self, index: int, delta: Object, *, finish: str | None = None, logprobs: Object | None = None
    ) -> Object:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        tail: Object = {"usage": None} if self._include_usage else {}
        return {**self._head, "choices": [choice], **tail}
