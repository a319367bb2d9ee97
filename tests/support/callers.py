"""The proxy port's server alone, with a serving coroutine of the test's, and callers that write raw bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cliproxy_sidecar.proxy.downstream import BodyTooLarge, BodyTooSlow, Downstream
from cliproxy_sidecar.proxy.server.connection import Serve
from cliproxy_sidecar.proxy.server.listener import Listener
from cliproxy_sidecar.runtime.tasks import Tasks

DEADLINE_S = 10.0
MAX_BODY_BYTES = 100_000


async def echo(downstream: Downstream) -> None:
    """Answer with method, path and body; refuse what is too large, too slow, or at /refused."""
    request = downstream.request
    status = 200
    try:
        body = b"" if request.path == "/refused" else await downstream.read_body(at_most_bytes=MAX_BODY_BYTES)
    except BodyTooLarge:
        status, body = 413, b"too large"
    except BodyTooSlow:
        status, body = 408, b"too slow"
        downstream.keeps = False
    answer = b"%b %b %b" % (request.method.encode(), request.path.encode(), body)
    downstream.begin(status, b"\r\nx-query: " + request.query, len(answer))
    downstream.end(answer)


class Caller:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Write bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Read one answer with a length; return status and body."""
        async with asyncio.timeout(DEADLINE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            return status, await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.read()


class House:
    """A listener that serves."""

    def __init__(self, listener: Listener, port: int, tasks: Tasks) -> None:
        self.listener = listener
        self.port = port
        self.tasks = tasks

    @asynccontextmanager
    async def caller(self) -> AsyncIterator[Caller]:
        """Connect for as long as the block lasts."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Caller(reader, writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def serving(serve: Serve = echo) -> AsyncIterator[House]:
    """Run a listener; nothing of it is left behind, and no task of it has failed."""
    tasks = Tasks()
    listener = Listener(serve, tasks)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen()
    bound.setblocking(False)  # noqa: FBT003 -- the standard library's signature
    await listener.start(bound, backlog=16)
    try:
        yield House(listener, bound.getsockname()[1], tasks)
    finally:
        await listener.drain(0.01)
        await tasks.stop()
    assert not listener.connections
    assert tasks.failures == 0
