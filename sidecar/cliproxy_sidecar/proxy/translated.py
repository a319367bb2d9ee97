"""Attempts at providers of another format than the caller's: answers are translated on their way back.

What is translated into what is `core.translate`'s; sending, judging and pacing are `attempt`'s and `relay`'s,
on the provider's own events.
"""

import contextlib
from collections.abc import Callable
from typing import Final

from cliproxy_api.vocabulary import OutcomeClass, ProviderType
from cliproxy_sidecar.core.dialect import Dialect, Operation
from cliproxy_sidecar.core.errors import ErrorKind
from cliproxy_sidecar.core.headers import Header
from cliproxy_sidecar.core.outcome import TransportError, classify_nonsense, classify_transport
from cliproxy_sidecar.core.sse import Event, SSETooLarge
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.translation import Translation
from cliproxy_sidecar.core.usage import UsageMeter
from cliproxy_sidecar.proxy.attempt import Answer, Attempt, Failed
from cliproxy_sidecar.proxy.downstream import Sink
from cliproxy_sidecar.proxy.refusal import ANTHROPIC_REQUEST_ID, Refusal
from cliproxy_sidecar.proxy.relay import Relay
from cliproxy_sidecar.proxy.upstream import Upstream, UpstreamFailed, UpstreamRequest, UpstreamResponse

MAX_WHOLE_BYTES: Final = 32 * 1024 * 1024
"""Of an answer that is no stream: it is translated as a whole. No chat answer comes near."""
LEFT_OUT: Final = b"\r\nx-cliproxy-left-out: "
MAX_LEFT_OUT_CHARS: Final = 1024
"""Of a header's value; a request can have any number of fields."""
_OF_OTHERS: Final = (b"anthropic-", b"openai-", b"x-goog-")
"""Headers that mean something to one provider only: versions, betas, organisations."""


async def open_translated(
    attempt: Attempt, upstream: Upstream, request: UpstreamRequest, translation: Translation
) -> Answer | Failed:
    """Do as `Attempt.open` does; whole answers and errors come out in the caller's format as well."""
    result = await attempt.open(upstream, request)
    if isinstance(result, Answer):
        return await _answer(attempt, result, translation)
    if result.answer is None:
        return result
    too_long = result.outcome.cls is OutcomeClass.CONTEXT
    told = translation.error(result.answer.status, b"".join(result.answer.held), too_long=too_long)
    result.answer.held = [told]
    return result


async def _answer(attempt: Attempt, answer: Answer, translation: Translation) -> Answer | Failed:
    if answer.parser is not None:
        return answer
    try:
        if not answer.complete:
            await _complete(attempt, answer)
        answer.told = translation.answer(answer.held[0])
    except UpstreamFailed as failure:
        return Failed(attempt.cut(failure, after_headers=True))
    except TranslationError as error:
        return Failed(classify_nonsense(error.field))
    return answer


async def _complete(attempt: Attempt, answer: Answer) -> None:
    """Read the rest of a body that is no stream."""
    response = attempt.response
    if response is None or not answer.held:
        raise TranslationError("content-encoding", "cannot be looked into")
    size = sum(len(chunk) for chunk in answer.held)
    while chunk := await response.read():
        answer.held.append(chunk)
        size += len(chunk)
        if size > MAX_WHOLE_BYTES:
            raise TranslationError("body", "is too large")
    answer.held = [b"".join(answer.held)]
    answer.complete = True


def translated_headers(headers: list[Header]) -> list[Header]:
    """Return a request's headers without those that mean something to one kind of provider only."""
    return [item for item in headers if not item[0].startswith(_OF_OTHERS)]


def told_block(translation: Translation, caller: Dialect, request_id: str) -> bytes:
    """Return the headers that a translation adds: what was left out, the id where SDKs look for it."""
    block = b""
    if translation.left_out:
        named = ", ".join(translation.left_out)[:MAX_LEFT_OUT_CHARS]
        block = LEFT_OUT + "".join(char if " " <= char <= "~" else "?" for char in named).encode()
    if caller is Dialect.ANTHROPIC:
        block += ANTHROPIC_REQUEST_ID % request_id.encode()
    return block


def objection(error: TranslationError, provider_type: ProviderType) -> Refusal:
    """Return the refusal of a request that has no equal at providers of a type."""
    message = f"`{error.field}` cannot be translated for providers of type {provider_type}: {error.message}."
    return Refusal(ErrorKind.UNTRANSLATABLE, message, param=error.field)


class TranslatingRelay(Relay):
    """A relay whose caller reads another format than the provider writes."""

    _passes = False

    __slots__ = ("_stream_translator",)

    def __init__(
        self,
        attempt: Attempt,
        downstream: Sink,
        operation: Operation,
        translation: Translation,
        *,
        request_id: str,
        on_content: Callable[[], None],
    ) -> None:
        super().__init__(attempt, downstream, operation, request_id=request_id, on_content=on_content)
        self._dialect = translation.upstream.dialect
        self.meter = UsageMeter(self._dialect, generates=operation.generates)
        self._stream_translator = translation.stream()

    async def _too_large(self, large: SSETooLarge, _: UpstreamResponse) -> None:
        """End the stream: what is not held cannot be translated."""
        self.outcome = classify_transport(TransportError("protocol", str(large)), after_headers=True)
        with contextlib.suppress(TranslationError):
            await self._downstream.write(self._told(large.events))
        self._downstream.end(self._cut_event())

    def _told(self, events: list[Event]) -> bytes:
        return self._stream_translator.feed(events)

    def _ending(self) -> bytes:
        return self._stream_translator.finish()
