"""The door: which operations go to which providers in another format, and one request's way there and back.

Bytes in, bytes out. What a request's answer looks like may depend on the request, so both are one object.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import CHAT, MESSAGES, RESPONSES, TRANSLATABLE, Dialect, Operation, serves
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.sse import Event
from cliproxy_sidecar.core.translate.draft import Destination, Draft
from cliproxy_sidecar.core.translate.failures import error_answer, error_event
from cliproxy_sidecar.core.translate.fields import Object, TranslationError, inner, mapping
from cliproxy_sidecar.core.translate.reasoning import without_foreign_thoughts
from cliproxy_sidecar.core.translate.responses_answer import message_to_response
from cliproxy_sidecar.core.translate.responses_input import without_foreign_reasoning
from cliproxy_sidecar.core.translate.responses_request import responses_to_chat, responses_to_messages
from cliproxy_sidecar.core.translate.responses_stream import ResponsesStream
from cliproxy_sidecar.core.translate.to_chat_answer import answer_to_chat
from cliproxy_sidecar.core.translate.to_chat_request import request_to_chat
from cliproxy_sidecar.core.translate.to_chat_stream import ChatStream
from cliproxy_sidecar.core.translate.to_messages_answer import answer_to_messages
from cliproxy_sidecar.core.translate.to_messages_request import request_to_messages
from cliproxy_sidecar.core.translate.to_messages_stream import MessagesStream

_DONE: Final = b"[DONE]"
_ENDS: Final = "message_stop"
_encode: Final = msgspec.json.Encoder().encode


class Steps(Protocol):
    """One direction of a stream: the provider's events in, the caller's out, as objects."""

    def feed(self, event: Object) -> list[Object]:
        """Return the events that follow from one."""
        ...

    def finish(self) -> list[Object]:
        """Return what follows from the end."""
        ...


@dataclass(frozen=True, slots=True)
class Pair:
    """One direction: how the parts of an exchange are translated."""

    upstream: Operation
    """What is asked for at the provider."""
    request: Callable[[Object, Destination], Draft]
    answer: Callable[[Object, Object, int], Object]
    """The provider's whole answer, the caller's request, the time (Unix seconds) -> the caller's answer."""
    steps: Callable[[Object, int], Steps]
    """The caller's request and the time -> what translates the stream."""


class Translation:
    """One request put into a provider's format, and what its answers are in the caller's.

    `body` is for the provider; `left_out` names the fields that were not passed on, because they only say how
    to serve.

    Raises:
        TranslationError: from the constructor: the request has no equal there.

    """

    __slots__ = ("_caller", "_created_s", "_pair", "_request", "body", "left_out")

    def __init__(
        self, pair: Pair, caller: Dialect, body: bytes, destination: Destination, *, created_s: int
    ) -> None:
        self._pair = pair
        self._caller = caller
        self._created_s = created_s
        self._request = _read(body)
        try:
            draft = pair.request(self._request, destination)
            self.body = _encode(draft.body)
        except RecursionError as error:
            raise _too_deep("body") from error
        self.left_out = tuple(draft.left_out)

    @property
    def upstream(self) -> Operation:
        """What is asked for at the provider."""
        return self._pair.upstream

    def answer(self, body: bytes) -> bytes:
        """Return a whole answer in the caller's format.

        Raises:
            TranslationError: the provider's answer is not what it should be.

        """
        try:
            return _encode(self._pair.answer(_read(body), self._request, self._created_s))
        except RecursionError as error:
            raise _too_deep("body") from error

    def error(self, status: int, body: bytes, *, too_long: bool) -> bytes:
        """Return the body of an error answer in the caller's format; never raises."""
        return error_answer(self._caller, status, body, too_long=too_long)

    def stream(self) -> "StreamTranslator":
        """Return what translates a stream of events."""
        return StreamTranslator(self._caller, self._pair.steps(self._request, self._created_s))


class StreamTranslator:
    """The provider's events in, bytes for the caller out.

    Raises:
        TranslationError: from all methods: the provider's stream is not what it should be.

    """

    __slots__ = ("_caller", "_ended", "_steps")

    def __init__(self, caller: Dialect, steps: Steps) -> None:
        self._caller = caller
        self._steps = steps
        self._ended = False

    def feed(self, events: list[Event]) -> bytes:
        """Return what the caller is sent for these events; nothing after an error or the end."""
        try:
            return b"".join([self._one(event) for event in events if not self._ended])
        except RecursionError as error:
            raise _too_deep("event") from error

    def finish(self) -> bytes:
        """Return what is still to be sent when the provider's stream has ended well; once."""
        if self._ended:
            return b""
        self._ended = True
        tail = b"data: [DONE]\n\n" if self._caller is Dialect.OPENAI else b""
        return self._frames(self._steps.finish()) + tail

    def _one(self, event: Event) -> bytes:
        if not event.data:
            return self._keep_alive()
        if event.data == _DONE:
            return self.finish()
        data = _read(event.data, "event")
        kind = data.get("type")
        if kind == "ping":
            return self._keep_alive()
        if _is_error(event, data):
            self._ended = True
            return self._frames([error_event(self._caller, data)])
        out = self._frames(self._steps.feed(data))
        return out + self.finish() if kind == _ENDS else out

    def _keep_alive(self) -> bytes:
        """Providers send these while they think, so that nobody gives up waiting."""
        if self._caller is Dialect.ANTHROPIC:
            return b'event: ping\ndata: {"type":"ping"}\n\n'
        return b": keep-alive\n\n"

    def _frames(self, events: list[Object]) -> bytes:
        if self._caller is Dialect.OPENAI:
            return b"".join([b"data: " + _encode(event) + b"\n\n" for event in events])
        return b"".join(
            [
                b"event: " + str(event["type"]).encode() + b"\ndata: " + _encode(event) + b"\n\n"
                for event in events
            ]
        )


def _is_error(event: Event, data: Object) -> bool:
    return event.event == "error" or data.get("type") == "error" or bool(data.get("error"))


def _read(body: bytes, field: str = "body") -> Object:
    try:
        return mapping(msgspec.json.decode(body), field)
    except TranslationError:
        raise
    except JSON_FAULTS as error:
        raise TranslationError(field, "is not valid JSON") from error


def _too_deep(field: str) -> TranslationError:
    """What is read just within the decoder's bound may be beyond the encoder's."""
    return TranslationError(field, "is nested too deeply")


def _wants_usage(request: Object) -> bool:
    return inner(request, "stream_options", "include_usage") is True


_CHAT_TO_MESSAGES: Final = Pair(
    MESSAGES,
    request_to_messages,
    lambda answer, _, created_s: answer_to_chat(answer, created_s=created_s),
    lambda request, created_s: ChatStream(created_s=created_s, include_usage=_wants_usage(request)),
)
_MESSAGES_TO_CHAT: Final = Pair(
    CHAT,
    request_to_chat,
    lambda answer, _, __: answer_to_messages(answer),
    lambda _, __: MessagesStream(),
)


class _Chain:
    """Two directions, one after the other."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Steps, second: Steps) -> None:
        self._first = first
        self._second = second

    def feed(self, event: Object) -> list[Object]:
        return self._on(self._first.feed(event))

    def finish(self) -> list[Object]:
        return self._on(self._first.finish()) + self._second.finish()

    def _on(self, events: list[Object]) -> list[Object]:
        return [found for event in events for found in self._second.feed(event)]


_RESPONSES_TO_MESSAGES: Final = Pair(
    MESSAGES,
    responses_to_messages,
    lambda answer, request, created_s: message_to_response(answer, request, created_s=created_s),
    lambda request, created_s: ResponsesStream(request, created_s=created_s),
)
_RESPONSES_TO_CHAT: Final = Pair(
    CHAT,
    responses_to_chat,
    lambda answer, request, created_s: message_to_response(
        answer_to_messages(answer), request, created_s=created_s
    ),
    lambda request, created_s: _Chain(MessagesStream(), ResponsesStream(request, created_s=created_s)),
)


_PAIRS: Final = {
    (Dialect.OPENAI, True): _CHAT_TO_MESSAGES,
    (Dialect.ANTHROPIC, False): _MESSAGES_TO_CHAT,
    (Dialect.RESPONSES, True): _RESPONSES_TO_MESSAGES,
    (Dialect.RESPONSES, False): _RESPONSES_TO_CHAT,
}
"""By the caller's dialect and whether the provider is Anthropic."""


def pair_for(operation: Operation, provider_type: ProviderType) -> Pair | None:
    """Return how an operation is put to providers of this type; None: as it is, or not at all."""
    if operation not in TRANSLATABLE or serves(provider_type, operation.dialect):
        return None
    return _PAIRS[operation.dialect, provider_type is ProviderType.ANTHROPIC]


def untouched(operation: Operation, body: bytes) -> bytes:
    """Return the body for a provider of the caller's own format, byte for byte.

    Only thoughts that another provider had earlier in the conversation are taken out.
    """
    if operation is MESSAGES:
        return without_foreign_thoughts(body)
    return without_foreign_reasoning(body) if operation is RESPONSES else body
