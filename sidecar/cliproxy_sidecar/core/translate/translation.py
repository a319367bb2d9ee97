"""The door: one request's way to a provider of another format, and its answers' way back.

Bytes in, bytes out. What a request's answer looks like may depend on the request, so both are one object.
Which operations go where stands in `pairs`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from cliproxy_sidecar.core.dialect import Dialect, Operation
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.halves import without_halves
from cliproxy_sidecar.core.sse import Event
from cliproxy_sidecar.core.translate.draft import Destination, Draft
from cliproxy_sidecar.core.translate.failures import error_answer, error_event
from cliproxy_sidecar.core.translate.fields import Object, TranslationError, mapping

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


Requesting = Callable[[Object, Destination], Draft]
Answering = Callable[[Object, Object, int], object]
"""The provider's whole answer, the caller's request, the time (Unix seconds) -> the caller's answer."""
Stepping = Callable[[Object, int], Steps]
"""The caller's request and the time -> what translates the stream."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One direction: how the parts of an exchange are translated."""

    upstream: Operation
    """What is asked for at the provider."""
    request: Requesting
    answer: Answering
    steps: Stepping


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
        if self._caller is Dialect.GEMINI:
            return b""  # Google's SDK for JavaScript reads nothing but data.
        return b": keep-alive\n\n"

    def _frames(self, events: list[Object]) -> bytes:
        if self._caller is Dialect.OPENAI or self._caller is Dialect.GEMINI:
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
        mended = without_halves(body)
        if mended is None:
            raise TranslationError(field, "is not valid JSON") from error
        return _read(mended, field)


def _too_deep(field: str) -> TranslationError:
    """What is read just within the decoder's bound may be beyond the encoder's."""
    return TranslationError(field, "is nested too deeply")
