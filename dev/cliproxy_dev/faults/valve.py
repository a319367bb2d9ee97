"""Valves in TCP connections: bytes of one direction can be held back for as long as wanted, or lost for good.

Nothing is looked into: TLS passes as it is. Who is connected through which valve is `between`'s.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from cliproxy_dev.accepting import all_accepted
from cliproxy_dev.tasks import Tasks

CHUNK_BYTES: Final = 65_536


class Valve:
    """One way to one listener, for all connections that are made to it; both directions begin open."""

    def __init__(self, host: str, port: int) -> None:
        """`host` and `port` are where connections go on to."""
        self._target = (host, port)
        self._there, self._back = asyncio.Event(), asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks = Tasks()
        self.open()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Take connections at this address (port 0: a free one); the value is the port."""
        server = await asyncio.start_server(self._accepted, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await all_accepted()
            self.lose()
            await self._tasks.stop()

    def hold(self, *, there: bool = False, back: bool = False) -> None:
        """Hold back what comes from now on: `there` is the direction of who connected."""
        if there:
            self._there.clear()
        if back:
            self._back.clear()

    def open(self) -> None:
        """Let everything pass, what was held first."""
        self._there.set()
        self._back.set()

    def lose(self) -> None:
        """End all connections; what was held in them is lost."""
        for writer in list(self._writers):
            writer.transport.abort()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.spawn(self._relay(reader, writer), "a connection through a valve")

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._kept(writer):
            try:
                far_reader, far_writer = await asyncio.open_connection(*self._target)
            except OSError:
                return
            with self._kept(far_writer):
                pumps = [
                    asyncio.ensure_future(_pump(reader, far_writer, self._there)),
                    asyncio.ensure_future(_pump(far_reader, writer, self._back)),
                ]
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.wait(pumps)

    @contextlib.contextmanager
    def _kept(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event) -> None:
    """Carry bytes one way until either side ends; both sides end with it, as all here speak HTTP."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            await passing.wait()
            writer.write(data)
            await writer.drain()
