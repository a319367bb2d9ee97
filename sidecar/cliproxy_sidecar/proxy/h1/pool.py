"""Who gets which connection of one origin: kept ones first, new ones up to the bound, then who asked first.

Opening is left to `dial`, what happens on a connection to `connection`. Every connection that is open or
being opened holds one of `max_connections` places; a place given up goes to the longest waiting.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from cliproxy_api.snapshot import ConnectionPool
from cliproxy_sidecar.core.outcome import TransportError
from cliproxy_sidecar.proxy.h1.answer import failure
from cliproxy_sidecar.proxy.h1.connection import Connection
from cliproxy_sidecar.proxy.upstream import Connections
from cliproxy_sidecar.runtime.light import in_task

BURST_S: Final = 1.0
"""How long more than `max_idle_connections` may be idle. Closing them at once would make a steady load of,
say, 32 requests open 22 connections again and again, as all of them are idle for an instant between two."""

_CLOSED: Final = TransportError("connect", "the connection is closed")
_CROWDED: Final = TransportError("total_timeout", "no connection became free in time")
_SLOW: Final = TransportError("connect", "no connection in time")


class Pool:
    """The connections to one origin."""

    def __init__(self, bounds: ConnectionPool, dial: Callable[[], Awaitable[Connection]]) -> None:
        self._bounds = bounds
        self._dial = dial
        self._loop = asyncio.get_running_loop()
        self._places = bounds.max_connections
        """Free ones."""
        self._idle: deque[Connection] = deque()
        """The longest idle first."""
        self._open: set[Connection] = set()
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._reap_at = float("inf")
        self._closed = False
        self._emptied: asyncio.Future[None] | None = None

    @property
    def open_connections(self) -> int:
        """How many are open, idle or not."""
        return len(self._open)

    @property
    def idle_connections(self) -> int:
        """How many can be used at once."""
        return len(self._idle)

    def connections(self) -> Connections:
        """Return how many there are now."""
        return Connections(
            open=len(self._open),
            idle=len(self._idle),
            connecting=self._bounds.max_connections - self._places - len(self._open),
            waiting=sum(1 for waiter in self._waiting if not waiter.done()),
        )

    def take(self) -> Connection | None:
        """Return the kept connection that was used last, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    async def get(self, *, connect_s: float, total_at: float, fresh: bool = False) -> Connection:
        """Return a kept or new connection; `fresh`: a new one in any case.

        Raises:
            UpstreamFailed: none in time, or it cannot be opened.

        """
        await in_task()
        while True:
            if self._closed:
                raise failure(_CLOSED)
            if not fresh and (connection := self.take()) is not None:
                return connection
            if self._places > 0:
                self._places -= 1
                break
            connection = (self._oldest() if fresh else None) or await self._wait(total_at)
            if connection is None:
                break
            if connection.owner is None:
                continue  # It was lost on the way, and its place with it.
            if not fresh and not connection.closed:
                return connection
            self._retire(connection)
            break
        return await self._open_one(connect_s, total_at)

    async def warm(self, count: int, *, connect_s: float) -> None:
        """Open connections until `count` are idle or places run out; stops at the first failure.

        Raises:
            UpstreamFailed: one cannot be opened.

        """
        while len(self._idle) < count and self._places > 0:
            self._places -= 1
            self.free(await self._open_one(connect_s, float("inf")))

    async def aclose(self) -> None:
        """Close all connections and refuse whoever waits."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(failure(_CLOSED))
        self._waiting.clear()
        self._idle.clear()
        if self._open:
            self._emptied = self._loop.create_future()
            for connection in list(self._open):
                connection.abort()
            await self._emptied

    # --------------------------------------------------------- what connections tell
    def free(self, connection: Connection) -> None:
        """Give the connection to the longest waiting, or keep it (see `Owner`)."""
        if self._closed:
            connection.abort()
        elif not self._hand_over(connection):
            connection.idle_since = now = self._loop.time()
            self._idle.append(connection)
            crowded = len(self._idle) > self._bounds.max_idle_connections
            self._reap_by(now + (BURST_S if crowded else self._bounds.idle_timeout_s))

    def lost(self, connection: Connection) -> None:
        """Give its place away (see `Owner`)."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._give_place()
        if not self._open and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    # ------------------------------------------------------------------------ inside
    async def _wait(self, total_at: float) -> Connection | None:
        """Return a connection, or None for the right to open one."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(total_at):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._return(waiter.result())
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                raise failure(_CROWDED) from None
            raise

    def _return(self, given: Connection | None) -> None:
        """Pass on what was given to somebody who has just left."""
        if given is None:
            self._give_place()
        elif not given.closed:
            self.free(given)

    def _hand_over(self, given: Connection | None) -> bool:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(given)
                return True
        return False

    def _give_place(self) -> None:
        if not self._hand_over(None):
            self._places += 1

    def _oldest(self) -> Connection | None:
        return self._idle.popleft() if self._idle else None

    async def _open_one(self, connect_s: float, total_at: float) -> Connection:
        """Open a connection for a place that is held already."""
        at = self._loop.time() + connect_s
        try:
            async with asyncio.timeout_at(min(at, total_at)):
                connection = await self._dial()
        except TimeoutError:
            self._give_place()
            raise failure(_SLOW if at <= total_at else _CROWDED) from None
        except BaseException:
            self._give_place()
            raise
        if self._closed or connection.closed:
            connection.abort()
            self._give_place()
            raise failure(_CLOSED)
        connection.owner = self
        self._open.add(connection)
        return connection

    def _retire(self, connection: Connection) -> None:
        """Close a connection and keep its place."""
        self._open.discard(connection)
        connection.owner = None
        connection.abort()

    def _reap_by(self, at: float) -> None:
        if at < self._reap_at:
            if self._reaper is not None:
                self._reaper.cancel()
            self._reap_at = at
            self._reaper = self._loop.call_at(at, self._reap)

    def _reap(self) -> None:
        """Close what has been idle for too long, and set the timer for the next."""
        self._reaper, self._reap_at = None, float("inf")
        now, idle = self._loop.time(), self._idle
        while idle:
            crowded = len(idle) > self._bounds.max_idle_connections
            due = idle[0].idle_since + (BURST_S if crowded else self._bounds.idle_timeout_s)
            if due > now:
                self._reap_by(due)
                return
            idle.popleft().abort()
