"""Passes a provider's answer on, byte for byte, in the caller's pace, counting tokens as they go by.

It begins when the exchange has committed itself to an answer, so there is no way back from here: a cut is
told to the caller (an error event in a stream, a broken connection otherwise) and to the machines by the
outcome.
"""

import re
from collections.abc import Callable
from typing import ClassVar, Final

from cliproxy_sidecar.core.asked_usage import is_answer_to_us
from cliproxy_sidecar.core.dialect import Operation
from cliproxy_sidecar.core.errors import ErrorKind, error_event
from cliproxy_sidecar.core.h1request import length_of
from cliproxy_sidecar.core.headers import answer_block
from cliproxy_sidecar.core.likeness import PlainChunks
from cliproxy_sidecar.core.outcome import (
    SUCCESS,
    Outcome,
    TransportError,
    classify_end,
    classify_nonsense,
    classify_transport,
)
from cliproxy_sidecar.core.sse import Event, SSEParser, SSETooLarge
from cliproxy_sidecar.core.stream import ContentKind, content_kind, goes_on, named
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.usage import UsageMeter
from cliproxy_sidecar.proxy.attempt import Answer, Attempt
from cliproxy_sidecar.proxy.downstream import Sink
from cliproxy_sidecar.proxy.upstream import RawHeaders, UpstreamFailed, UpstreamResponse

_NO_END: Final = TransportError("reset", "the stream has no end")
_DONE: Final = b"[DONE]"
_ENDS: Final = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})
"""Names of events. One of these signs, or else a reason, stands in every stream that is complete. A text may
hold their words as well: a model that writes of streams is not at its end."""
_REASON: Final = re.compile(rb'(?:(?:finish|stop)_r|(?:finish|block)R)eason"\s*:\s*"[^"]')
_BEFORE_EASON: Final = len(b"finish_r")


class BrokenAnswer(Exception):
    """The answer broke off after it had begun; the caller's connection must be broken off too."""


class Relay:
    """One answer on its way to one caller; `outcome` and `meter` may be read at any time."""

    _passes: ClassVar = True
    """What the provider writes is what the caller reads."""

    __slots__ = (
        "_attempt",
        "_caller",
        "_dialect",
        "_downstream",
        "_end",
        "_ended",
        "_failed",
        "_hides_usage",
        "_on_content",
        "_request_id",
        "_sealed",
        "meter",
        "outcome",
    )

    def __init__(
        self,
        attempt: Attempt,
        downstream: Sink,
        operation: Operation,
        *,
        request_id: str,
        on_content: Callable[[], None],
        hides_usage: bool = False,
    ) -> None:
        """`hides_usage`: the caller has not asked for the chunk that tells it."""
        self._attempt = attempt
        self._downstream = downstream
        self._dialect = self._caller = operation.dialect
        self._request_id = request_id
        self._on_content = on_content
        self._hides_usage = hides_usage
        self._ended = False
        """The provider has said that the stream is complete, as far as one can tell from a reason."""
        self._sealed = False
        """It has said so in a word that nothing follows."""
        self._end = SUCCESS
        """What it has said about it."""
        self._failed: Outcome | None = None
        """What it has said went wrong."""
        self.meter = UsageMeter(operation.dialect, generates=operation.generates)
        self.outcome: Outcome | None = None
        """Set as soon as it is known."""

    async def run(self, answer: Answer, own_block: bytes) -> None:
        """Relay the whole answer, with our own headers.

        Raises:
            BrokenAnswer: it broke off and the caller can be told only by breaking off.

        """
        response = self._attempt.response
        block = answer_block(answer.headers) + own_block
        if answer.complete or response is None:
            self._whole(answer, block)
        elif answer.parser is not None:
            await self._stream(answer, answer.parser, response, block)
        else:
            await self._body(answer, response, block)

    def _whole(self, answer: Answer, block: bytes) -> None:
        body = answer.held[0] if answer.held else b""
        self.meter.feed(body)
        if answer.told is not None:
            body = answer.told
        self.outcome = answer.outcome
        self._downstream.begin(answer.status, block, len(body))
        self._downstream.end(body)

    async def _body(self, answer: Answer, response: UpstreamResponse, block: bytes) -> None:
        self._downstream.begin(answer.status, block, declared_length(answer.headers))
        if not answer.held:
            await self._downstream.write(b"")
        for chunk in answer.held:
            self.meter.feed(chunk)
            await self._downstream.write(chunk)
        answer.held.clear()
        await self._rest(response)
        self.outcome = answer.outcome
        self._downstream.end()

    async def _rest(self, response: UpstreamResponse) -> None:
        """Pass on what is left of a body that is not looked into."""
        try:
            while chunk := await response.read():
                self.meter.feed(chunk)
                await self._downstream.write(chunk)
        except UpstreamFailed as failure:
            self.outcome = self._attempt.cut(failure, after_headers=True)
            raise BrokenAnswer(failure.error.message) from None

    async def _stream(
        self, answer: Answer, parser: SSEParser, response: UpstreamResponse, block: bytes
    ) -> None:
        self._downstream.begin(answer.status, block)  # Of no length: an error event may come on top.
        self.outcome = None
        tail = b""
        try:
            rest = await self._pass_events(answer, parser, response)
            if rest is not None:
                self._look_at([rest])
                tail = self._told([rest])
            if self._failed is None and self._ended:
                tail += self._ending()
        except SSETooLarge as large:
            await self._too_large(large, response)
            self.outcome = self._failed or self.outcome or answer.outcome
            return
        except TranslationError as error:
            self._break_off(classify_nonsense(error.field))
            return
        except UpstreamFailed as failure:
            self._break_off(self._attempt.cut(failure, after_headers=True))
            return
        if self._failed is None and not self._ended:
            # The connection ended in good order, as it does when its end is all that marks the body's.
            self._failed = classify_transport(_NO_END, after_headers=True)
            tail = self._cut_event()
        self.outcome = self._failed or self._end
        self._downstream.end(tail)

    def _break_off(self, cut: Outcome) -> None:
        """End a stream that is cut; a provider that has told why has told the caller, too."""
        self.outcome = self._failed or cut
        self._downstream.end(b"" if self._failed is not None else self._cut_event())

    async def _pass_events(
        self, answer: Answer, parser: SSEParser, response: UpstreamResponse
    ) -> Event | None:
        """Pass on all events; return what stands unfinished at the end.

        What breaks behind the stream's own end (a last chunk that is missing, a connection that stays open)
        takes nothing from the answer.
        """
        events, answer.events = answer.events, []
        unread, answer.rest = answer.rest, b""
        content, plain = False, PlainChunks()
        try:
            while True:
                if events:
                    if not content:
                        content = True
                        self._on_content()
                    self._look_at(events)
                    await self._downstream.write(self._told(events))
                chunk = unread or await response.read()
                unread = b""
                # Behind a mere reason each event is looked at: another choice may go on.
                if self._passes and content and (self._sealed or not self._ended) and parser.between_events:
                    chunk = await self._pass_plain(chunk, response, plain)
                if not chunk:
                    return parser.finish()
                events = parser.feed(chunk)
        except UpstreamFailed:
            if self._failed is not None or not self._ended:
                raise
            return None

    async def _pass_plain(self, chunk: bytes, response: UpstreamResponse, plain: PlainChunks) -> bytes:
        """Pass chunks on as long as they are nothing but content; return the first that is not."""
        downstream, meter = self._downstream, self.meter
        while count := plain.count(chunk):
            meter.pass_events(count)
            await downstream.write(chunk)
            chunk = await response.read()
        return chunk

    async def _too_large(self, large: SSETooLarge, response: UpstreamResponse) -> None:
        """Pass on what cannot be held as an event, and all that follows, without looking into it."""
        await self._downstream.write(b"".join([*(event.raw for event in large.events), large.rest]))
        await self._rest(response)
        self._downstream.end()

    def _told(self, events: list[Event]) -> bytes:
        """Return what the caller is sent for these events.

        Raises:
            TranslationError: nothing can be made of them.

        """
        if self._hides_usage:
            return b"".join([event.raw for event in events if not is_answer_to_us(event)])
        return b"".join([event.raw for event in events])

    def _ending(self) -> bytes:
        """Return what the caller is sent after a complete stream.

        Raises:
            TranslationError: it was none.

        """
        return b""

    def _cut_event(self) -> bytes:
        """Return what tells the caller that the stream is cut; a part of an unfinished event is dropped."""
        message = "The provider's stream broke off before its end."
        return error_event(self._caller, ErrorKind.UPSTREAM_FAILED, message, request_id=self._request_id)

    def _look_at(self, events: list[Event]) -> None:
        """Count tokens; note the end, and an error event among them."""
        for event in events:
            self.meter.feed_event(event)
            if not self._sealed:
                self._look_for_end(event)
            # A word's look before the parsing: nearly no event of a running stream is an error.
            if event.raw.find(b"error") >= 0 and content_kind(self._dialect, event) is ContentKind.ERROR:
                self._failed = self._attempt.classify_event(event)

    def _look_for_end(self, event: Event) -> None:
        if seals(event):
            self._ended = self._sealed = True
        elif gives_reason(event):
            self._ended = not goes_on(self._dialect, event)
        else:
            # Of several choices each has a reason of its own.
            if self._ended and goes_on(self._dialect, event):
                self._ended = False
            return
        if self._end is SUCCESS:
            self._end = classify_end(event.data)


def seals(event: Event) -> bool:
    """Return whether an event is its stream's last word, and be quick about those that are not."""
    raw = event.raw
    if raw.find(_DONE) >= 0 and event.data.strip() == _DONE:
        return True
    return (raw.find(b"message_stop") >= 0 or raw.find(b"response.") >= 0) and named(event) in _ENDS


def gives_reason(event: Event) -> bool:
    """Return whether an event says why a choice has ended, and be quick about those that do not."""
    raw = event.raw
    # The quotation marks of a text have a backslash before them.
    at = raw.find(b'eason"')
    return at >= 0 and _REASON.search(raw, max(at - _BEFORE_EASON, 0)) is not None


def declared_length(headers: RawHeaders) -> int | None:
    """Return the length that an answer's head declares; None: it does not."""
    for name, value in headers:
        if name.lower() == b"content-length" and value.isdigit():
            return length_of(value)
    return None
