"""What counts as an answer, where it ends, and what may follow on its connection."""

import pytest

from cliproxy_sidecar.core.h1 import MAX_HEAD_BYTES, MAX_HEADER_LINE_BYTES, MAX_HEADERS, AnswerReader
from support.answers import ANSWERS, CHUNKED, OK, length_answer, read, seen


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("length", 200, b'{"id":1}'),
        ("no body", 200, b""),
        ("chunked", 200, b"abc\r\n\r\n"),
        ("chunks with extensions", 200, b"abc"),
        ("trailers", 200, b"abc"),
        ("old and kept", 200, b"{}"),
        ("no content", 204, b""),
        ("not modified", 304, b""),
        ("continue", 200, b"{}"),
        ("early hints", 200, b"{}"),
        ("empty lines behind", 200, b"{}"),
    ],
)
def test_good_answers_leave_the_connection_usable(name: str, status: int, body: bytes) -> None:
    answer = read([ANSWERS[name]])
    assert (answer.status, answer.body, answer.error) == (status, body, None)
    assert answer.complete
    assert answer.reusable


@pytest.mark.parametrize("name", ["two", "rubbish behind", "rubbish behind chunks", "last one"])
def test_an_answer_can_be_good_and_its_connection_not(name: str) -> None:
    answer = read([ANSWERS[name]])
    assert answer.complete
    assert answer.error is None
    assert answer.body in (b"{}", b"abc")
    assert not answer.reusable


@pytest.mark.parametrize("name", ["until close", "old"])
def test_without_a_length_the_end_of_the_connection_is_the_end_of_the_body(name: str) -> None:
    assert not read([ANSWERS[name]]).complete
    answer = read([ANSWERS[name]], ended=True)
    assert (answer.body, answer.complete, answer.reusable) == (b"hello", True, False)


def test_headers_are_kept_as_they_came_and_interim_ones_dropped() -> None:
    answer = read([ANSWERS["length"]])
    assert answer.headers == (
        (b"content-type", b"application/json"),
        (b"X-A", b"b"),
        (b"content-length", b"8"),
    )
    assert read([ANSWERS["early hints"]]).headers == ((b"content-length", b"2"),)
    assert read([OK + b"a:\r\na: \xff\r\ncontent-length: 0\r\n\r\n"]).headers[:2] == (
        (b"a", b""),
        (b"a", b"\xff"),
    )


REFUSED = {
    "both length and coding": ANSWERS["both"],
    "coding, then length": OK + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
    "lengths that differ": ANSWERS["two lengths"],
    "a length said twice": OK + b"content-length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": OK + b"content-length: 2, 2\r\n\r\n{}",
    "a signed length": OK + b"content-length: +2\r\n\r\n{}",
    "a negative length": OK + b"content-length: -2\r\n\r\n{}",
    "a length beyond 64 bits": OK + b"content-length: 99999999999999999999\r\n\r\n{}",
    "no length": OK + b"content-length:\r\n\r\n{}",
    "another coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding twice": OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding after chunked": OK + b"transfer-encoding: chunked, gzip\r\n\r\n",
    "an unknown coding": OK + b"transfer-encoding: xchunked\r\n\r\n",
    "a folded line": ANSWERS["folded"],
    "NUL": OK + b"a: b\0c\r\ncontent-length: 0\r\n\r\n",
    "a bare CR": OK + b"a: b\rc\r\ncontent-length: 0\r\n\r\n",
    "bare LFs": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "a space before the colon": OK + b"content-length : 0\r\n\r\n",
    "a header without a name": OK + b": b\r\n\r\n",
    "a bad chunk size": CHUNKED + b"zz\r\n",
    "a negative chunk": CHUNKED + b"-2\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\n",
    "a chunk longer than it says": ANSWERS["chunk too long"],
    "another protocol agreed on": ANSWERS["switching"],
    "status 101 alone": b"HTTP/1.1 101 Switching\r\n\r\n",
    "status 042": b"HTTP/1.1 042 What\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/9.9": b"HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n",
    "no HTTP": ANSWERS["other protocol"],
    "a length among the trailers": CHUNKED + b"0\r\ncontent-length: 5\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(name: str) -> None:
    answer = read([REFUSED[name]])
    assert answer.error == "protocol"
    assert not answer.complete
    assert not answer.reusable


@pytest.mark.parametrize("cut", range(1, len(ANSWERS["trailers"]) - 1))
def test_an_early_end_is_a_reset_wherever_it_comes(cut: int) -> None:
    answer = read([ANSWERS["trailers"][:cut]], ended=True)
    assert answer.error == "reset"
    assert b"abc".startswith(answer.body)


def test_an_end_before_any_byte_is_told_apart() -> None:
    reader = AnswerReader()
    assert reader.silent
    reader.end()
    assert reader.error is not None
    assert "without an answer" in reader.error.message
    reader = AnswerReader()
    reader.feed(b"H")
    assert not reader.silent


def test_a_break_counts_unless_the_answer_is_over_or_was_bad_before() -> None:
    reader = AnswerReader()
    reader.feed(length_answer())
    reader.cut("late")
    assert reader.error is None
    reader = AnswerReader()
    reader.feed(b"rubbish\r\n")
    reader.cut("late")
    reader.end()
    reader.feed(length_answer())
    assert reader.error is not None
    assert reader.error.kind == "protocol"


# ------------------------------------------------------------------------ HEAD
def test_an_answer_to_head_has_no_body_whatever_it_declares() -> None:
    reader = AnswerReader()
    for _ in range(2):
        reader.begin(head_only=True)
        reader.feed(OK + b"content-length: 5\r\n\r\n")
        assert reader.complete
        assert reader.reusable
    reader.begin()
    reader.feed(length_answer())
    assert seen(reader).body == b"{}"


@pytest.mark.parametrize(
    "rest", [b"content-length: 5\r\n\r\nhello", b"transfer-encoding: chunked\r\n\r\n", b"\r\n", b"\r\nhello"]
)
def test_after_an_odd_answer_to_head_the_connection_is_not_used(rest: bytes) -> None:
    answer = read([OK + rest], head_only=True)
    assert answer.complete
    assert answer.body == b""
    assert not answer.reusable


# ---------------------------------------------------------------------- bounds
def test_the_number_of_headers_is_bounded() -> None:
    def answer(count: int) -> bytes:
        return OK + b"a: b\r\n" * (count - 1) + b"content-length: 0\r\n\r\n"

    assert read([answer(MAX_HEADERS)]).complete
    assert read([answer(MAX_HEADERS + 1)]).error == "too_many_headers"


def test_the_length_of_a_header_is_bounded() -> None:
    def answer(size: int) -> bytes:
        return OK + b"a: " + b"b" * (size - 1) + b"\r\ncontent-length: 0\r\n\r\n"

    assert read([answer(MAX_HEADER_LINE_BYTES)]).complete
    assert read([answer(MAX_HEADER_LINE_BYTES + 1)]).error == "too_many_headers"


@pytest.mark.parametrize("piece", [1 << 20, 16 * 1024, 777])
def test_the_head_is_bounded_to_the_byte_however_it_arrives(piece: int) -> None:
    def pieces(size: int) -> list[bytes]:
        interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        fill = size - len(interim) - len(OK) - len(b"content-length: 5\r\n\r\n")
        lines, rest = divmod(fill, 1000)
        padding = b"".join(b"a: %b\r\n" % (b"b" * (1000 - 5)) for _ in range(lines - 1))
        padding += b"a: %b\r\n" % (b" " * (1000 + rest - 5))
        data = interim + OK + padding + b"content-length: 5\r\n\r\nhello"
        assert data.index(b"hello") == size
        return [data[at : at + piece] for at in range(0, len(data), piece)]

    assert read(pieces(MAX_HEAD_BYTES)).body == b"hello"
    assert read(pieces(MAX_HEAD_BYTES + 1)).error == "too_many_headers"


def test_interim_answers_without_end_are_bounded() -> None:
    reader = AnswerReader()
    fed = 0
    while reader.error is None and fed < 10 * MAX_HEAD_BYTES:
        reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
        fed += 25
    assert reader.error is not None
    assert reader.error.kind == "too_many_headers"
    assert fed <= MAX_HEAD_BYTES + 25


@pytest.mark.parametrize("piece", [1 << 20, 1000])
@pytest.mark.parametrize(
    "rest",
    [
        b"0\r\n" + b"a: b\r\n" * (MAX_HEADERS + 2),
        b"0\r\n" + (b"a: %b\r\n" % (b"b" * 9000)) * 9,
        b"0\r\na: " + b"b" * (MAX_HEAD_BYTES + 1),
        b"1;" + b"b" * (MAX_HEAD_BYTES + 1),
    ],
    ids=["many trailers", "large trailers", "a long trailer", "a long extension"],
)
def test_what_surrounds_the_body_is_bounded(rest: bytes, piece: int) -> None:
    reader = AnswerReader()
    reader.feed(CHUNKED)
    for at in range(0, len(rest), piece):
        reader.feed(rest[at : at + piece])
    assert reader.error is not None
    assert reader.error.kind == "protocol"
