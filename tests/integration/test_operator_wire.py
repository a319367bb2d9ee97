"""The operator's connections against raw sockets: kept, replaced, cut, mute, and never too much in memory."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cliproxy_api import codec
from cliproxy_api.channel import sidecar_host
from cliproxy_api.snapshot import Running
from cliproxy_operator import transport
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.transport import Peer, PlainTransport, TlsTransport
from cliproxy_operator.wire.answers import MAX_ANSWER_BYTES
from cliproxy_operator.wire.trouble import LinkError
from support.pki import Authority, FixedIdentity

PEER = Peer("shop", "127.0.0.1")
TOKEN = "a-control-token-for-tests"
RUNNING = codec.encode(Running(digest="d"))

Serve = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One connection to the scripted port."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number, self.reader, self.writer = number, reader, writer
        self.over = asyncio.Event()

    async def request(self) -> tuple[bytes, bytes]:
        """Return head and body of the next request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        return head, await self.reader.readexactly(int(length.partition(b":")[2]))

    def answer(self, status: int = 200, body: bytes = RUNNING) -> None:
        """Answer whole."""
        self.writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))


class Port:
    """A port whose visits a test scripts."""

    def __init__(self, serve: Serve) -> None:
        self.visits: list[Visit] = []
        self._serve = serve
        self._numbers = itertools.count()
        self._visited = asyncio.Condition()

    async def visited(self, count: int) -> None:
        """Wait until there were so many connections."""
        async with asyncio.timeout(10), self._visited:
            await self._visited.wait_for(lambda: len(self.visits) >= count)

    async def left(self) -> None:
        """Wait until all have ended."""
        async with asyncio.timeout(10):
            for visit in self.visits:
                await visit.over.wait()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(next(self._numbers), reader, writer)
        self.visits.append(visit)
        async with self._visited:
            self._visited.notify_all()
        try:
            await self._serve(visit)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
            visit.over.set()


@asynccontextmanager
async def port_of(
    serve: Serve, *, idle_timeout_s: float = 20.0
) -> AsyncIterator[tuple[Port, PlainTransport]]:
    port = Port(serve)
    server = await asyncio.start_server(port, PEER.address)
    number = server.sockets[0].getsockname()[1]
    made = PlainTransport(token=Hidden(TOKEN), port=number, idle_timeout_s=idle_timeout_s)
    try:
        yield port, made
    finally:
        await made.close()
        await port.left()
        server.close()
        await server.wait_closed()


async def answering(visit: Visit) -> None:
    while True:
        await visit.request()
        visit.answer()


async def test_a_push_says_what_it_is() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def note(visit: Visit) -> None:
        while True:
            seen.append(await visit.request())
            visit.answer()

    async with port_of(note) as (_, made):
        answer = await made.put(PEER, "state", b"{}")
        await made.put(PEER, "snapshot", codec.pack(b"{}"), packed=True)

    assert (answer.status, answer.running.digest) == (200, "d")
    first, second = (head.lower().split(b"\r\n") for head, _ in seen)
    assert first[0] == b"put /v0/control/state http/1.1"
    assert b"authorization: bearer " + TOKEN.encode() in first
    assert not [line for line in first if line.startswith(b"content-encoding")]
    assert b"content-encoding: deflate" in second
    assert [body for _, body in seen] == [b"{}", codec.pack(b"{}")]


async def test_pushes_share_a_connection_and_two_at_once_have_two() -> None:
    gate = asyncio.Event()

    async def wait(visit: Visit) -> None:
        while True:
            await visit.request()
            await gate.wait()
            visit.answer()

    async with port_of(wait) as (port, made):
        both = [asyncio.ensure_future(made.put(PEER, name, b"{}")) for name in ("snapshot", "state")]
        await port.visited(2)
        gate.set()
        await asyncio.gather(*both)
        for _ in range(5):
            await made.put(PEER, "state", b"{}")

        assert len(port.visits) == 2


async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async def once(visit: Visit) -> None:
        await visit.request()
        visit.answer()
        if visit.number:
            await visit.request()
            visit.answer()
        else:
            await visit.request()  # and closes without a word

    async with port_of(once) as (port, made):
        for _ in range(3):
            assert (await made.put(PEER, "state", b"{}")).status == 200

        assert len(port.visits) == 2


async def test_a_push_that_is_cut_in_its_answer_is_not_sent_again() -> None:
    async def cut(visit: Visit) -> None:
        await visit.request()
        visit.answer()
        await visit.request()
        visit.writer.write(b"HTTP/1.1 2")

    async with port_of(cut) as (port, made):
        await made.put(PEER, "state", b"{}")
        with pytest.raises(LinkError) as caught:
            await made.put(PEER, "state", b"{}")

        assert caught.value.trouble == "closed"
        assert len(port.visits) == 1


async def test_a_mute_sidecar_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT_S", 0.02)

    async def mute(visit: Visit) -> None:
        await visit.reader.read()

    async with port_of(mute) as (_, made):
        with pytest.raises(LinkError, match="no answer within") as caught:
            await made.put(PEER, "state", b"{}")
        assert caught.value.trouble == "timeout"
        with pytest.raises(LinkError) as caught:
            async with made.reports(PEER, 1):
                pass
        assert caught.value.trouble == "timeout"


async def test_an_endless_answer_is_cut_off() -> None:
    async def flood(visit: Visit) -> None:
        await visit.request()
        visit.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            visit.writer.write(b"400\r\n" + bytes(1024) + b"\r\n")
            await visit.writer.drain()

    async with port_of(flood) as (_, made):
        with pytest.raises(LinkError, match=str(MAX_ANSWER_BYTES)) as caught:
            await made.put(PEER, "state", b"{}")
        assert caught.value.trouble == "malformed"


@pytest.mark.parametrize(("status", "trouble"), [(401, "unauthorized"), (409, "deposed"), (500, "status")])
async def test_a_refused_stream_says_why(status: int, trouble: str) -> None:
    async def refuse(visit: Visit) -> None:
        await visit.request()
        visit.answer(status)

    async with port_of(refuse) as (_, made):
        with pytest.raises(LinkError) as caught:
            async with made.reports(PEER, 7):
                pass
        assert caught.value.trouble == trouble


async def test_a_stream_is_read_until_it_ends() -> None:
    async def tell(visit: Visit) -> None:
        await visit.request()
        visit.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        visit.writer.write(b"4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n")

    async with port_of(tell) as (_, made), made.reports(PEER, 7) as lines:
        assert [await anext(lines), await anext(lines)] == [b"one", b"two"]
        with pytest.raises(LinkError, match="ended"):
            await anext(lines)


async def test_what_is_said_before_a_cut_is_heard() -> None:
    async def tell(visit: Visit) -> None:
        await visit.request()
        visit.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\none\n\r\n")

    async with port_of(tell) as (_, made), made.reports(PEER, 7) as lines:
        assert await anext(lines) == b"one"
        with pytest.raises(LinkError, match="closed"):
            await anext(lines)


async def test_nothing_listens_there() -> None:
    async with port_of(answering) as (_, made):
        pass
    with pytest.raises(LinkError) as caught:
        await made.put(PEER, "state", b"{}")
    assert caught.value.trouble == "connect"


async def test_who_is_forgotten_is_left() -> None:
    left = asyncio.Event()

    async def note(visit: Visit) -> None:
        await visit.request()
        visit.answer()
        await visit.reader.read()
        left.set()

    async with port_of(note) as (_, made):
        await made.put(PEER, "state", b"{}")
        made.forget(PEER)
        async with asyncio.timeout(5):
            await left.wait()


async def test_a_cancelled_push_leaves_no_answer_behind() -> None:
    gate = asyncio.Event()

    async def wait(visit: Visit) -> None:
        await visit.request()
        if not visit.number:
            await gate.wait()
        visit.answer(body=codec.encode(Running(digest=f"d{visit.number}")))

    async with port_of(wait) as (port, made):
        first = asyncio.ensure_future(made.put(PEER, "state", b"{}"))
        await port.visited(1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()

        assert (await made.put(PEER, "state", b"{}")).running.digest == "d1"


async def test_pushes_move_to_a_new_certificate_before_they_are_needed(tmp_path: Path) -> None:
    ours = Authority()
    folder = ours.mount(tmp_path / "tls", namespace=PEER.namespace)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.load_verify_locations(cadata=ours.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    port = Port(answering)
    server = await asyncio.start_server(port, PEER.address, ssl=context)
    identity = FixedIdentity(ours.operator(), ours.pem)
    made = TlsTransport(identity=identity, port=server.sockets[0].getsockname()[1])
    try:
        await made.put(PEER, "state", b"{}")
        identity.show(ours.operator(), ours.pem)
        await made.warm(PEER)
        await port.visited(2)
        await made.put(PEER, "state", b"{}")
        assert len(port.visits) == 2
        with pytest.raises(LinkError, match=sidecar_host("other")):
            await made.put(Peer("other", PEER.address), "state", b"{}")
    finally:
        await made.close()
        await port.left()
        server.close()
        await server.wait_closed()
