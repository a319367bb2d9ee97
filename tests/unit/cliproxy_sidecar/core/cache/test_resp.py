"""Redis's replies, whole and cut anywhere; what is none, and what is too large."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.cache.resp import MAX_LINE_BYTES, Refused, Reply, ReplyReader, RespError, command

STREAM = b"+OK\r\n$-1\r\n$5\r\nhe\r\nl\r\n:42\r\n-NOAUTH Authentication required.\r\n$0\r\n\r\n"
REPLIES: list[Reply] = ["OK", None, b"he\r\nl", 42, Refused("NOAUTH Authentication required."), b""]


def test_a_command_counts_its_parts_in_bytes() -> None:
    assert command(b"SET", "é".encode(), b"") == b"*3\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$0\r\n\r\n"


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=8))
def test_replies_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    reader, seen = ReplyReader(max_bulk_bytes=100), []
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in itertools.pairwise(edges):
        seen += reader.feed(STREAM[start:end])
    assert seen == REPLIES


@pytest.mark.parametrize(
    "bad",
    [
        b"*1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"$x\r\n",
        b"$5\r\nhelloXX",
        b"$101\r\n",
        b":1e3\r\n",
        b"$" + b"9" * 30,
    ],
)
def test_what_is_no_reply_ends_it(bad: bytes) -> None:
    with pytest.raises(RespError):
        ReplyReader(max_bulk_bytes=100).feed(bad + b"\r\n")


def test_a_line_without_end_is_bounded() -> None:
    reader = ReplyReader(max_bulk_bytes=100)
    assert reader.feed(b"+" + b"x" * 100) == []
    with pytest.raises(RespError):
        reader.feed(b"x" * MAX_LINE_BYTES)
