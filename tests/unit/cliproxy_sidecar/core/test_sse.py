"""Events out of bytes, and every byte accounted for."""

import pytest

from cliproxy_sidecar.core.sse import Event, SSEParser, SSETooLarge


def parse(data: bytes) -> list[Event]:
    parser = SSEParser()
    events = parser.feed(data)
    rest = parser.finish()
    return events if rest is None else [*events, rest]


@pytest.mark.parametrize(
    ("raw", "name", "data"),
    [
        (b"data: {}\n\n", None, b"{}"),
        (b"data:{}\n\n", None, b"{}"),
        (b"data:  x\n\n", None, b" x"),
        (b"data\n\n", None, b""),
        (b"data: {}\r\n\r\n", None, b"{}"),
        (b"data: {}\r\r", None, b"{}"),
        (b"data: {}\r\n\n", None, b"{}"),
        (b"data: a\ndata: b\n\n", None, b"a\nb"),
        (b"data: a\r\ndata: b\rdata: c\n\n", None, b"a\nb\nc"),
        (b"event: ping\ndata: {}\n\n", "ping", b"{}"),
        (b"event:ping\r\ndata:{}\r\n\r\n", "ping", b"{}"),
        (b"event: a\nevent: b\ndata: x\n\n", "b", b"x"),
        (b"event:\ndata: x\n\n", None, b"x"),
        (b"event: \xff\ndata: x\n\n", "\ufffd", b"x"),
        (b"id: 7\nretry: 3\nfoo: bar\ndata: x\n\n", None, b"x"),
        (b": keep-alive\n\n", None, b""),
        (b": data: no\ndata: yes\n\n", None, b"yes"),
        (b" data: no\n\n", None, b""),
        (b"\xef\xbb\xbfdata: x\n\n", None, b"x"),
        (b"\xef\xbb\xbfevent: a\ndata: x\n\n", "a", b"x"),
        (b"\ndata: x\n\n", None, b"x"),
        (b"data: x: y\n\n", None, b"x: y"),
    ],
)
def test_one_event(raw: bytes, name: str | None, data: bytes) -> None:
    assert parse(raw) == [Event(name, data, raw)]


def test_several_events_come_out_of_one_piece() -> None:
    events = parse(b"data: 1\n\ndata: 2\r\n\r\n\n: x\n\ndata: 3\n\n")
    assert [event.data for event in events] == [b"1", b"2", b"", b"3"]


def test_a_bom_is_one_at_the_start_only() -> None:
    events = parse(b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n")
    assert [event.data for event in events] == [b"1", b""]


def test_what_is_unfinished_waits_for_the_rest() -> None:
    parser = SSEParser()
    assert parser.feed(b"event: a\nda") == []
    assert parser.feed(b"ta: x\n") == []
    assert parser.feed(b"\ndata") == [Event("a", b"x", b"event: a\ndata: x\n\n")]
    assert parser.finish() == Event(None, b"", b"data")
    assert parser.finish() is None


def test_a_stream_may_end_without_its_last_blank_line() -> None:
    parser = SSEParser()
    assert parser.feed(b"data: [DONE]\n") == []
    assert parser.finish() == Event(None, b"[DONE]", b"data: [DONE]\n")


def test_a_line_feed_after_a_carriage_return_belongs_to_it() -> None:
    parser = SSEParser()
    assert parser.feed(b"data: 1\r\n\r") == []
    assert parser.feed(b"\ndata: 2\r\r") == [Event(None, b"1", b"data: 1\r\n\r\n")]
    assert parser.feed(b"x") == [Event(None, b"2", b"data: 2\r\r")]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_endless_event_is_refused_and_nothing_lost(size: int) -> None:
    parser = SSEParser(max_event_bytes=100)
    stream = b"data: 1\n\n" + b"data: " + b"x" * 1000
    passed = b""
    with pytest.raises(SSETooLarge) as caught:  # noqa: PT012 - which piece is too much depends on the cut
        for at in range(0, len(stream), size):
            sent = at + size
            passed += b"".join(event.raw for event in parser.feed(stream[at:sent]))
    passed += b"".join(event.raw for event in caught.value.events) + caught.value.rest
    assert passed == stream[:sent]
    assert "100 bytes" in str(caught.value)


def test_a_complete_event_beyond_the_bound_is_refused_as_well() -> None:
    parser = SSEParser(max_event_bytes=20)
    with pytest.raises(SSETooLarge) as caught:
        parser.feed(b"data: 1\n\ndata: " + b"x" * 20 + b"\n\ndata: 2\n\n")
    assert [event.data for event in caught.value.events] == [b"1"]
    assert caught.value.rest.endswith(b"data: 2\n\n")


def test_the_bound_itself_is_allowed() -> None:
    assert len(SSEParser(max_event_bytes=9).feed(b"data: 1\n\n")) == 1
