"""A sidecar's answers, whole and byte by byte, good and bad."""

from __future__ import annotations

import pytest

from cliproxy_operator.wire.answers import MAX_BARREN_BYTES, AnswerError, AnswerReader

PUSH = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{"digest":""}'
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def fed(*pieces: bytes) -> AnswerReader:
    reader = AnswerReader()
    for piece in pieces:
        reader.feed(piece)
    return reader


@pytest.mark.parametrize(
    "split", [[PUSH], [PUSH[at : at + 1] for at in range(len(PUSH))]], ids=["whole", "bytes"]
)
def test_a_whole_answer(split: list[bytes]) -> None:
    reader = fed(*split)

    assert (reader.status, bytes(reader.body)) == (200, b'{"digest":""}')
    assert reader.complete
    assert reader.keep_alive


def test_a_connection_serves_one_answer_after_the_other() -> None:
    reader = fed(PUSH)
    reader.begin()
    assert (reader.status, reader.body, reader.complete, reader.silent) == (0, b"", False, True)

    reader.feed(PUSH.replace(b"200", b"409"))
    assert (reader.status, reader.complete) == (409, True)


def test_an_answer_that_ends_the_connection_says_so() -> None:
    assert not fed(PUSH.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n")).keep_alive


def test_lines_come_out_whole_however_they_were_cut() -> None:
    stream = STREAM + chunk(b"one\ntw") + chunk(b"o\n\nthr") + chunk(b"ee\nrest")
    for size in (1, 7, len(stream)):
        reader, lines = AnswerReader(), []
        for at in range(0, len(stream), size):
            reader.feed(stream[at : at + size])
            lines += reader.lines()

        assert lines == [b"one", b"two", b"three"]
        assert reader.body == b"rest"
        assert not reader.complete


def test_the_end_of_a_stream_is_seen() -> None:
    reader = fed(STREAM, chunk(b"last\n"), b"0\r\n\r\n")

    assert reader.complete
    assert reader.lines() == [b"last"]


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 twohundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello",
        STREAM + b"not-hex\r\n",
        PUSH + b"surplus",
        PUSH + PUSH,
        b"\x16\x03\x03\x00\x7a",
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(AnswerError):
        fed(data)


def test_a_second_answer_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(AnswerError, match="belong to no answer"):
        fed(PUSH, b"HTTP")


@pytest.mark.parametrize(
    ("head", "more"),
    [(b"HTTP/1.1 200 OK\r\n", b"x-header: value\r\n"), (STREAM + b"5;", b"extension=" * 100)],
    ids=["head", "chunk extension"],
)
def test_what_never_gets_to_the_point_is_given_up(head: bytes, more: bytes) -> None:
    reader = fed(head)
    with pytest.raises(AnswerError):
        feed_on(reader, more)


def feed_on(reader: AnswerReader, more: bytes) -> None:
    for _ in range(MAX_BARREN_BYTES):
        reader.feed(more)


def test_silence_is_told_from_the_first_byte() -> None:
    reader = AnswerReader()
    assert reader.silent
    reader.feed(b"H")
    assert not reader.silent
