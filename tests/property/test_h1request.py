"""The server's reader says the same however the bytes were split, and nothing undeclared comes out of it."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.h1request import MAX_HEAD_BYTES, Fault, RequestReader

Seen = tuple[
    list[tuple[str, str, bytes, list[tuple[bytes, bytes]], bytes, bool, bool, bool, bool]], Fault | None
]


@st.composite
def made_requests(draw: st.DrawFn) -> bytes:
    """A few requests put together from parts, mostly good ones."""
    made = []
    for _ in range(draw(st.integers(1, 3))):
        line = draw(
            st.sampled_from(
                [
                    b"POST /v1/a?x=1 HTTP/1.1",
                    b"GET /%61 HTTP/1.1",
                    b"PUT / HTTP/1.0",
                    b"POST http://h/p HTTP/1.1",
                ]
            )
        )
        names = st.sampled_from(
            [b"Content-Type", b"x-a", b"Connection", b"Proxy-Connection", b"Expect", b"Upgrade"]
        )
        values = st.sampled_from([b"a", b"close", b"keep-alive", b"", b"100-continue", b"\xe9", b"upgrade"])
        headers = draw(st.lists(st.tuples(names, values), max_size=4))
        body = draw(st.binary(max_size=40))
        head = line + b"\r\n" + b"".join(b"%b: %b\r\n" % header for header in headers)
        if draw(st.booleans()):
            made.append(head + b"content-length: %d\r\n\r\n" % len(body) + body)
            continue
        size = draw(st.integers(1, 9))
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        made.append(head + b"transfer-encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n")
    return b"".join(made)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """Requests with a few bytes changed, cut out or put in."""
    data = bytearray(draw(made_requests()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = draw(st.integers(at, min(at + 8, len(data))))
        data[at:until] = draw(st.binary(max_size=4) | st.sampled_from([b"\r\n", b"\0", b"\r\n\r\n"]))
    return bytes(data)


def read(pieces: list[bytes]) -> Seen:
    """Return all that a reader makes of these pieces."""
    reader = RequestReader()
    for piece in pieces:
        reader.feed(piece)
    seen = [
        (
            request.method,
            request.path,
            request.query,
            request.headers,
            request.body(),
            request.complete,
            request.keep_alive,
            request.old,
            request.expects_continue,
        )
        for request in reader.heads
    ]
    return seen, reader.fault


@given(data=st.data(), raw=made_requests() | spoilt() | st.binary(max_size=200))
def test_how_the_bytes_were_split_makes_no_difference(data: st.DataObject, raw: bytes) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    pieces = [raw[start:end] for start, end in itertools.pairwise([0, *cuts, len(raw)])]
    whole = read([raw])
    assert read(pieces) == whole
    assert read([raw[at : at + 1] for at in range(len(raw))]) == whole


@given(st.integers(0, 100), st.lists(st.binary(min_size=1, max_size=30), max_size=10))
def test_no_more_of_a_body_is_kept_than_is_wanted(bound: int, pieces: list[bytes]) -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % sum(map(len, pieces)))
    (request,) = reader.heads
    request.bound(bound)
    for piece in pieces:
        reader.feed(piece)
        assert sum(map(len, request.parts)) <= bound
    sent = b"".join(pieces)
    assert request.complete
    assert request.is_too_large == (len(sent) > bound)
    assert request.body() == (b"" if len(sent) > bound else sent)


def test_a_head_is_bounded_to_the_byte_whatever_it_consists_of() -> None:
    for filler in (b"x-a: b\r\n", b"x" * 50):
        reader = RequestReader()
        reader.feed(b"GET / HTTP/1.1\r\n")
        fed = 0
        while reader.fault is None and fed < 2 * MAX_HEAD_BYTES:
            reader.feed(filler)
            fed += len(filler)
        assert reader.fault is Fault.HEAD_TOO_LARGE
        assert fed <= MAX_HEAD_BYTES + len(filler)


@given(st.sampled_from([b"", b"connection", b"Connection", b"Proxy-Connection", b"x-request-id"]))
def test_version_1_0_is_known_whatever_else_the_head_says(name: bytes) -> None:
    reader = RequestReader()
    reader.feed(b"GET / HTTP/1.0\r\n" + (name + b": keep-alive\r\n" if name else b"") + b"\r\n")
    request = reader.heads.popleft()
    assert request.old
    assert not request.keep_alive


LINES = (
    b"content-type: application/json",
    b"Connection: keep-alive",
    b"x-a: content-length: 3",
    b"x-request-id: q",
)


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Requests of one client, whose heads are mostly the same, each as it comes."""
    heads = draw(st.lists(st.lists(st.sampled_from(LINES), max_size=3), min_size=1, max_size=2))
    name = draw(st.sampled_from([b"content-length", b"Content-Length", b"CONTENT-LENGTH"]))
    space = draw(st.sampled_from([b" ", b"", b"  "]))
    said = []
    for _ in range(draw(st.integers(2, 6))):
        lines = [*draw(st.sampled_from(heads))]
        body = draw(st.binary(max_size=12) | st.sampled_from([b"POST / HTTP/1.1\r\n\r\n", b"\r\n"]))
        length = b"%d" % len(body)
        value = draw(
            st.sampled_from([length, length, length, b"0" + length, b"%d" % (len(body) + 1), length + b" "])
        )
        lines.insert(draw(st.integers(0, len(lines))), name + b":" + space + value)
        said.append(b"POST /v1/a HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body)
    return said


@given(said=conversations(), tail=st.binary(max_size=4))
def test_heads_that_come_again_are_read_as_the_parser_reads_them(said: list[bytes], tail: bytes) -> None:
    said[-1] += tail
    raw = b"".join(said)
    assert read(said) == read([raw[at : at + 1] for at in range(len(raw))])


def test_a_head_that_comes_again_is_known_whatever_its_length() -> None:
    reader = RequestReader()
    heads = []
    for body in (b"{}", b"{}", b'{"longer": "body"}', b""):
        reader.feed(
            b"POST /v1/a?b HTTP/1.1\r\nhost: h\r\nContent-Length: %d\r\na: b\r\n\r\n%b" % (len(body), body)
        )
        request = reader.heads.popleft()
        assert (request.path, request.query, request.complete) == ("/v1/a", b"b", True)
        assert request.headers == [(b"host", b"h"), (b"content-length", b"%d" % len(body)), (b"a", b"b")]
        assert (request.body_bytes, request.body()) == (len(body), body)
        heads.append(request.head)
    assert heads[0] is None
    assert heads[1] is not None
    assert heads[1] is heads[2] is heads[3]


def test_heads_that_never_come_again_are_not_kept_for_ever() -> None:
    reader = RequestReader()
    for number in range(40):
        reader.feed(b"POST / HTTP/1.1\r\nx-n: %d\r\ncontent-length: 1\r\n\r\nx" % number)
        assert reader.heads.popleft().head is None
    for _ in range(2):
        reader.feed(b"POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\nx")
        assert reader.heads.popleft().head is None
