"""The proxy port's server against callers of every manner: what is HTTP is served, what is not is refused."""

import asyncio
from typing import Any

import pytest

from cliproxy_sidecar.core.h1request import MAX_HEAD_BYTES, Fault
from cliproxy_sidecar.proxy.downstream import Downstream
from cliproxy_sidecar.proxy.server import connection, listener
from cliproxy_sidecar.runtime.clock import now_s
from cliproxy_sidecar.runtime.light import Signal, in_task
from support.badpeers import GARBAGE
from support.callers import MAX_BODY_BYTES, echo, serving
from support.compiled import PATCHES_PARTS
from support.sidecar import eventually

POST = b"POST /a?b=1 HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello"
MALFORMED = connection._REFUSALS[Fault.MALFORMED]
GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
FAR_S = now_s() + 1e6
"""When all time is up."""
CHUNKED = b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (POST, (200, b"POST /a hello")),
        (GET, (200, b"GET /a ")),
        (CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nx-trailer: 1\r\n\r\n", (200, b"POST /a hello")),
        (b"GET /%61%20b HTTP/1.1\r\nhost: x\r\n\r\n", (200, b"GET /a b ")),
        (b"GET http://else/a HTTP/1.1\r\nhost: x\r\n\r\n", (200, b"GET /a ")),
    ],
)
async def test_a_request_is_the_same_however_it_comes(
    request_bytes: bytes, answer: tuple[int, bytes]
) -> None:
    async with serving() as house, house.caller() as caller:
        await caller.send(request_bytes)
        assert await caller.answer() == answer
        for at in range(len(request_bytes)):
            await caller.send(request_bytes[at : at + 1])
            await asyncio.sleep(0)
        assert await caller.answer() == answer


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as house, house.caller() as caller:
        await caller.send(b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number for number in range(2000)))
        for number in range(2000):
            assert await caller.answer() == (200, b"GET /%d " % number)


async def test_who_pipelines_is_not_read_from_while_an_answer_is_out() -> None:
    go = asyncio.Event()

    async def slow(downstream: Downstream) -> None:
        await in_task()
        await go.wait()
        await echo(downstream)

    async with serving(slow) as house, house.caller() as caller:
        caller.writer.write(GET * 400_000)
        callers = house.listener.connections
        await eventually(lambda: any(one.waiting_requests for one in callers), what="pipelining")
        held = [one.waiting_requests for one in callers]
        await asyncio.sleep(0.02)
        assert [one.waiting_requests for one in callers] == held
        go.set()
        for _ in range(1000):
            assert await caller.answer() == (200, b"GET /a ")


@pytest.mark.parametrize("name", GARBAGE)
async def test_what_is_not_http_is_refused_and_dropped(name: str) -> None:
    garbage = GARBAGE[name]
    async with serving() as house:
        async with house.caller() as caller:
            await caller.send(garbage)
            assert (await caller.answer())[0] == 400
            assert await caller.rest() == b""
        async with house.caller() as caller:
            await caller.send(GET + garbage)
            assert await caller.answer() == (200, b"GET /a ")
            assert await caller.rest() in (b"", MALFORMED)


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (b"GET /a HTTP/1.1\r\nx-endless: ", 431),
        (CHUNKED + b"1;", 400),
        (CHUNKED + b"1\r\na\r\n0\r\nx-trailer: ", 400),
    ],
)
async def test_what_never_ends_is_cut_off(begin: bytes, status: int) -> None:
    async with serving() as house, house.caller() as caller:
        caller.writer.write(begin + b"y" * (MAX_HEAD_BYTES + 2**20))
        assert (await caller.answer())[0] == status


async def test_an_upgrade_is_declined_by_serving_the_request() -> None:
    upgrade = (
        b"POST /a HTTP/1.1\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
    )
    async with serving() as house, house.caller() as caller:
        await caller.send(upgrade + b"content-length: 5\r\n\r\nhello" + GET)
        assert await caller.answer() == (200, b"POST /a hello")
        assert await caller.answer() == (200, b"GET /a ")
        await caller.send(upgrade.replace(b"POST", b"GET") + b"\r\n" + GET)
        assert await caller.answer() == (200, b"GET /a ")
        assert await caller.answer() == (200, b"GET /a ")


@pytest.mark.parametrize("head", [b"GET /a HTTP/1.0\r\n\r\n", GET[:-2] + b"connection: close\r\n\r\n"])
async def test_a_connection_is_closed_where_the_caller_wants_it(head: bytes) -> None:
    async with serving() as house, house.caller() as caller:
        await caller.send(head + GET)
        rest = await caller.rest()
    assert rest.count(b"HTTP/1.1 200") == 1
    assert b"\r\nconnection: close\r\n" in rest
    assert rest.endswith(b"\r\n\r\nGET /a ")


async def test_an_old_caller_gets_no_chunks() -> None:
    async def stream(downstream: Downstream) -> None:
        downstream.begin(200, b"")
        await downstream.write(b"one ")
        downstream.end(b"two")

    async with serving(stream) as house:
        async with house.caller() as caller:
            await caller.send(b"GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            assert (await caller.rest()).endswith(b"\r\nconnection: close\r\n\r\none two")
        async with house.caller() as caller:
            await caller.send(GET[:-2] + b"connection: close\r\n\r\n")
            assert (await caller.rest()).endswith(b"\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")


async def test_a_body_is_asked_for_only_when_it_is_wanted() -> None:
    async with serving() as house, house.caller() as caller:
        head = b"POST /%b HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
        await caller.send(head % b"a")
        assert await caller.answer() == (100, b"")
        await caller.send(b"hello")
        assert await caller.answer() == (200, b"POST /a hello")
        await caller.send(head % b"refused")
        assert await caller.answer() == (200, b"POST /refused ")


@pytest.mark.parametrize("declared", [True, False])
async def test_the_rest_of_a_body_that_is_too_large_is_dropped(*, declared: bool) -> None:
    body = b"y" * (MAX_BODY_BYTES * 4)
    head = b"content-length: %d\r\n\r\n" % len(body) if declared else b"transfer-encoding: chunked\r\n\r\n"
    async with serving() as house, house.caller() as caller:
        await caller.send(b"POST /a HTTP/1.1\r\n" + head)
        if not declared:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        await caller.send(body)
        assert (await caller.answer())[0] == 413
        await caller.send(GET)
        assert await caller.answer() == (200, b"GET /a ")


@PATCHES_PARTS
async def test_time_is_up_for_slow_bodies_and_silent_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "TICK_S", 0.01)
    monkeypatch.setattr(connection, "BODY_S", 0.05)
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.05)
    async with serving() as house:
        async with house.caller() as caller:
            await caller.send(POST[:-1])
            assert await caller.answer() == (408, b"POST /a too slow")
            assert await caller.rest() == b""
        async with house.caller() as caller:
            await caller.send(b"POST /refused HTTP/1.1\r\ncontent-length: 5\r\n\r\n")
            assert (await caller.answer())[0] == 200
            assert await caller.rest() == b""
        async with house.caller() as caller:
            await caller.send(b"GET /a HT")
            assert await caller.rest() == b""
        async with house.caller() as caller:
            await caller.send(GET)
            assert await caller.answer() == (200, b"GET /a ")
            assert await caller.rest() == b""


@PATCHES_PARTS
async def test_the_first_caller_after_a_quiet_time_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.05)
    async with serving() as house:
        quiet_until_s = now_s() + connection.KEEP_ALIVE_S
        await eventually(lambda: now_s() > quiet_until_s, what="a time without callers")
        async with house.caller() as caller:
            await caller.send(GET)
            assert await caller.answer() == (200, b"GET /a ")


@pytest.mark.parametrize("as_task", [True, False])
@pytest.mark.parametrize("leaves", ["aborts", "closes its half"])
async def test_a_caller_that_leaves_ends_its_request(leaves: str, *, as_task: bool) -> None:
    ended: list[bool] = []

    async def never(downstream: Downstream) -> None:
        try:
            if as_task:
                await in_task()
                await asyncio.Event().wait()
            else:
                await Signal()
        except asyncio.CancelledError:
            ended.append(downstream.left)
            raise

    async with serving(never) as house, house.caller() as caller:
        await caller.send(GET)
        await eventually(lambda: house.listener.connections, what="a connection")
        await asyncio.sleep(0.01)
        if leaves == "aborts":
            caller.writer.transport.abort()
        else:
            caller.writer.write_eof()
        await eventually(lambda: ended == [True], what="the end")
        await eventually(lambda: not house.listener.connections, what="the connection's end")


@pytest.mark.parametrize("sent", [b"short", b"longer than it was declared"])
async def test_a_body_of_another_length_than_declared_ends_the_connection(sent: bytes) -> None:
    async def wrong(downstream: Downstream) -> None:
        downstream.begin(200, b"", 10)
        downstream.end(sent)

    async with serving(wrong) as house, house.caller() as caller:
        await caller.send(GET + GET)
        assert (await caller.rest()).count(b"HTTP/1.1") == 1


async def test_an_answer_without_an_end_breaks_the_connection_off() -> None:
    async def half(downstream: Downstream) -> None:
        downstream.begin(200, b"")
        await downstream.write(b"half")

    async with serving(half) as house, house.caller() as caller:
        await caller.send(GET)
        assert (await caller.rest()).endswith(b"4\r\nhalf\r\n")


async def test_heads_alone_have_no_body() -> None:
    async with serving() as house, house.caller() as caller:
        await caller.send(b"HEAD /a HTTP/1.1\r\n\r\n" + GET[:-2] + b"connection: close\r\n\r\n")
        assert (await caller.rest()).count(b"/a ") == 1


async def test_draining_lets_answers_finish_and_idle_callers_go() -> None:
    go = asyncio.Event()

    async def slow(downstream: Downstream) -> None:
        await in_task()
        await go.wait()
        await echo(downstream)

    async with serving(slow) as house, house.caller() as idle, house.caller() as busy:
        await busy.send(GET)
        await eventually(lambda: len(house.listener.connections) == 2, what="both")
        await asyncio.sleep(0.01)
        draining = asyncio.ensure_future(house.listener.drain(5.0))
        assert await idle.rest() == b""
        go.set()
        answer = await busy.rest()
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nGET /a ")
        await draining
    with pytest.raises(OSError):  # noqa: PT011 -- refused or reset
        await asyncio.open_connection("127.0.0.1", house.port)


async def test_draining_waits_for_no_body_of_a_request_that_is_answered() -> None:
    go = asyncio.Event()

    async def refuse(downstream: Downstream) -> None:
        await in_task()
        await go.wait()
        downstream.answer(429, b"", b"no")

    async with serving(refuse) as house, house.caller() as caller:
        await caller.send(POST[:-1])
        await eventually(lambda: any(one._busy for one in house.listener.connections), what="the request")
        draining = asyncio.ensure_future(house.listener.drain(connection.BODY_S))
        await asyncio.sleep(0)
        go.set()
        assert (await caller.rest()).endswith(b"no")
        async with asyncio.timeout(5):
            await draining


async def test_draining_breaks_off_what_does_not_end() -> None:
    async def never(downstream: Downstream) -> None:
        await Signal()

    async with serving(never) as house, house.caller() as caller:
        await caller.send(GET)
        await eventually(lambda: house.listener.connections, what="a connection")
        await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            await house.listener.drain(0.01)
        assert await caller.rest() == b""


@pytest.mark.parametrize(
    "head", [b"POST /refused HTTP/1.0\r\n", b"POST /a HTTP/1.1\r\nconnection: close\r\n"]
)
async def test_who_wants_the_connection_closed_gets_the_answer_all_the_same(head: bytes) -> None:
    body = b"y" * (MAX_BODY_BYTES * 50)
    async with serving() as house, house.caller() as caller:
        await caller.send(head + b"content-length: %d\r\n\r\n" % len(body))
        # Python's own client, for one, reads nothing before all is sent.
        await caller.send(body)
        assert (await caller.rest()).startswith((b"HTTP/1.1 200", b"HTTP/1.1 413"))
        await eventually(lambda: not house.listener.connections, what="the close")


async def test_who_never_sends_the_rest_sees_the_end() -> None:
    async with serving() as house, house.caller() as caller:
        await caller.send(b"POST /refused HTTP/1.1\r\nconnection: close\r\ncontent-length: 9\r\n\r\n")
        assert (await caller.rest()).startswith(b"HTTP/1.1 200")


@PATCHES_PARTS
@pytest.mark.parametrize("way", ["a stream", "one piece", "one piece, closed", "one piece, and asks again"])
async def test_a_caller_that_takes_nothing_is_given_up(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "TICK_S", 0.01)
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.05)
    monkeypatch.setattr(connection, "STALL_S", 0.05)
    left: list[bool] = []
    huge = b"y" * 40_000_000

    async def pour(downstream: Downstream) -> None:
        try:
            if way == "a stream" or downstream.request.path == "/more":
                downstream.begin(200, b"")
                while True:
                    await downstream.write(huge[:100_000])
            downstream.keeps = way != "one piece, closed"
            downstream.answer(200, b"", huge)
        except asyncio.CancelledError:
            left.append(downstream.left)
            raise

    async with serving(pour) as house, house.caller() as caller:
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await caller.send(GET + (GET.replace(b"/a", b"/more") if way.endswith("again") else b""))
        callers = house.listener.connections
        await eventually(lambda: callers, what="a connection")
        await eventually(lambda: not callers, what="its end")
    assert left == ([] if way.startswith("one piece") and not way.endswith("again") else [True])


async def test_a_caller_that_takes_slowly_is_not_given_up() -> None:
    size = 40_000_000

    async def pour(downstream: Downstream) -> None:
        downstream.answer(200, b"", b"y" * size)

    async with serving(pour) as house, house.caller() as caller:
        await caller.send(GET)
        await caller.reader.readuntil(b"\r\n\r\n")
        (one,) = house.listener.connections
        for _ in range(3):
            left_bytes = one.unsent_bytes
            await caller.reader.readexactly(size // 8)
            await eventually(lambda: one.unsent_bytes < left_bytes, what="progress")  # noqa: B023 -- at once
            one.strike(FAR_S)
        await caller.reader.readexactly(size // 8)
        assert house.listener.connections == {one}
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await eventually(lambda: one.strike(FAR_S) or not house.listener.connections, what="the end")


@PATCHES_PARTS
async def test_a_body_is_late_also_if_an_answer_before_it_is_taken_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "TICK_S", 0.01)
    monkeypatch.setattr(connection, "BODY_S", 0.05)
    size = 40_000_000

    async def pour(downstream: Downstream) -> None:
        if downstream.request.method == "GET":
            downstream.answer(200, b"", b"y" * size)
        else:
            await echo(downstream)

    async with serving(pour) as house, house.caller() as caller:
        await caller.send(GET + POST[:-1])
        assert await caller.answer() == (200, b"y" * size)
        assert await caller.answer() == (408, b"POST /a too slow")
        assert await caller.rest() == b""


class Waiting(asyncio.Transport):
    """A transport with bytes that nobody takes."""

    left_bytes = 0
    aborted = False

    def write(self, data: Any) -> None:
        self.left_bytes += len(data)

    def get_write_buffer_size(self) -> int:
        return self.left_bytes

    def close(self) -> None: ...

    def abort(self) -> None:
        self.aborted = True


async def test_the_last_bytes_of_a_closed_connection_are_not_kept_for_ever() -> None:
    async with serving() as house:
        one, transport = connection.CallerConnection(house.listener), Waiting()
        one.connection_made(transport)
        one.data_received(GET[:-2] + b"connection: close\r\n\r\n")
        one.pause_writing()
        transport.left_bytes -= 1
        one.resume_writing()
        one.strike(FAR_S)
        assert not transport.aborted
        one.strike(FAR_S)
        assert transport.aborted
        one.connection_lost(None)


async def test_an_old_caller_is_not_asked_for_its_body() -> None:
    """HTTP/1.0 knows no interim answers: it would take one for the answer (RFC 9110 section 10.1.1)."""
    async with serving() as house, house.caller() as caller:
        await caller.send(b"POST /a HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
        callers = house.listener.connections
        await eventually(lambda: any(one._busy for one in callers), what="the request")
        await caller.send(b"hello")
        assert await caller.answer() == (200, b"POST /a hello")
