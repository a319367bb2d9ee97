"""However a stream is cut, the same events come out, and every byte of it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.sse import Event, SSEParser
from cliproxy_sidecar.core.stream import ContentKind, content_kind, plain_events
from cliproxy_sidecar.core.usage import UsageMeter
from cliproxy_sidecar.proxy import relay

LINES = st.sampled_from(
    [
        b"data: x",
        b"data:y",
        b"data",
        b"event: ping",
        b"event:",
        b": note",
        b"id: 1",
        b"",
        b"\xef\xbb\xbf",
        b"\xff",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.lists(st.tuples(LINES, ENDS), max_size=30).map(lambda lines: b"".join(a + b for a, b in lines))


def parse(pieces: list[bytes]) -> list[Event]:
    parser = SSEParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    rest = parser.finish()
    return events if rest is None else [*events, rest]


@given(st.one_of(STREAMS, st.binary(max_size=200)), st.lists(st.integers(0, 200), max_size=10))
def test_split_anywhere_is_whole(stream: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:stop] for start, stop in pairwise(bounds)]
    whole = parse([stream])
    assert parse(pieces) == whole
    assert parse([stream[at : at + 1] for at in range(len(stream))]) == whole
    assert b"".join(event.raw for event in whole) == stream


@given(st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.binary(max_size=20)), max_size=10), ENDS)
def test_what_was_sent_comes_out(sent: list[tuple[str | None, bytes]], end: bytes) -> None:
    sent = [(name, data.replace(b"\r", b"").replace(b"\n", b"")) for name, data in sent]
    stream = b"".join(
        (b"" if name is None else b"event: " + name.encode() + end) + b"data: " + data + end + end
        for name, data in sent
    )
    assert [(event.event, event.data) for event in parse([stream])] == sent


PIECES = st.sampled_from(
    [
        b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"a"},"finish_reason": null}],"usage": null}\n\n',
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices":[{"delta":{},"finish_reason" : "stop"}]}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n',
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
        b'data: {"error":{"message":"no"}}\n\n',
        b"data: [DONE]\n\n",
        b": ping\n\n",
        b'data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}\n\n',
        b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n',
        b"data: a\r\n\r\n",
        b"data: half",
        b"event: x\n",
    ]
)


@given(st.lists(PIECES, min_size=1, max_size=4).map(b"".join), st.sampled_from(Dialect))
def test_a_chunk_that_is_passed_unread_has_nothing_to_read(chunk: bytes, dialect: Dialect) -> None:
    count = plain_events(chunk)
    if not count:
        return
    parser = SSEParser()
    events = parser.feed(chunk)
    assert parser.between_events
    assert len(events) == count
    assert b"".join(event.raw for event in events) == chunk
    meter, passed = UsageMeter(dialect), UsageMeter(dialect)
    for event in events:
        assert content_kind(dialect, event) in (ContentKind.CONTENT, ContentKind.PREAMBLE)
        assert not relay.seals(event)
        assert not relay.gives_reason(event)
        meter.feed_event(event)
    passed.pass_events(count)
    assert meter.result() == passed.result()


def test_usual_chunks_are_passed_unread() -> None:
    token = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}],"usage":null}\n\n'
    assert plain_events(token * 3) == 3
    assert plain_events(b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n') == 1
