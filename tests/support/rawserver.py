"""A server that does to its connections exactly what a test says, down to the byte; plain or with TLS.

For what scripted providers are too well-bred to do. `async with RawServer(script) as server:` runs `script`
for each connection and closes it afterwards; a failing script fails the test.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from cliproxy_dev.accepting import all_accepted
from cliproxy_sidecar.proxy.h1.tls import with_alpn

TLS = Path(__file__).parent / "tls"
DEADLINE_S = 10.0


class Peer:
    """One connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        """0 for the server's first connection."""

    async def request(self) -> tuple[bytes, bytes]:
        """Read one request; return head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return head, await self.reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        """Send and wait until it is out."""
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> bytes:
        """Wait until the client has closed; return what it still sent."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""

    def reset(self) -> None:
        """Cut the connection with a RST."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class RawServer:
    """Listens on loopback; `requests` holds what scripts note down."""

    def __init__(
        self, script: Script, *, tls: str | ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self._script = script
        self._host = host
        self._context = server_context(tls) if isinstance(tls, str) else tls
        self._tasks: list[asyncio.Task[None]] = []
        self.connections = 0
        """Accepted so far."""
        self.open = 0
        """Accepted and not closed."""
        self.port = 0

    @property
    def url(self) -> str:
        """The address of a chat completion here."""
        scheme = "http" if self._context is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self.port}/v1/chat/completions"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accepted, self._host, 0, ssl=self._context, limit=1 << 22
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await all_accepted()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def settled(self) -> None:
        """Wait until every connection so far is closed on both sides."""
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*self._tasks)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, self.connections)
        self.connections += 1
        self.open += 1
        self._tasks.append(asyncio.ensure_future(self._run(peer)))

    async def _run(self, peer: Peer) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._script(peer)
        finally:
            peer.writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await peer.writer.wait_closed()
            self.open -= 1


def server_context(name: str) -> ssl.SSLContext:
    """Return a server's context with one of the certificates of `tls/`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / f"{name}.pem")
    context.set_alpn_protocols(["http/1.1"])
    return context


def trusting_context() -> ssl.SSLContext:
    """Return a client's context that trusts the tests' authority and nothing else."""
    return with_alpn(ssl.create_default_context(cafile=str(TLS / "ca.pem")))
