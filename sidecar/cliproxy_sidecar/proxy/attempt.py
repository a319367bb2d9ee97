"""One try at one target: send, read as much of the answer as decides whether it may be relayed, classify.

Ends in `Failed`, or in an `Answer` of which nothing has gone downstream yet. What follows is the exchange's
decision; passing an answer on is `relay`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from cliproxy_api.snapshot import Timeouts
from cliproxy_sidecar.core.dialect import Operation
from cliproxy_sidecar.core.glance import glance
from cliproxy_sidecar.core.halves import without_halves
from cliproxy_sidecar.core.headers import answer_block
from cliproxy_sidecar.core.outcome import (
    CANCELLED,
    MAX_BODY_BYTES,
    SUCCESS,
    Outcome,
    Response,
    TransportError,
    classify_response,
    classify_stream_error,
    classify_transport,
)
from cliproxy_sidecar.core.sse import Event, SSEParser, SSETooLarge
from cliproxy_sidecar.core.stream import ContentKind, content_kind
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.core.usage import Usage
from cliproxy_sidecar.proxy.upstream import (
    RawHeaders,
    Upstream,
    UpstreamFailed,
    UpstreamRequest,
    UpstreamResponse,
)
from cliproxy_sidecar.runtime.clock import utc_now

MAX_HELD_BYTES: Final = 1024 * 1024
"""Of a body that is no stream, before the first byte goes downstream: a cut below that can still fail over.
Chat answers are far below, large batches of embeddings above."""
MAX_HELD_STREAM_BYTES: Final = 256 * 1024
_MAX_SINGLE: Final = 4
"""Events at a stream's begin that are looked at one by one: behind the first content the relay is quicker."""
MAX_HELD_EVENTS: Final = 1000
"""Of a stream before its first content: some providers send keep-alives for as long as they think."""

_DECODER: Final = msgspec.json.Decoder(msgspec.Raw)


# A Struct, not a dataclass: one is made per request.
class Answer(msgspec.Struct):
    """A provider's answer that may be relayed; nothing of it has gone downstream."""

    status: int
    headers: RawHeaders
    held: list[bytes]
    """What has been read of the body."""
    complete: bool
    """The held bytes are all."""
    parser: SSEParser | None = None
    """It is a stream of events; the parser has been fed with what is held."""
    events: list[Event] = []
    """The held bytes as events."""
    rest: bytes = b""
    """What came with them and has not been looked at, nor been fed to the parser."""
    outcome: Outcome = SUCCESS
    """So far."""
    usage: Usage | None = None
    """What it has used, where one look was enough to tell."""
    block: bytes = b""
    """The headers that go downstream, where they have been worked out."""
    told: bytes | None = None
    """The whole body in the caller's format, where that is another than the provider's."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt is over; `answer` is the provider's word in full, if it may be passed on to the caller."""

    outcome: Outcome
    answer: Answer | None = None


class Attempt:
    """One try. `response` stays open after an `Answer` until `close`."""

    __slots__ = ("_budget_s", "_clamped", "_operation", "_type", "response", "target")

    def __init__(self, target: Target, operation: Operation, *, budget_s: float) -> None:
        self.target = target
        self._type = target.provider.type
        self._operation = operation
        self._budget_s = budget_s
        self._clamped = budget_s < target.provider.timeouts.total_s
        self.response: UpstreamResponse | None = None

    async def open(self, upstream: Upstream, request: UpstreamRequest) -> Answer | Failed:
        """Send the request and read until the answer can be judged. Never raises but for cancellation."""
        try:
            self.response = response = await upstream.send(request, self._timeouts())
            if 200 <= response.status < 300:  # noqa: PLR2004 -- success
                block = answer_block(response.headers)
                if block.find(_JSON) >= 0 and block.find(_CODED) < 0:
                    body = response.whole(MAX_HELD_BYTES)
                    if body is not None:
                        return self._judge(response, body, block)
                content_type, encoding = _content(response.headers)
                if encoding not in (b"", b"identity"):
                    # Compressed although we asked for none: what cannot be looked into passes as it is.
                    return Answer(response.status, response.headers, [], complete=False)
                if content_type.startswith(b"text/event-stream"):
                    return await self._peek(response, await response.read())
                held = await self._collect(response)
                return self._judge(response, held, block) if isinstance(held, bytes) else held
            return await self._error(response)
        except UpstreamFailed as failure:
            return Failed(self.cut(failure, after_headers=self.response is not None))

    def cut(self, failure: UpstreamFailed, *, after_headers: bool) -> Outcome:
        """Classify a failure; running into the request's own deadline is not the provider's fault."""
        if failure.error.kind == "total_timeout" and self._clamped:
            return CANCELLED
        return classify_transport(failure.error, after_headers=after_headers)

    def classify_event(self, event: Event) -> Outcome:
        """Classify an error event of a stream."""
        return classify_stream_error(self._type, event.data, now_utc=utc_now())

    def close(self) -> None:
        """Let go of the connection."""
        if self.response is not None:
            self.response.close()
            self.response = None

    def _timeouts(self) -> Timeouts:
        timeouts = self.target.provider.timeouts
        return msgspec.structs.replace(timeouts, total_s=self._budget_s) if self._clamped else timeouts

    def _judge(self, response: UpstreamResponse, body: bytes, block: bytes) -> Answer | Failed:
        """Look at a whole body that is no stream."""
        usage = glance(self._operation.dialect, body)
        if usage is not None:
            return Answer(response.status, response.headers, [body], complete=True, usage=usage, block=block)
        try:
            _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            mended = without_halves(body)
            if mended is None:
                return Failed(_not_json(response.status))
            return self._judge(response, mended, block)
        seen = Response(response.status, _NO_HEADERS, body)
        outcome = classify_response(self._type, seen, now_utc=utc_now(), operation=self._operation)
        answer = Answer(response.status, response.headers, [body], complete=True, outcome=outcome)
        # Some gateways put their error into a 200; what cools a scope is no answer, whatever the status says.
        return Failed(outcome, answer) if outcome.scope_kind is not None else answer

    async def _collect(self, response: UpstreamResponse) -> bytes | Answer | Failed:
        """Return the whole body, or what else is to be done with one that is not held."""
        held: list[bytes] = []
        size = 0
        while chunk := await response.read():
            if not held and chunk.startswith(_EVENTS):
                return await self._peek(response, chunk)
            held.append(chunk)
            size += len(chunk)
            if size > MAX_HELD_BYTES:
                if held[0].lstrip()[:1] not in (b"{", b"["):
                    return Failed(_not_json(response.status))
                return Answer(response.status, response.headers, held, complete=False)
        return held[0] if len(held) == 1 else b"".join(held)

    async def _peek(self, response: UpstreamResponse, chunk: bytes) -> Answer | Failed:
        """Read a stream, of which this came first, up to its first content, an error, or the bounds."""
        parser = SSEParser()
        answer = Answer(response.status, response.headers, [], complete=False, parser=parser)
        size = singles = 0
        while chunk:
            size += len(chunk)
            while chunk:
                rest, end = b"", chunk.find(b"\n\n") + 2
                if singles < _MAX_SINGLE and 1 < end < len(chunk):
                    chunk, rest = chunk[:end], chunk[end:]
                    singles += 1
                result = self._look_at(answer, parser, chunk, rest)
                if result is not None:
                    return result
                chunk = rest
            if size > MAX_HELD_STREAM_BYTES or len(answer.events) > MAX_HELD_EVENTS:
                return answer
            chunk = await response.read()
        # It ended in good order, but there was no answer in it.
        return Failed(classify_transport(TransportError("reset", "the stream was empty"), after_headers=True))

    def _look_at(
        self, answer: Answer, parser: SSEParser, chunk: bytes, rest: bytes
    ) -> Answer | Failed | None:
        """Look for the first content in a piece of a stream, behind which comes `rest`; None: read on."""
        try:
            events = parser.feed(chunk)
        except SSETooLarge as large:
            answer.parser = None
            answer.held += [*(event.raw for event in large.events), large.rest, rest]
            return answer
        for position, event in enumerate(events):
            match content_kind(self._operation.dialect, event):
                case ContentKind.ERROR:
                    return Failed(self.classify_event(event))
                case ContentKind.CONTENT | ContentKind.DONE:
                    answer.events += events[position:]
                    answer.rest = rest
                    return answer
                case ContentKind.PREAMBLE:
                    answer.events.append(event)
        return None

    async def _error(self, response: UpstreamResponse) -> Failed:
        """Read a refusal and classify it."""
        if 300 <= response.status < 400:  # noqa: PLR2004 -- redirection
            return Failed(classify_transport(TransportError("redirect", f"status {response.status}")))
        body, whole = bytearray(), True
        try:
            while chunk := await response.read():
                body += chunk
                if len(body) > MAX_HELD_BYTES:
                    whole = False
                    break
        except UpstreamFailed:
            whole = False  # The status alone says enough.
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
        }
        prefix = bytes(body[:MAX_BODY_BYTES])
        seen = Response(response.status, headers, prefix)
        outcome = classify_response(self._type, seen, now_utc=utc_now(), operation=self._operation)
        held = Answer(response.status, response.headers, [bytes(body)], complete=True) if whole else None
        return Failed(outcome, held)


_JSON: Final = b"\r\ncontent-type: application/json"
_EVENTS: Final = (b"data:", b"event:", b": ", b"\xef\xbb\xbfdata:")
"""How a stream of events begins that does not call itself one: small servers of open models name no type, or
that of plain text, and OpenAI's SDKs do not ask."""
_CODED: Final = b"\r\ncontent-encoding: "
_NO_HEADERS: Final[Mapping[str, str]] = {}


def _not_json(status: int) -> Outcome:
    outcome = classify_transport(TransportError("protocol", "not JSON"))
    return Outcome(
        outcome.cls,
        scope_kind=outcome.scope_kind,
        retry=outcome.retry,
        status=status,
        code="not_json",
        reason="the answer is neither JSON nor a stream of events",
    )


def _content(headers: RawHeaders) -> tuple[bytes, bytes]:
    """Return the body's type and coding in lower case; of a repeated header the first."""
    content_type = encoding = None
    for name, value in headers:
        size = len(name)
        if size == 12:  # noqa: PLR2004 -- the name's length, looked at for each header
            if content_type is None and name.lower() == b"content-type":
                content_type = value.lower()
        elif size == 16 and encoding is None and name.lower() == b"content-encoding":  # noqa: PLR2004
            encoding = value.lower()
    return content_type or b"", encoding or b""
