"""Anthropic's stream as the events of an OpenAI response; chat chunks go by way of `to_messages_stream`.

Each block is one output item: added, its pieces, done. What the items are is `responses_answer`'s to say; the
last event repeats them all, as OpenAI's does, so they are kept until then.
Source: OpenAI API reference, responses, streaming events (read 2026-11).
"""

from cliproxy_sidecar.core.translate.fields import Object, TranslationError, inner, mapping, text
from cliproxy_sidecar.core.translate.reasoning import is_thought
from cliproxy_sidecar.core.translate.responses_answer import (
    begin,
    call_item,
    end,
    item_key,
    item_of,
    message_item,
    reasoning_id,
    text_part,
)
from cliproxy_sidecar.core.translate.responses_tools import custom_names
from cliproxy_sidecar.core.translate.tools import input_of


class ResponsesStream:
    """Anthropic's events in, a response's events out; the last comes at `finish`.

    Raises:
        TranslationError: from all methods, for an event that makes no sense.

    """

    __slots__ = (
        "_block",
        "_created_s",
        "_customs",
        "_number",
        "_output",
        "_pieces",
        "_request",
        "_response",
        "_stop",
        "_usage",
    )

    def __init__(self, request: Object, *, created_s: int) -> None:
        self._request = request
        self._created_s = created_s
        self._customs = custom_names(request)
        self._response: Object = {}
        self._number = 0
        self._output: list[Object] = []
        self._block: Object | None = None
        """The open block, if it is to be shown."""
        self._pieces: list[str] = []
        self._stop: object = None
        self._usage: Object = {}

    def feed(self, event: Object) -> list[Object]:
        """Return the events for one event."""
        match event.get("type"):
            case "message_start":
                found = self._start(mapping(event.get("message"), "message"))
            case "content_block_start":
                found = self._open(mapping(event.get("content_block"), "content_block"))
            case "content_block_delta":
                found = self._add(mapping(event.get("delta"), "delta"))
            case "content_block_stop":
                found = self._close()
            case "message_delta":
                self._stop = inner(event, "delta", "stop_reason")
                self._count(event.get("usage"))
                found = []
            case _:
                found = []
        return [self._numbered(item) for item in found]

    def finish(self) -> list[Object]:
        """Return what ends the response."""
        response = end(self._begun(), self._output, self._stop, self._usage)
        return [self._numbered({"type": f"response.{response['status']}", "response": response})]

    def _numbered(self, event: Object) -> Object:
        self._number += 1
        return {**event, "sequence_number": self._number - 1}

    def _begun(self) -> Object:
        if not self._response:
            raise TranslationError("type", "the stream does not begin with message_start")
        return self._response

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None}

    def _start(self, message: Object) -> list[Object]:
        self._response = begin(message, self._request, created_s=self._created_s)
        self._count(message.get("usage"))
        return [
            {"type": "response.created", "response": self._response},
            {"type": "response.in_progress", "response": self._response},
        ]

    # ------------------------------------------------------------------------ items
    @property
    def _key(self) -> str:
        return item_key(self._begun(), len(self._output))

    def _at(self, kind: str, item_id: str, **fields: object) -> Object:
        return {"type": f"response.{kind}", "item_id": item_id, "output_index": len(self._output), **fields}

    def _whole(self, kind: str, item: Object) -> Object:
        return {"type": f"response.output_item.{kind}", "output_index": len(self._output), "item": item}

    def _open(self, block: Object) -> list[Object]:
        self._begun()
        self._block, self._pieces = dict(block), []
        if is_thought(block):
            thought: Object = {"id": reasoning_id(self._key), "type": "reasoning", "summary": []}
            return [self._whole("added", thought)]
        if block.get("type") == "text":
            item = message_item(self._key, [], "in_progress")
            part = self._at("content_part.added", item["id"], content_index=0, part=text_part(""))
            return [self._whole("added", item), part, *self._say(block.get("text"))]
        if block.get("type") == "tool_use":
            call_id = text(block.get("id"), "content_block.id")
            name = text(block.get("name"), "content_block.name")
            item = call_item(call_id, name, "", customs=self._customs, status="in_progress")
            return [self._whole("added", item)]
        self._block = None
        return []

    def _add(self, delta: Object) -> list[Object]:
        block = self._block
        if block is None:
            return []
        match delta.get("type"), block["type"]:
            case "text_delta", "text":
                return self._say(delta.get("text"))
            case "thinking_delta", "thinking":
                return self._reason(text(delta.get("thinking"), "delta.thinking"))
            case "signature_delta", "thinking":
                block["signature"] = text(delta.get("signature"), "delta.signature")
            case "input_json_delta", "tool_use":
                return self._argue(block, text(delta.get("partial_json"), "delta.partial_json"))
            case _:
                pass
        return []

    def _say(self, said: object) -> list[Object]:
        if not said:
            return []
        piece = text(said, "text")
        self._pieces.append(piece)
        item_id = message_item(self._key, [], "")["id"]
        return [self._at("output_text.delta", item_id, content_index=0, delta=piece, logprobs=[])]

    def _reason(self, piece: str) -> list[Object]:
        item_id = reasoning_id(self._key)
        events: list[Object] = []
        if not self._pieces:
            part = {"type": "summary_text", "text": ""}
            events.append(self._at("reasoning_summary_part.added", item_id, summary_index=0, part=part))
        self._pieces.append(piece)
        return [*events, self._at("reasoning_summary_text.delta", item_id, summary_index=0, delta=piece)]

    def _argue(self, block: Object, piece: str) -> list[Object]:
        if not piece:
            return []
        self._pieces.append(piece)
        if block["name"] in self._customs:
            return []  # The text is known when its JSON is whole.
        return [self._at("function_call_arguments.delta", f"fc_{block['id']}", delta=piece)]

    def _close(self) -> list[Object]:
        block, written = self._block, "".join(self._pieces)
        if block is None:
            return []
        self._block = None
        match block["type"]:
            case "text":
                block["text"] = written
            case "thinking":
                block["thinking"] = written
            case "tool_use" if written:
                block["input"] = input_of(written, "delta.partial_json")
            case _:
                pass
        item = item_of(block, "content_block", key=self._key, customs=self._customs)
        if item is None:  # pragma: no cover -- `_open` shows only what has an item
            return []
        if item["type"] == "function_call" and written:
            item["arguments"] = written  # As it was written, to the last space.
        events = [*self._done(item, written), self._whole("done", item)]
        self._output.append(item)
        return events

    def _done(self, item: Object, written: str) -> list[Object]:
        """Return the events that repeat an item's content whole."""
        name = item["id"]
        match item["type"]:
            case "message":
                part = item["content"][0]
                done = self._at("output_text.done", name, content_index=0, text=written, logprobs=[])
                return [done, self._at("content_part.done", name, content_index=0, part=part)]
            case "reasoning" if item["summary"]:
                part = item["summary"][0]
                done = self._at("reasoning_summary_text.done", name, summary_index=0, text=written)
                return [done, self._at("reasoning_summary_part.done", name, summary_index=0, part=part)]
            case "function_call":
                arguments = item["arguments"]
                events = [] if written else [self._at("function_call_arguments.delta", name, delta=arguments)]
                return [*events, self._at("function_call_arguments.done", name, arguments=arguments)]
            case "custom_tool_call":
                given = item["input"]
                delta = self._at("custom_tool_call_input.delta", name, delta=given)
                return [delta, self._at("custom_tool_call_input.done", name, input=given)]
            case _:
                return []
