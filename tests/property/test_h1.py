"""The reader says the same however the bytes were split, and says nothing undeclared whatever they are."""

import itertools
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.h1 import MAX_HEAD_BYTES, AnswerReader
from cliproxy_sidecar.core.outcome import TransportFault
from support.answers import ANSWERS, read, seen

SEEDS = st.sampled_from(sorted(ANSWERS.values()))


@st.composite
def made_answers(draw: st.DrawFn) -> bytes:
    """Answers put together from parts, mostly good ones."""
    status = draw(st.sampled_from([b"200 OK", b"204 No", b"404", b"429 Too Many", b"529 Overloaded"]))
    names = st.sampled_from([b"content-type", b"x-a", b"Connection", b"Retry-After"])
    values = st.sampled_from([b"a", b"close", b"keep-alive", b"", b"7", b"\xe9"])
    headers = draw(st.lists(st.tuples(names, values), max_size=5))
    body = draw(st.binary(max_size=60))
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    head = b"HTTP/1.1 " + status + b"\r\n" + b"".join(b"%b: %b\r\n" % header for header in headers)
    if draw(st.booleans()):
        return interim + head + b"content-length: %d\r\n\r\n" % len(body) + body
    size = draw(st.integers(1, 9))
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    trailer = draw(st.sampled_from([b"", b"x-t: 1\r\n"]))
    return interim + head + b"transfer-encoding: chunked\r\n\r\n" + framed + b"0\r\n" + trailer + b"\r\n"


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """Answers with a few bytes changed, cut out, doubled or put in."""
    data = bytearray(draw(SEEDS | made_answers())[:4000])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = draw(st.integers(at, min(at + 8, len(data))))
        put_in = draw(
            st.binary(max_size=4)
            | st.sampled_from([b"\r\n", b"\0", b"0", b"\r\n\r\n", b"transfer-encoding: chunked\r\n"])
            | st.just(bytes(data[at:until]) * 2)
        )
        data[at:until] = put_in
    return bytes(data)


def split(choices: st.DataObject, data: bytes) -> list[bytes]:
    """Cut the bytes at random places."""
    cuts = sorted(choices.draw(st.lists(st.integers(0, len(data)), max_size=12)))
    bounds = [0, *cuts, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


@given(data=st.data(), raw=SEEDS | made_answers() | spoilt(), head_only=st.booleans(), ended=st.booleans())
def test_how_the_bytes_were_split_makes_no_difference(
    data: st.DataObject, raw: bytes, *, head_only: bool, ended: bool
) -> None:
    whole = read([raw], head_only=head_only, ended=ended)
    pieces = split(data, raw)
    assert read(pieces, head_only=head_only, ended=ended) == whole
    if len(raw) < 2000:
        assert read([raw[at : at + 1] for at in range(len(raw))], head_only=head_only, ended=ended) == whole


@given(spoilt() | st.binary(max_size=300), st.integers(1, 50))
def test_only_declared_errors_come_out_and_nothing_comes_after_them(raw: bytes, size: int) -> None:
    reader = AnswerReader()
    for at in range(0, len(raw), size):
        before = seen(reader)
        reader.feed(raw[at : at + size])
        after = seen(reader)
        assert after.body.startswith(before.body)
        if before.error is not None or before.complete:
            assert (after.error, after.complete, after.body) == (
                before.error,
                before.complete,
                before.body,
            )
    reader.end()
    assert reader.complete != (reader.error is not None)
    if reader.error is not None:
        assert reader.error.kind in get_args(TransportFault)
    assert sum(len(name) + len(value) for name, value in reader.headers) <= MAX_HEAD_BYTES


@given(st.lists(made_answers(), min_size=2, max_size=4))
def test_a_reader_that_was_used_reads_like_a_new_one(answers: list[bytes]) -> None:
    reader = AnswerReader()
    for raw in answers:
        reader.feed(raw)
        assert seen(reader) == read([raw])
        if not reader.reusable:
            return
        reader.begin()
