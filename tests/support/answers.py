"""Raw HTTP answers for the reader's tests, and what the reader made of one."""

from collections.abc import Iterable
from dataclasses import dataclass

from cliproxy_sidecar.core.h1 import AnswerReader

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Seen:
    """One answer as the reader saw it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    complete: bool
    error: str | None
    reusable: bool


def read(pieces: Iterable[bytes], *, head_only: bool = False, ended: bool = False) -> Seen:
    """Feed the pieces to a new reader; `ended`: then the provider closes in good order."""
    reader = AnswerReader()
    reader.begin(head_only=head_only)
    for piece in pieces:
        reader.feed(piece)
    if ended:
        reader.end()
    return seen(reader)


def seen(reader: AnswerReader) -> Seen:
    """Return the reader's fields; headers only of a head that is complete."""
    body = b"".join(reader.body)
    assert len(body) == reader.body_bytes
    return Seen(
        reader.status,
        tuple(reader.headers) if reader.status else (),
        body,
        reader.complete,
        None if reader.error is None else reader.error.kind,
        reader.reusable,
    )


def length_answer(body: bytes = b"{}", extra: bytes = b"") -> bytes:
    """Return a plain answer with a length."""
    return OK + extra + b"content-length: %d\r\n\r\n" % len(body) + body


# Every kind of answer the reader can meet; seeds of the properties and of the fuzzing.
ANSWERS: dict[str, bytes] = {
    "length": length_answer(b'{"id":1}', b"content-type: application/json\r\nX-A: b\r\n"),
    "no body": length_answer(b""),
    "chunked": CHUNKED + b"3\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n",
    "chunks with extensions": CHUNKED + b"3;a=b\r\nabc\r\n0;c\r\n\r\n",
    "trailers": CHUNKED + b"3\r\nabc\r\n0\r\nx-checksum: 1\r\nx-b: 2\r\n\r\n",
    "until close": OK + b"content-type: text/plain\r\n\r\nhello",
    "old": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "old and kept": b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\n{}",
    "last one": length_answer(b"{}", b"connection: close\r\n"),
    "no content": b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 12\r\n\r\n",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + length_answer(),
    "early hints": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\ncontent-length: 9\r\n\r\n" + length_answer(),
    "two": length_answer() + length_answer(),
    "rubbish behind": length_answer() + b"<html>",
    "empty lines behind": length_answer() + b"\r\n\r\n",
    "rubbish behind chunks": CHUNKED + b"3\r\nabc\r\n0\r\n\r\nrubbish",
    "both": OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    "bad chunk": CHUNKED + b"3\r\nabc\r\nzz\r\nabc\r\n0\r\n\r\n",
    "chunk too long": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "folded": OK + b"a: b\r\n c\r\ncontent-length: 0\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "other protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "large head": OK + b"".join(b"x-%d: %b\r\n" % (i, b"v" * 900) for i in range(80)) + b"\r\n",
    "many headers": OK + b"a: b\r\n" * 201 + b"content-length: 0\r\n\r\n",
    "long header": OK + b"a: " + b"b" * 17_000 + b"\r\ncontent-length: 0\r\n\r\n",
}
