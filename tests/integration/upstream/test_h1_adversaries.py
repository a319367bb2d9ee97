"""Providers that answer as badly as the wire allows: every ending is named and bounded."""

import asyncio

import pytest

from cliproxy_api.snapshot import ConnectionPool, Timeouts
from cliproxy_sidecar.proxy.h1.connection import MAX_UNREAD_BYTES
from cliproxy_sidecar.proxy.upstream import UpstreamFailed
from support.answers import CHUNKED, OK, length_answer
from support.badpeers import BAD, ODD, SLOW
from support.engine import HASTY, PATIENT, call, engine, pool_of, request, rest
from support.rawserver import DEADLINE_S, Peer, RawServer, Script
from support.sidecar import eventually


def answering(*pieces: bytes) -> Script:
    """Answer the first request with these pieces, one send each, and close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for piece in pieces:
            await peer.send(piece)

    return script


# --------------------------------------------------------------- odd but good answers
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("bytewise", [False, True])
async def test_odd_answers_are_read(name: str, bytewise: bool) -> None:  # noqa: FBT001
    raw, status, body = ODD[name]
    pieces = [raw[at : at + 1] for at in range(len(raw))] if bytewise else [raw]
    async with RawServer(answering(*pieces)) as server, engine() as client:
        got = await call(client, server.url)
        assert (got.status, got.body, got.error) == (status, body, None)


async def test_an_answer_to_head_has_no_body() -> None:
    async def script(peer: Peer) -> None:
        for _ in range(2):
            head, _ = await peer.request()
            assert head.startswith(b"HEAD /v1/chat/completions HTTP/1.1\r\n")
            assert b"content-length" not in head
            await peer.send(OK + b"content-length: 5\r\n\r\n")

    async with RawServer(script) as server, engine() as client:
        for _ in range(2):
            got = await call(client, server.url, method="HEAD", body=b"")
            assert (got.status, got.body, got.error) == (200, b"", None)
        assert server.connections == 1


# ----------------------------------------------------------------------- bad answers
@pytest.mark.parametrize("name", BAD)
async def test_bad_answers_are_named_and_never_sent_again(name: str) -> None:
    raw, kind = BAD[name]
    async with RawServer(answering(raw)) as server, engine() as client:
        got = await call(client, server.url)
        assert got.error == kind
        assert got.failure is not None
        assert got.failure.message.startswith(kind)
        assert got.body in (b"", b"abc")
        assert server.connections == 1
        await eventually(lambda: pool_of(client, server).open_connections == 0)


async def test_a_reset_in_the_body_comes_after_what_was_read() -> None:
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + b"content-length: 9\r\n\r\nabc")
        await read.wait()
        peer.reset()

    async with RawServer(script) as server, engine() as client:
        response = await client.send(request(server.url), PATIENT)
        assert await response.read() == b"abc"
        read.set()
        with pytest.raises(UpstreamFailed) as caught:
            await response.read()
        assert caught.value.error.kind == "reset"
        with pytest.raises(UpstreamFailed):
            await response.read()
        response.close()


async def test_a_server_that_closes_its_side_only_is_closed() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.write_eof()
        assert await peer.gone() == b""

    async with RawServer(script) as server, engine() as client:
        assert (await call(client, server.url)).error == "reset"
        await server.settled()


# -------------------------------------------------------------------------- slowness
async def drip(peer: Peer, data: bytes) -> None:
    """Send byte by byte, slower than the test waits, until the client has had enough."""
    for at in range(len(data)):
        await peer.send(data[at : at + 1])
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", SLOW)
async def test_slow_answers_run_out_of_the_right_time(name: str) -> None:
    sent, dripped, timeouts, kind = SLOW[name]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent)
        await drip(peer, dripped)
        await peer.gone()

    async with RawServer(script) as server, engine() as client:
        assert (await call(client, server.url, timeouts)).error == kind
        await server.settled()
        assert server.connections == 1


async def test_a_drip_that_never_stops_for_long_is_patiently_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        for _ in range(8):
            await asyncio.sleep(0.05)
            await peer.send(b"1\r\nx\r\n")
        await peer.send(b"0\r\n\r\n")

    async with RawServer(script) as server, engine() as client:
        timeouts = Timeouts(first_byte_s=0.3, idle_s=0.3, total_s=8.0)
        got = await call(client, server.url, timeouts)
        assert (got.body, got.error) == (b"x" * 8, None)


@pytest.mark.parametrize("reads", [0, 1])
async def test_a_caller_who_does_not_read_is_no_idle_provider(reads: int) -> None:
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"3\r\nabc\r\n")
        await read.wait()
        await peer.send(b"0\r\n\r\n")

    async with RawServer(script) as server, engine() as client:
        response = await client.send(request(server.url), HASTY)
        early = b"".join([await response.read() for _ in range(reads)])
        await asyncio.sleep(2 * HASTY.idle_s)
        read.set()
        got = await rest(response)
        assert (early + got.body, got.error) == (b"abc", None)


@pytest.mark.parametrize("before", [1, 2])
async def test_every_request_on_a_kept_connection_has_its_own_time(before: int) -> None:
    async def script(peer: Peer) -> None:
        for _ in range(before):
            await peer.request()
            await peer.send(length_answer())
        await peer.gone()

    async with RawServer(script) as server, engine() as client:
        for _ in range(before):
            assert (await call(client, server.url, HASTY)).error is None
            await asyncio.sleep(0.6 * HASTY.first_byte_s)
        assert (await call(client, server.url, HASTY)).error == "first_byte_timeout"
        assert server.connections == 1


async def test_nobody_answers_the_call() -> None:
    async with RawServer(answering()) as server:
        url = server.url
    async with engine() as client:
        got = await call(client, url)
        assert got.error == "connect"
        got = await call(client, "http://name.invalid/v1", Timeouts(connect_s=3.0))
        assert got.error == "connect"


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "ftp://127.0.0.1/x",
        "http:///x",
        "http://127.0.0.1:99999/",
        "http://a b/",
        "http://127.0.0.1/\r\nx",
        "http://u:p@127.0.0.1/",
        "http://[::1/",
        "http://h\u00f6st/",
    ],
)
async def test_an_address_that_cannot_be_asked_is_refused(url: str) -> None:
    async with engine() as client:
        assert (await call(client, url)).error == "protocol"


@pytest.mark.parametrize(
    "header", [(b"a", b"b\r\nc: d"), (b"a\r\nb", b"c"), (b"a", b"b\nc"), (b"a", b"b\0c")]
)
async def test_a_header_that_would_be_two_is_not_sent(header: tuple[bytes, bytes]) -> None:
    async with RawServer(answering(length_answer())) as server, engine() as client:
        asked = request(server.url)
        bad = type(asked)(asked.method, asked.url, (*asked.headers, header), asked.body)
        with pytest.raises(UpstreamFailed) as caught:
            await client.send(bad, PATIENT)
        assert caught.value.error.kind == "protocol"
        assert server.connections == 0


# -------------------------------------------------------------------- what goes out
async def test_a_request_goes_out_as_it_is_meant() -> None:
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            heads.append((await peer.request())[0])
            await peer.send(length_answer())

    async with RawServer(script) as server, engine() as client:
        await call(client, server.url + "?a=b&c=%20")
        await call(client, server.url, method="GET", body=b"")
        host = f"host: 127.0.0.1:{server.port}\r\n".encode()
    first = b"POST /v1/chat/completions?a=b&c=%20 HTTP/1.1\r\n" + host
    assert heads[0] == first + b"authorization: Bearer sk-test\r\ncontent-length: 18\r\n\r\n"
    assert (
        heads[1] == b"GET /v1/chat/completions HTTP/1.1\r\n" + host + b"authorization: Bearer sk-test\r\n\r\n"
    )


async def test_a_large_body_goes_out_in_the_servers_pace() -> None:
    body = bytes(range(256)) * 40_000
    waiting, go_on, arrived = asyncio.Event(), asyncio.Event(), []

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        waiting.set()
        await go_on.wait()
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        arrived.append(await peer.reader.readexactly(len(body)))
        await peer.send(length_answer())

    async with RawServer(script) as server, engine() as client:
        calling = asyncio.ensure_future(call(client, server.url, body=body))
        await waiting.wait()
        connection = next(iter(pool_of(client, server)._open))
        await eventually(lambda: connection._write_paused, what="back-pressure")
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < 1 << 20
        assert connection._unsent is not None
        go_on.set()
        got = await calling
        assert (got.status, got.error) == (200, None)
        assert arrived == [body]
        assert pool_of(client, server).idle_connections == 1


async def test_an_answer_may_come_before_the_request_is_sent() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}")
        await peer.gone()

    async with RawServer(script) as server, engine() as client:
        got = await call(client, server.url, body=b"x" * 20_000_000)
        assert (got.status, got.body, got.error) == (413, b"{}", None)
        await server.settled()
        assert pool_of(client, server).idle_connections == 0


# --------------------------------------------------------------------- back-pressure
async def test_a_slow_caller_slows_the_provider_down() -> None:
    size = 40 * MAX_UNREAD_BYTES
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(OK + b"content-length: %d\r\n\r\n" % size)
        while sent < size:
            await peer.send(b"x" * 65536)
            sent += 65536

    async with RawServer(script) as server, engine() as client:
        response = await client.send(request(server.url), PATIENT)
        connection = next(iter(pool_of(client, server)._open))
        await eventually(lambda: connection._paused, what="back-pressure")
        held = -1
        while held != sent:  # until the server can send no more
            held = sent
            await asyncio.sleep(0.05)
        assert sent < size
        assert MAX_UNREAD_BYTES < connection._reader.body_bytes <= 2 * MAX_UNREAD_BYTES
        got = await rest(response)
        assert (len(got.body), got.error) == (size, None)
        assert pool_of(client, server).idle_connections + pool_of(client, server).open_connections <= 2


async def test_a_caller_who_leaves_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.send(OK + b"content-length: 9\r\n\r\nabc")
        await peer.gone()

    async with RawServer(script) as server, engine(ConnectionPool(max_connections=1)) as client:
        sending = asyncio.ensure_future(client.send(request(server.url), PATIENT))
        await eventually(lambda: server.connections == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.settled()

        response = await client.send(request(server.url), PATIENT)
        assert await response.read() == b"abc"
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        response.close()
        assert await response.read() == b""
        await server.settled()
        assert server.open == 0


async def test_two_hundred_at_once_get_their_own_answers() -> None:
    async def script(peer: Peer) -> None:
        while True:
            _, body = await peer.request()
            await asyncio.sleep(0)
            half = len(body) // 2
            await peer.send(CHUNKED + b"%x\r\n%b\r\n" % (half, body[:half]))
            await peer.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) - half, body[half:]))

    async with RawServer(script) as server, engine(ConnectionPool(max_connections=50)) as client:
        bodies = [b"%d" % number * 100 for number in range(200)]
        answers = await asyncio.gather(*(call(client, server.url, body=body) for body in bodies))
        assert [got.body for got in answers] == bodies
        assert {got.error for got in answers} == {None}
        assert server.connections <= 50


async def test_closing_ends_everything_under_way() -> None:
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        head, _ = await peer.request()
        asked.append(head)
        await peer.gone()

    async with RawServer(script) as server, engine(ConnectionPool(max_connections=1)) as client:
        calls = [asyncio.ensure_future(call(client, server.url)) for _ in range(3)]
        await eventually(lambda: len(asked) == 1)
        async with asyncio.timeout(DEADLINE_S):
            await client.aclose()
            kinds = sorted([(await ended).error or "" for ended in calls])
        assert kinds == ["connect", "connect", "reset"]
        await server.settled()
        assert (await call(client, server.url)).error == "connect"
