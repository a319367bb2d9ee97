"""Fills in what some OpenAI-like servers leave out of an answer, before it is translated.

Ids of answers and of calls and the model's name say nothing about the answer, but other formats want them: an
answer without them is made whole, not thrown away. Arguments of a call that came as an object become its
text. What an answer cannot do without stays the translators' to demand.
Sources: issue threads on servers of open models, and on Gemini's OpenAI-compatible endpoint (read 2026-11).
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from cliproxy_sidecar.core.translate.fields import Object, inner
from cliproxy_sidecar.core.translate.translation import Steps

_encode: Final = msgspec.json.Encoder().encode


def completed(answer: Object, request: Object, created_s: int) -> Object:
    """Return the whole answer, changed in place."""
    _name(answer, request, created_s)
    calls = _Calls(answer["id"])
    for choice in _listed(answer.get("choices")):
        calls.complete(choice, "message")
    return answer


class CompletedSteps:
    """The chunks of a stream, each completed before the steps that it goes through (see `Steps`)."""

    __slots__ = ("_calls", "_created_s", "_request", "_steps")

    def __init__(self, steps: Steps, request: Object, created_s: int) -> None:
        self._steps = steps
        self._request = request
        self._created_s = created_s
        self._calls: _Calls | None = None

    def feed(self, chunk: Object) -> list[Object]:
        """Return what follows from one chunk."""
        _name(chunk, self._request, self._created_s)
        if self._calls is None:
            self._calls = _Calls(chunk["id"])
        for choice in _listed(chunk.get("choices")):
            self._calls.complete(choice, "delta")
        return self._steps.feed(chunk)

    def finish(self) -> list[Object]:
        """Return what follows from the end."""
        return self._steps.finish()


class _Calls:
    """The calls of one answer."""

    __slots__ = ("_answer_id", "_begun")

    def __init__(self, answer_id: str) -> None:
        self._answer_id = answer_id
        self._begun: dict[tuple[int, int], None] = {}
        """Those that have begun, by the numbers of choice and call."""

    def complete(self, choice: Object, part: str) -> None:
        """Complete the calls of one choice."""
        for call in _listed(inner(choice, part, "tool_calls")):
            function = call.get("function")
            if not isinstance(function, dict):
                continue
            if isinstance(function.get("arguments"), dict):
                function["arguments"] = _encode(function["arguments"]).decode()
            of, index = choice.get("index"), call.get("index")
            # Whole calls may come without a number: each is a new one.
            place = (of if isinstance(of, int) else 0, index if isinstance(index, int) else len(self._begun))
            if not call.get("id") and function.get("name") and place not in self._begun:
                call["id"] = f"call_{self._answer_id}_{len(self._begun)}"
            if call.get("id"):
                self._begun[place] = None


def _name(answer: Object, request: Object, created_s: int) -> None:
    if not isinstance(answer.get("id"), str) or not answer["id"]:
        answer["id"] = f"chatcmpl-{created_s}"
    if not isinstance(answer.get("model"), str):
        answer["model"] = str(request.get("model") or "")


def _listed(items: object) -> Iterator[Object]:
    return (item for item in items if isinstance(item, dict)) if isinstance(items, list) else iter(())
