"""However a stream is cut, the same events come out, and every byte of it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.sse import Event, SSEParser

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
