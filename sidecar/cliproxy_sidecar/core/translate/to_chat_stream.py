"""Anthropic's stream as chat completion chunks, event by event.

What the pieces are is `to_chat_answer`'s to say: joined, the chunks are the completion it would make.
Thoughts are collected whole, because their signature comes last; all else goes on at once.
Sources: Anthropic API documentation, streaming messages; OpenAI API reference, chat completion chunks (read
2026-11).
"""

from typing import Final

from cliproxy_sidecar.core.translate.fields import Object, TranslationError, inner, mapping, text
from cliproxy_sidecar.core.translate.reasoning import is_thought
from cliproxy_sidecar.core.translate.tools import arguments_of
from cliproxy_sidecar.core.translate.usages import usage_to_chat
from cliproxy_sidecar.core.translate.words import finish_reason

_CHUNK: Final = "chat.completion.chunk"


class ChatStream:
    """Anthropic's events in, chat completion chunks out; the last, with the usage, comes at `finish`.

    Raises:
        TranslationError: from all methods, for an event that makes no sense.

    """

    __slots__ = ("_calls", "_created_s", "_head", "_include_usage", "_thoughts", "_usage")

    def __init__(self, *, created_s: int, include_usage: bool) -> None:
        self._created_s = created_s
        self._include_usage = include_usage
        self._head: Object = {}
        self._usage: Object = {}
        self._calls: dict[int, _OpenCall] = {}
        """By the index of their blocks."""
        self._thoughts: dict[int, Object] = {}

    def feed(self, event: Object) -> list[Object]:
        """Return the chunks for one event."""
        match event.get("type"):
            case "message_start":
                return self._start(mapping(event.get("message"), "message"))
            case "content_block_start":
                return self._open(_index(event), mapping(event.get("content_block"), "content_block"))
            case "content_block_delta":
                return self._add(_index(event), mapping(event.get("delta"), "delta"))
            case "content_block_stop":
                return self._close(_index(event))
            case "message_delta":
                return self._end(event)
            case _:
                return []

    def finish(self) -> list[Object]:
        """Return what comes after the answer's end."""
        if not self._include_usage:
            return []
        return [self._chunk([], usage_to_chat(self._usage))]

    def _start(self, message: Object) -> list[Object]:
        name, model = text(message.get("id"), "message.id"), text(message.get("model"), "message.model")
        self._head = {"id": name, "object": _CHUNK, "created": self._created_s, "model": model}
        self._count(message.get("usage"))
        return self._delta({"role": "assistant", "content": "", "refusal": None})

    def _open(self, index: int, block: Object) -> list[Object]:
        if is_thought(block):
            self._thoughts[index] = {"index": len(self._thoughts), **block}
            return self._reason(block.get("thinking"))
        match block.get("type"):
            case "text":
                return self._say(block.get("text"))
            case "tool_use":
                call = self._calls[index] = _OpenCall(len(self._calls), block.get("input"))
                function = {"name": text(block.get("name"), "content_block.name"), "arguments": ""}
                opened = {"id": text(block.get("id"), "content_block.id"), "type": "function"}
                return self._delta({"tool_calls": [{"index": call.place, **opened, "function": function}]})
            case _:
                return []

    def _add(self, index: int, delta: Object) -> list[Object]:
        match delta.get("type"):
            case "text_delta":
                return self._say(delta.get("text"))
            case "input_json_delta" if index in self._calls:
                call, piece = self._calls[index], text(delta.get("partial_json"), "delta.partial_json")
                call.has_arguments = call.has_arguments or bool(piece)
                return self._argue(call, piece) if piece else []
            case "thinking_delta" if index in self._thoughts:
                thought, piece = self._thoughts[index], text(delta.get("thinking"), "delta.thinking")
                thought["thinking"] = str(thought.get("thinking", "")) + piece
                return self._reason(piece)
            case "signature_delta" if index in self._thoughts:
                thought = self._thoughts[index]
                piece = text(delta.get("signature"), "delta.signature")
                thought["signature"] = str(thought.get("signature", "")) + piece
                return []
            case _:
                return []

    def _close(self, index: int) -> list[Object]:
        call = self._calls.get(index)
        if call is not None and not call.has_arguments:
            return self._argue(call, arguments_of(call.given, "content_block.input"))
        thought = self._thoughts.get(index)
        return self._delta({"thinking_blocks": [thought]}) if thought is not None else []

    def _end(self, event: Object) -> list[Object]:
        self._count(event.get("usage"))
        reason = finish_reason(inner(event, "delta", "stop_reason"))
        return [self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}], None)]

    def _say(self, piece: object) -> list[Object]:
        return self._delta({"content": text(piece, "text")}) if piece else []

    def _reason(self, piece: object) -> list[Object]:
        return self._delta({"reasoning_content": text(piece, "thinking")}) if piece else []

    def _argue(self, call: "_OpenCall", piece: str) -> list[Object]:
        return self._delta({"tool_calls": [{"index": call.place, "function": {"arguments": piece}}]})

    def _delta(self, delta: Object) -> list[Object]:
        return [self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}], None)]

    def _chunk(self, choices: list[Object], usage: Object | None) -> Object:
        if not self._head:
            raise TranslationError("type", "the stream does not begin with message_start")
        tail: Object = {"usage": usage} if self._include_usage else {}
        return {**self._head, "choices": choices, **tail}

    def _count(self, usage: object) -> None:
        """Later figures replace earlier ones; the first event has the input's, the last the output's."""
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None}


class _OpenCall:
    """One tool call under way."""

    __slots__ = ("given", "has_arguments", "place")

    def __init__(self, place: int, given: object) -> None:
        self.place = place
        """Among the calls."""
        self.given = {} if given is None else given
        """What the block began with; only some Anthropic-like servers send anything here."""
        self.has_arguments = False


def _index(event: Object) -> int:
    index = event.get("index")
    if isinstance(index, int) and not isinstance(index, bool):
        return index
    raise TranslationError("index", "must be a whole number")
