"""Which connections are kept, for how long, who gets them, and what a dead one costs."""

import asyncio
import time

import pytest

from cliproxy_api.snapshot import ConnectionPool, Timeouts
from cliproxy_sidecar.proxy.h1 import pool as pools
from support.answers import CHUNKED, OK, length_answer
from support.compiled import PATCHES_PARTS
from support.engine import PATIENT, Got, call, engine, pool_of, request, rest
from support.rawserver import Peer, RawServer
from support.sidecar import eventually


async def polite(peer: Peer) -> None:
    """Answer every request."""
    while True:
        await peer.request()
        await peer.send(length_answer())


def good(got: Got) -> bool:
    return (got.status, got.body, got.error) == (200, b"{}", None)


# ------------------------------------------------------------------------ keeping
async def test_one_connection_serves_one_after_the_other() -> None:
    async with RawServer(polite) as server, engine() as client:
        for _ in range(5):
            assert good(await call(client, server.url))
        assert server.connections == 1
        assert pool_of(client, server).idle_connections == 1


async def test_an_answer_that_has_arrived_gives_its_connection_back_before_it_is_read() -> None:
    async with RawServer(polite) as server, engine(ConnectionPool(max_connections=1)) as client:
        unread = await client.send(request(server.url), PATIENT)
        assert good(await call(client, server.url))
        assert good(await rest(unread))
        assert server.connections == 1


@pytest.mark.parametrize(
    "raw",
    [
        length_answer(b"{}", b"connection: close\r\n"),
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        length_answer() + b"x",
        length_answer() + length_answer(b"[]"),
    ],
    ids=["close", "HTTP/1.0", "surplus", "two answers"],
)
async def test_a_connection_that_may_say_something_else_is_not_kept(raw: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(raw)
        assert await peer.gone() == b""

    async with RawServer(script) as server, engine() as client:
        for _ in range(2):
            assert good(await call(client, server.url))
        assert server.connections == 2
        await server.settled()


async def test_what_comes_unasked_closes_an_idle_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(length_answer())
        if peer.number == 0:
            await unasked.wait()
            await peer.send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await peer.gone()

    unasked = asyncio.Event()
    async with RawServer(script) as server, engine() as client:
        assert good(await call(client, server.url))
        unasked.set()
        await eventually(lambda: pool_of(client, server).open_connections == 0)
        assert good(await call(client, server.url))
        assert server.connections == 2


# ------------------------------------------------------------------ dead connections
@pytest.mark.parametrize("ending", ["end", "reset"])
@pytest.mark.parametrize("places", [1, 10])
async def test_a_kept_connection_that_dies_unanswered_is_replaced_once(ending: str, places: int) -> None:
    bodies: list[tuple[int, bytes]] = []

    async def script(peer: Peer) -> None:
        bodies.append((peer.number, (await peer.request())[1]))
        await peer.send(length_answer())
        bodies.append((peer.number, (await peer.request())[1]))
        if ending == "reset":
            peer.reset()

    async with RawServer(script) as server, engine(ConnectionPool(max_connections=places)) as client:
        assert good(await call(client, server.url, body=b"first"))
        assert good(await call(client, server.url, body=b"second"))
        assert bodies == [(0, b"first"), (0, b"second"), (1, b"second")]


async def test_a_fresh_connection_that_dies_unanswered_is_a_failure() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(length_answer())
            await peer.request()

    async with RawServer(script) as server, engine() as client:
        assert good(await call(client, server.url))
        assert (await call(client, server.url)).error == "reset"
        assert server.connections == 2


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", OK])
async def test_a_kept_connection_that_dies_after_a_byte_is_a_failure(said: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(length_answer())
        await peer.request()
        await peer.send(said)

    async with RawServer(script) as server, engine() as client:
        assert good(await call(client, server.url))
        assert (await call(client, server.url)).error == "reset"
        assert server.connections == 1


async def test_a_kept_connection_that_says_nothing_is_too_slow_and_not_asked_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(length_answer())
        await peer.gone()

    async with RawServer(script) as server, engine() as client:
        assert good(await call(client, server.url))
        got = await call(client, server.url, Timeouts(first_byte_s=0.1))
        assert got.error == "first_byte_timeout"
        assert server.connections == 1


async def test_a_replacement_does_not_take_another_kept_connection() -> None:
    dead = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        both.append(peer.number)
        await eventually(lambda: len(both) >= 2)
        await peer.send(length_answer())
        await peer.request()
        if peer.number >= 2:
            await peer.send(length_answer())
        dead.set()

    both: list[int] = []
    async with RawServer(script) as server, engine(ConnectionPool(max_connections=2)) as client:
        first = await asyncio.gather(call(client, server.url), call(client, server.url))
        assert all(map(good, first))
        assert pool_of(client, server).idle_connections == 2
        assert good(await call(client, server.url))
        assert dead.is_set()
        assert server.connections == 3


# --------------------------------------------------------------------------- places
async def test_who_asks_first_is_served_first() -> None:
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            asked.append((await peer.request())[1])
            await peer.send(length_answer())

    async with RawServer(script) as server, engine(ConnectionPool(max_connections=1)) as client:
        bodies = [b"%d" % number for number in range(8)]
        await asyncio.gather(*(call(client, server.url, body=body) for body in bodies))
        assert asked == bodies
        assert server.connections == 1


async def test_waiting_for_a_place_ends_with_the_attempts_own_time() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        await peer.gone()

    async with RawServer(script) as server, engine(ConnectionPool(max_connections=1)) as client:
        holder = await client.send(request(server.url), PATIENT)
        got = await call(client, server.url, Timeouts(total_s=0.1))
        assert got.error == "total_timeout"
        waiting = asyncio.ensure_future(call(client, server.url, Timeouts(total_s=0.3)))
        leaving = asyncio.ensure_future(call(client, server.url))
        await asyncio.sleep(0)
        leaving.cancel()
        holder.close()
        # The place goes to the one that still waits.
        assert (await waiting).status == 200
        assert server.connections == 2
        await asyncio.gather(leaving, return_exceptions=True)


async def test_a_place_survives_failures_and_cancellations() -> None:
    async def script(peer: Peer) -> None:
        if peer.number % 2:
            return
        await peer.request()
        await peer.send(length_answer(b"{}", b"connection: close\r\n"))

    async with RawServer(script) as server, engine(ConnectionPool(max_connections=2)) as client:
        for _ in range(3):
            calls = [asyncio.ensure_future(call(client, server.url)) for _ in range(10)]
            for hopeless in calls[::3]:
                asyncio.get_running_loop().call_soon(hopeless.cancel)
            await asyncio.gather(*calls, return_exceptions=True)
            pool = pool_of(client, server)
            await eventually(lambda: pool.open_connections == 0)  # noqa: B023 -- the same pool each time
            assert pool._places == 2
            assert not pool._waiting


@pytest.mark.parametrize("known", [False, True])
async def test_a_connection_that_dies_on_its_way_to_a_waiting_one_is_not_used(known: bool) -> None:  # noqa: FBT001
    async with RawServer(polite) as server, engine(ConnectionPool(max_connections=1)) as client:
        assert good(await call(client, server.url))
        pool = pool_of(client, server)
        connection = pool.take()
        assert connection is not None
        waiting = asyncio.ensure_future(call(client, server.url))
        await eventually(lambda: pool._waiting)
        pool.free(connection)
        connection.abort()
        if known:
            connection.connection_lost(None)
        assert good(await waiting)
        assert (server.connections, pool._places, pool.open_connections) == (2, 0, 1)


@pytest.mark.parametrize("others", [0, 1])
async def test_what_was_given_to_one_who_leaves_goes_on_to_the_next(others: int) -> None:
    async with RawServer(polite) as server, engine(ConnectionPool(max_connections=1)) as client:
        assert good(await call(client, server.url))
        pool = pool_of(client, server)
        connection = pool.take()
        assert connection is not None
        waiting = [asyncio.ensure_future(call(client, server.url)) for _ in range(1 + others)]
        await eventually(lambda: len(pool._waiting) == 1 + others)
        pool.free(connection)
        waiting[0].cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert all(isinstance(got, Got) and good(got) for got in results[1:])
        assert (server.connections, pool._places, pool.idle_connections) == (1, 0, 1)


# ------------------------------------------------------------------------ idle ones
@PATCHES_PARTS
async def test_idle_connections_end_by_time_and_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "BURST_S", 0.1)
    bounds = ConnectionPool(max_connections=6, max_idle_connections=2, idle_timeout_s=0.4)
    started = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if server.connections == 6:
            started.set()
        await started.wait()
        await peer.send(length_answer())
        await peer.gone()

    async with RawServer(script) as server, engine(bounds) as client:
        assert all(map(good, await asyncio.gather(*(call(client, server.url) for _ in range(6)))))
        pool = pool_of(client, server)
        # A burst is kept for a moment, then the bound, then nothing.
        assert pool.idle_connections == 6
        before = time.perf_counter()
        await eventually(lambda: pool.open_connections == 2)
        await eventually(lambda: pool.open_connections == 0)
        assert time.perf_counter() - before > 0.25
        await server.settled()
        assert pool._places == 6


async def test_warm_connections_are_there_before_the_first_request() -> None:
    async with RawServer(polite) as server, engine(ConnectionPool(max_connections=3)) as client:
        await client.warm(server.url, 2, connect_s=5.0)
        await eventually(lambda: server.connections == 2)
        assert good(await call(client, server.url))
        assert server.connections == 2
        await client.warm(server.url, 9, connect_s=5.0)
        assert pool_of(client, server).idle_connections == 3


async def test_long_addresses_are_not_remembered() -> None:
    async with RawServer(polite) as server, engine() as client:
        for number in range(3):
            assert good(await call(client, f"{server.url}?{number}{'x' * 100_000}"))
        assert good(await call(client, server.url))
        assert len(client._routes) == 1
        assert server.connections == 1
