"""One answer as a value, and its exact HTTP/1.1 bytes.

Pure. Who sends the bytes, how fast, and how far is left to `play.py`; what stands in them to the formats.
"""

import gzip
import zlib
from dataclasses import dataclass, replace
from http import HTTPStatus

Headers = tuple[tuple[str, str], ...]

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({204, 304})
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (without framing and Date) and a whole body or, for a stream, its events."""

    status: int
    headers: Headers
    body: bytes = b""
    events: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class Framed:
    """An answer's bytes: the head, the body's pieces in order (one per event), and what ends the body."""

    head: bytes
    pieces: tuple[bytes, ...]
    end: bytes = b""

    def whole(self) -> bytes:
        """Return everything in one piece."""
        return b"".join((self.head, *self.pieces, self.end))


def head(status: int, headers: Headers, framing: str) -> bytes:
    """Return status line and header block; `framing` is ready-made header lines, each ended by CRLF."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n{lines}{framing}\r\n".encode("latin-1")


def frame(answer: Answer, *, date: str, keep_alive: bool, chunked: bool) -> Framed:
    """Return the answer's bytes. Without `chunked` (an HTTP/1.0 caller) a stream ends with the connection."""
    framing = "" if any(name == "date" for name, _ in answer.headers) else f"date: {date}\r\n"
    if not keep_alive or (answer.events is not None and not chunked):
        framing += "connection: close\r\n"
    if answer.events is None:
        if answer.status not in _BODILESS:
            framing += f"content-length: {len(answer.body)}\r\n"
        return Framed(head(answer.status, answer.headers, framing), (answer.body,) if answer.body else ())
    if not chunked:
        return Framed(head(answer.status, answer.headers, framing), answer.events)
    framing += "transfer-encoding: chunked\r\n"
    return Framed(head(answer.status, answer.headers, framing), tuple(map(chunk, answer.events)), LAST_CHUNK)


def chunk(data: bytes) -> bytes:
    """Return `data`, which is not empty, as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def with_headers(answer: Answer, extra: dict[str, str]) -> Answer:
    """Return the answer with these headers set; a header of the same name gives way."""
    if not extra:
        return answer
    lower = {name.lower(): value for name, value in extra.items()}
    kept = tuple(pair for pair in answer.headers if pair[0] not in lower)
    return replace(answer, headers=(*kept, *lower.items()))


def gzipped(answer: Answer) -> Answer:
    """Return the answer compressed; events are flushed one by one so that a stream stays a stream."""
    answer = with_headers(answer, {"content-encoding": "gzip", "vary": "accept-encoding"})
    if answer.events is None:
        return replace(answer, body=gzip.compress(answer.body, mtime=0))
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    packed = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in answer.events]
    return replace(answer, events=(*packed, packer.flush()))
