"""Chat completion chunks as Anthropic's stream, chunk by chunk.

Anthropic's blocks follow one another, so a block is closed when something else begins. A call that begins
before the arguments of the one before are whole is held back until they are: some servers write parallel
calls in turns. One that goes back to a closed block makes no sense here. Joined, the events are the message
that `to_messages_answer` makes.
Sources: OpenAI API reference, chat completion chunks; Anthropic API documentation, streaming messages (read
2026-11).
"""

from typing import Final

from cliproxy_sidecar.core.translate.fields import Object, TranslationError, mapping, objects, text
from cliproxy_sidecar.core.translate.gemini_words import SIGNED, signature_of_call
from cliproxy_sidecar.core.translate.reasoning import FOREIGN
from cliproxy_sidecar.core.translate.to_messages_answer import reasoning_of, said_in
from cliproxy_sidecar.core.translate.tools import UNPARSED, id_to_messages, input_of
from cliproxy_sidecar.core.translate.usages import usage_to_messages
from cliproxy_sidecar.core.translate.words import stop_reason

MAX_HELD_CALLS: Final = 128
"""That wait for one to be whole; as many as OpenAI lets callers name tools."""
MAX_HELD_CHARS: Final = 8 * 1024 * 1024
"""Of their pieces. A server that ever comes to an end with the first call's arguments holds back far less."""


class MessagesStream:
    """Chunks in, Anthropic's events out; the end comes at `finish`, since the usage follows the last choice.

    Raises:
        TranslationError: from all methods, for a chunk that makes no sense.

    """

    __slots__ = (
        "_block",
        "_called",
        "_calls",
        "_finish",
        "_held",
        "_held_chars",
        "_next",
        "_refused",
        "_started",
        "_usage",
        "_written",
    )

    def __init__(self) -> None:
        self._started = False
        self._block = ""
        """Type of the open block, empty if none is."""
        self._next = 0
        """Index of the next block; the open one has the index before it."""
        self._calls: dict[int, str] = {}
        """Ids of the calls that were begun, by OpenAI's index; the last is the open one."""
        self._written: list[str] = []
        """Arguments of the open call so far."""
        self._held: dict[int, list[Object]] = {}
        """Pieces of calls that wait for the open one, by OpenAI's index."""
        self._held_chars = 0
        self._called = False
        self._refused = False
        self._finish: object = None
        self._usage: object = None

    def feed(self, chunk: Object) -> list[Object]:
        """Return the events for one chunk."""
        events = [] if self._started else self._start(chunk)
        if chunk.get("usage") is not None:
            self._usage = chunk["usage"]
        choices = chunk.get("choices")
        for field, choice in objects([] if choices is None else choices, "choices"):
            delta = choice.get("delta")
            events += self._delta({} if delta is None else mapping(delta, f"{field}.delta"))
            self._finish = choice.get("finish_reason") or self._finish
        return events

    def finish(self) -> list[Object]:
        """Return what ends the message."""
        if not self._started:
            raise TranslationError("choices", "the stream is empty")
        reason = stop_reason(self._finish, called=self._called, refused=self._refused)
        end = {"stop_reason": reason, "stop_sequence": None}
        held = self._release(whole=False)
        return [
            *held,
            *self._close(),
            {"type": "message_delta", "delta": end, "usage": usage_to_messages(self._usage)},
            {"type": "message_stop"},
        ]

    def _start(self, chunk: Object) -> list[Object]:
        """Return the first event; Azure's first chunk has neither id nor choices, and begins nothing."""
        if not chunk.get("choices"):
            return []
        self._started = True
        message: Object = {
            "id": text(chunk.get("id"), "id"),
            "type": "message",
            "role": "assistant",
            "model": text(chunk.get("model"), "model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_to_messages(None),
        }
        return [{"type": "message_start", "message": message}]

    def _delta(self, delta: Object) -> list[Object]:
        events: list[Object] = []
        thought = reasoning_of(delta)
        if thought:
            events += self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            events.append(self._piece({"type": "thinking_delta", "thinking": thought}))
        for name in ("content", "refusal"):
            piece = said_in(delta.get(name), f"delta.{name}")
            if piece:
                self._refused = self._refused or name == "refusal"
                events += self._open("text", {"type": "text", "text": ""})
                events.append(self._piece({"type": "text_delta", "text": piece}))
        calls = delta.get("tool_calls")
        for field, call in objects([] if calls is None else calls, "delta.tool_calls"):
            events += self._call(call, field)
        return events

    def _call(self, call: Object, field: str) -> list[Object]:
        function = mapping(call.get("function") or {}, f"{field}.function")
        index = call.get("index")
        place = index if isinstance(index, int) else self._unnumbered(call)
        sent = call.get("id")
        if place in self._held:
            return self._hold(place, call, field)
        events: list[Object] = []
        # Gemini has numbered several calls 0: another id is another call, and the end of the one before.
        if place not in self._calls or (sent and sent != self._calls[place]):
            if self._block == "tool_use" and place != next(reversed(self._calls)) and not self._is_whole():
                return self._hold(place, call, field)
            name = text(function.get("name"), f"{field}.function.name")
            self._written = []
            self._calls.pop(place, None)
            self._calls[place] = text(sent, f"{field}.id")
            block = {"type": "tool_use", "id": id_to_messages(sent, f"{field}.id"), "name": name, "input": {}}
            signature = signature_of_call(call)
            if signature:
                events += self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            events += [*self._close(signature), *self._open("tool_use", block)]
            self._called = True
        elif self._block != "tool_use" or place != next(reversed(self._calls)):
            if not function.get("arguments"):
                return []
            raise TranslationError(field, "more arguments for a call that had ended")
        piece = function.get("arguments")
        if piece:
            written = text(piece, f"{field}.function.arguments")
            self._written.append(written)
            events.append(self._piece({"type": "input_json_delta", "partial_json": written}))
            if self._held and written.endswith("}"):
                events += self._release(whole=True)
        return events

    def _hold(self, place: int, call: Object, field: str) -> list[Object]:
        """Keep a piece of a call until the open one is whole."""
        self._held.setdefault(place, []).append(call)
        self._held_chars += len(str(call))
        if self._held_chars > MAX_HELD_CHARS or len(self._held) > MAX_HELD_CALLS:
            raise TranslationError(field, "too much of other calls before the first has all its arguments")
        return []

    def _is_whole(self) -> bool:
        """Whether the open call has all its arguments, as far as they show it."""
        written = "".join(self._written)
        self._written = [written]
        return written.endswith("}") and UNPARSED not in input_of(written, "arguments")

    def _release(self, *, whole: bool) -> list[Object]:
        """Let held calls go on, the first at least: if the open one is `whole`, or in any case."""
        if whole and not self._is_whole():
            return []
        events: list[Object] = []
        while self._held and not (whole and events):
            held, self._held = self._held, {}
            self._held_chars = 0
            events += self._close()
            for call in [call for pieces in held.values() for call in pieces]:
                events += self._call(call, "delta.tool_calls")
        return events

    def _unnumbered(self, call: Object) -> int:
        """Some servers send whole calls without an index: each with an id is a new one."""
        return len(self._calls) if call.get("id") else len(self._calls) - 1

    def _open(self, kind: str, block: Object) -> list[Object]:
        if self._block == kind:
            return []
        events = self._close()
        self._block = kind
        events.append({"type": "content_block_start", "index": self._next, "content_block": block})
        self._next += 1
        return events

    def _piece(self, delta: Object) -> Object:
        return {"type": "content_block_delta", "index": self._next - 1, "delta": delta}

    def _close(self, signature: str = "") -> list[Object]:
        if not self._block:
            return []
        events: list[Object] = []
        if self._block == "thinking":
            written = SIGNED + signature if signature else FOREIGN
            events.append(self._piece({"type": "signature_delta", "signature": written}))
        self._block = ""
        return [*events, {"type": "content_block_stop", "index": self._next - 1}]
