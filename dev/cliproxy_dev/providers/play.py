"""Act one behaviour out on a connection: the bytes, their pace, and how it ends.

What a behaviour means is said in `script.py`; the normal answer comes from the API modules. Work here is
cancelled by the server when the caller leaves, so nothing waits for ever on a dead connection.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from cliproxy_dev.providers.answer import (
    LAST_CHUNK,
    Answer,
    Framed,
    chunk,
    frame,
    gzipped,
    head,
    with_headers,
)
from cliproxy_dev.providers.script import (
    Behaviour,
    Close,
    Drip,
    Fail,
    Garbage,
    HalfStream,
    Hang,
    HtmlBody,
    HugeBody,
    ManyHeaders,
    Normal,
    Raw,
    Redirect,
    Reset,
    StreamError,
    WrongLength,
)
from cliproxy_dev.providers.server import Connection, Request, Work

AT_ONCE_BYTES = 64 * 1024
"""Answers up to this size are written without waiting: asyncio's own high-water mark for a write buffer."""
HUGE_PIECE = b" " * (64 * 1024)
"""White space keeps a huge JSON body valid however long it gets."""
_SSE = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_NORMAL = Normal()

Ending = Literal["close", "reset", "hang"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One request, where to answer it, the date to write, and how the normal answer would be."""

    request: Request
    connection: Connection
    http_date: str
    normal: Callable[[Normal], Answer]

    def framed(self, answer: Answer) -> Framed:
        """Return the answer's bytes for this caller, and remember if they end the connection."""
        request = self.request
        if answer.events is not None and not request.chunked:
            request.keep_alive = False
        return frame(answer, date=self.http_date, keep_alive=request.keep_alive, chunked=request.chunked)


def play(behaviour: Behaviour, stage: Stage) -> Work | None:  # noqa: PLR0911 -- one arm per behaviour
    """Answer at once, or return the work that does; see each behaviour's own words."""
    match behaviour:
        case Normal():
            return _play_normal(behaviour, stage)
        case Fail():
            failed = Answer(behaviour.status, tuple(behaviour.headers.items()), behaviour.body.encode())
            return show(stage, failed, latency_s=behaviour.latency_s)
        case HtmlBody():
            return show(stage, _html(behaviour.status))
        case Redirect():
            return show(stage, Answer(behaviour.status, (("location", behaviour.location),)))
        case ManyHeaders():
            return show(stage, with_headers(stage.normal(_NORMAL), _filler(behaviour)))
        case Reset():
            return _part(stage, behaviour.after_bytes, "reset")
        case Close():
            return _part(stage, behaviour.after_bytes, "close")
        case Hang():
            return _part(stage, behaviour.after_bytes, "hang")
        case _:
            return _play_odd(behaviour, stage)


def _play_odd(  # noqa: PLR0911 -- one arm per behaviour
    behaviour: Garbage | HalfStream | StreamError | Drip | HugeBody | WrongLength | Raw, stage: Stage
) -> Work:
    match behaviour:
        case Garbage():
            return _bytes_then(stage, hashlib.shake_256(b"garbage").digest(behaviour.size_bytes), "close")
        case Raw():
            return _bytes_then(stage, behaviour.data.encode("latin-1"), "close")
        case HalfStream():
            return _half_stream(behaviour, stage)
        case StreamError():
            return _bytes_then(stage, _stream_error(behaviour, stage), None)
        case Drip():
            return _drip(behaviour, stage)
        case HugeBody():
            return _huge_body(behaviour, stage)
        case WrongLength():
            return _bytes_then(stage, _wrong_length(behaviour, stage), "close")
        case _:
            assert_never(behaviour)


def show(stage: Stage, answer: Answer, *, latency_s: float = 0.0, chunk_delay_s: float = 0.0) -> Work | None:
    """Send a sound answer, at once where nothing slows it."""
    framed = stage.framed(answer)
    if latency_s or (chunk_delay_s and len(framed.pieces) > 1):
        return _paced(stage, framed, latency_s, chunk_delay_s)
    data = framed.whole()
    if len(data) > AT_ONCE_BYTES:
        return _bytes_then(stage, data, None)
    stage.connection.write(data)
    return None


def _play_normal(knobs: Normal, stage: Stage) -> Work | None:
    answer = with_headers(stage.normal(knobs), knobs.headers)
    if knobs.gzip and "gzip" in stage.request.headers.get("accept-encoding", ""):
        answer = gzipped(answer)
    if knobs.close:
        stage.request.keep_alive = False
    return show(stage, answer, latency_s=knobs.latency_s, chunk_delay_s=knobs.chunk_delay_s)


async def _paced(stage: Stage, framed: Framed, latency_s: float, chunk_delay_s: float) -> None:
    """Send the head with the first piece, then one piece per delay: a model's pace."""
    if latency_s:
        await asyncio.sleep(latency_s)
    first, *rest = framed.pieces or (b"",)
    if not chunk_delay_s:
        await stage.connection.send(framed.whole())
        return
    await stage.connection.send(framed.head + first)
    for piece in rest:
        await asyncio.sleep(chunk_delay_s)
        await stage.connection.send(piece)
    await stage.connection.send(framed.end)


async def _bytes_then(stage: Stage, data: bytes, ending: Ending | None) -> None:
    """Send these bytes as fast as the caller reads, then end so (None: go on in good order)."""
    for at in range(0, len(data), AT_ONCE_BYTES):
        await stage.connection.send(data[at : at + AT_ONCE_BYTES])
    if ending is not None:
        await _end(stage, ending)


async def _end(stage: Stage, ending: Ending) -> None:
    stage.request.keep_alive = False
    if ending == "reset":
        stage.connection.reset()
    elif ending == "hang":
        await asyncio.get_running_loop().create_future()  # until the caller leaves or the server stops
    else:
        stage.connection.close()


def _part(stage: Stage, after_bytes: int, ending: Ending) -> Work:
    data = stage.framed(stage.normal(_NORMAL)).whole()[:after_bytes] if after_bytes else b""
    return _bytes_then(stage, data, ending)


async def _half_stream(behaviour: HalfStream, stage: Stage) -> None:
    answer = stage.normal(_NORMAL)
    framed = stage.framed(answer)
    pieces = framed.pieces[: behaviour.events]
    if answer.events is None:  # no stream was asked for: half of the one body there is
        pieces = (answer.body[: len(answer.body) // 2],)
    await _paced(stage, replace(framed, pieces=pieces, end=b""), 0.0, behaviour.chunk_delay_s)
    await _end(stage, behaviour.ending)


def _stream_error(behaviour: StreamError, stage: Stage) -> bytes:
    normal = stage.normal(_NORMAL)
    events = (*(normal.events or ())[: behaviour.events], behaviour.event.encode())
    begun = with_headers(normal, dict(_SSE) | behaviour.headers)
    return stage.framed(replace(begun, status=200, body=b"", events=events)).whole()


async def _drip(behaviour: Drip, stage: Stage) -> None:
    data = stage.framed(stage.normal(_NORMAL)).whole()
    size = max(1, behaviour.piece_bytes)
    slow = len(data) if behaviour.pieces is None else behaviour.pieces * size
    for at in range(0, min(slow, len(data)), size):
        await stage.connection.send(data[at : at + size])
        await asyncio.sleep(behaviour.delay_s)  # 0 still lets the caller read between two pieces
    await stage.connection.send(data[slow:])


async def _huge_body(behaviour: HugeBody, stage: Stage) -> None:
    start, end = b'{"pad":"', b'"}'
    count = -(-behaviour.size_bytes // len(HUGE_PIECE))
    framing = f"date: {stage.http_date}\r\n"
    framing += (
        "transfer-encoding: chunked\r\n"
        if behaviour.chunked
        else f"content-length: {len(start) + count * len(HUGE_PIECE) + len(end)}\r\n"
    )
    as_sent = chunk if behaviour.chunked else bytes
    headers = (("content-type", "application/json"),)
    await stage.connection.send(head(behaviour.status, headers, framing) + as_sent(start))
    piece = as_sent(HUGE_PIECE)
    for _ in range(count):
        await stage.connection.send(piece)
    await stage.connection.send(as_sent(end) + (LAST_CHUNK if behaviour.chunked else b""))


def _wrong_length(behaviour: WrongLength, stage: Stage) -> bytes:
    answer = stage.normal(_NORMAL)
    body = answer.body if answer.events is None else b"".join(answer.events)
    declared = max(0, len(body) + behaviour.delta_bytes)
    framing = f"date: {stage.http_date}\r\ncontent-length: {declared}\r\n"
    return head(answer.status, answer.headers, framing) + body


def _html(status: int) -> Answer:
    title = {502: "502 Bad Gateway", 503: "503 Service Temporarily Unavailable"}.get(status, str(status))
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status, (("content-type", "text/html"), ("server", "cloudflare")), page.encode())


def _filler(behaviour: ManyHeaders) -> dict[str, str]:
    value = "v" * behaviour.value_bytes
    return {f"x-filler-{number:05}": value for number in range(behaviour.count)}
