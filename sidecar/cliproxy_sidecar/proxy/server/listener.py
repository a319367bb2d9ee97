"""Accepts callers on one socket, watches their deadlines once a second, and drains.

What happens on a connection is `connection`'s; binding the socket is the caller's.
"""

import asyncio
import socket
from typing import Final, cast

from cliproxy_sidecar.proxy.server.connection import CallerConnection, Serve
from cliproxy_sidecar.runtime.clock import now_s
from cliproxy_sidecar.runtime.tasks import Tasks

TICK_S: Final = 1.0
"""How often deadlines are looked at: they are of a minute. One timer for all connections costs nothing per
request."""


class Listener:
    """One port; the `House` of its connections."""

    def __init__(self, serve: Serve, tasks: Tasks) -> None:
        self.serve: Final = serve
        self.tasks: Final = tasks
        self.now = now_s()
        self.draining = False
        self.connections: Final[set[CallerConnection]] = set()
        """Open ones."""
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    async def start(self, bound: socket.socket, *, backlog: int) -> None:
        """Accept on a bound socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accepted, sock=bound, backlog=backlog)

    async def drain(self, timeout_s: float) -> None:
        """Stop accepting, let requests under way finish within the time, then break them off."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.retire()
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            await self._empty.wait()
        if self._timer is not None:
            self._timer.cancel()

    def _accepted(self) -> asyncio.Protocol:
        # It has all the methods of one; as a subclass it could not be compiled.
        return cast("asyncio.Protocol", CallerConnection(self))

    # ---------------------------------------------------------- what connections tell
    def joined(self, connection: CallerConnection) -> None:
        """Note a new connection (see `House`)."""
        self.connections.add(connection)
        self._empty.clear()
        if self._timer is None:
            self._tick()

    def left(self, connection: CallerConnection) -> None:
        """Forget a closed connection (see `House`)."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    def _tick(self) -> None:
        self.now = now = now_s()
        for connection in [one for one in self.connections if one.deadline <= now]:
            connection.strike(now)
        self._timer = None
        if self.connections:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
