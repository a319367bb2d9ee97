"""Chat completion chunks as Gemini's stream, chunk by chunk.

Gemini sends calls whole, so a call's pieces are held until the call is complete; all else goes on at once.
Joined, the chunks are the answer that `to_gemini_answer` makes. Sources: OpenAI API reference, chat
completion chunks; Gemini API reference, streamGenerateContent (read 2026-11).
"""

from cliproxy_sidecar.core.translate.fields import Object, TranslationError, mapping, objects, text
from cliproxy_sidecar.core.translate.gemini_words import reason_of, signature_of_call, usage_to_gemini
from cliproxy_sidecar.core.translate.to_gemini_answer import call_part, logprobs_to_gemini
from cliproxy_sidecar.core.translate.to_messages_answer import reasoning_of, said_in


class _Choice:
    """What is held of one choice."""

    __slots__ = ("calls", "finish", "refused")

    def __init__(self) -> None:
        self.calls: dict[int, Object] = {}
        """By OpenAI's index: id, name, pieces of arguments, signature."""
        self.finish: object = None
        self.refused = False


class GeminiStream:
    """Chat's chunks in, Gemini's out; the last, with calls, reasons and usage, comes at `finish`.

    Raises:
        TranslationError: from all methods, for a chunk that makes no sense.

    """

    __slots__ = ("_choices", "_tail", "_usage")

    def __init__(self) -> None:
        self._tail: Object = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: object = None

    def feed(self, chunk: Object) -> list[Object]:
        """Return the chunks for one chunk."""
        if chunk.get("usage") is not None:
            self._usage = chunk["usage"]
        given = chunk.get("choices")
        choices = objects([] if given is None else given, "choices")
        if choices and not self._tail:
            self._tail = {
                "modelVersion": text(chunk.get("model"), "model"),
                "responseId": text(chunk.get("id"), "id"),
            }
        found: list[Object] = []
        for place, (field, choice) in enumerate(choices):
            index = choice.get("index")
            number = index if isinstance(index, int) else place
            known = self._choices.setdefault(number, _Choice())
            delta = choice.get("delta")
            parts = self._parts(known, {} if delta is None else mapping(delta, f"{field}.delta"), field)
            known.finish = choice.get("finish_reason") or known.finish
            logprobs = logprobs_to_gemini(choice.get("logprobs"))
            if parts or logprobs is not None:
                candidate: Object = {"content": {"parts": parts, "role": "model"}, "index": number}
                if logprobs is not None:
                    candidate["logprobsResult"] = logprobs
                found.append({"candidates": [candidate], **self._tail})
        return found

    def finish(self) -> list[Object]:
        """Return what ends the answer."""
        if not self._choices:
            raise TranslationError("choices", "the stream is empty")
        candidates = [self._ended(index, known) for index, known in sorted(self._choices.items())]
        return [{"candidates": candidates, "usageMetadata": usage_to_gemini(self._usage), **self._tail}]

    def _ended(self, index: int, known: _Choice) -> Object:
        parts = [
            call_part(
                {"id": call["id"], "name": call["name"], "arguments": "".join(call["pieces"])},
                call["signature"],
                f"tool_calls[{place}]",
                first=number == 0,
            )
            for number, (place, call) in enumerate(sorted(known.calls.items()))
        ]
        reason = "SAFETY" if known.refused else reason_of(known.finish)
        return {"content": {"parts": parts, "role": "model"}, "finishReason": reason, "index": index}

    def _parts(self, known: _Choice, delta: Object, field: str) -> list[Object]:
        parts: list[Object] = []
        thought = reasoning_of(delta)
        if thought:
            parts.append({"text": thought, "thought": True})
        for name in ("content", "refusal"):
            piece = said_in(delta.get(name), f"{field}.delta.{name}")
            if piece:
                known.refused = known.refused or name == "refusal"
                parts.append({"text": piece})
        given = delta.get("tool_calls")
        for name, call in objects([] if given is None else given, f"{field}.delta.tool_calls"):
            self._hold(known, call, name)
        return parts

    def _hold(self, known: _Choice, call: Object, field: str) -> None:
        function = mapping(call.get("function") or {}, f"{field}.function")
        index, sent = call.get("index"), call.get("id")
        if isinstance(index, int) and not isinstance(index, bool):
            place = index
        else:  # Some servers send whole calls without an index: each with an id is a new one.
            place = len(known.calls) if sent else len(known.calls) - 1
        held = known.calls.get(place)
        if held is not None and sent and sent != held["id"]:
            # Gemini's OpenAI endpoint has numbered several calls 0: another id is another call.
            place, held = max(known.calls) + 1, None
        if held is None:
            name = text(function.get("name"), f"{field}.function.name")
            held = {"id": sent, "name": name, "pieces": [], "signature": signature_of_call(call)}
            known.calls[place] = held
        piece = function.get("arguments")
        if piece:
            held["pieces"].append(text(piece, f"{field}.function.arguments"))
