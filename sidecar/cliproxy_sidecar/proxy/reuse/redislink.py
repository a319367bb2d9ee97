"""One connection to a Redis server, which nobody ever waits for longer than a moment.

Connecting happens in the background. While there is no connection, or the server is slow, every question is
answered "not there" at once. What the bytes mean is `core.cache.resp`'s, what the values are `shelf`'s.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlsplit

from cliproxy_sidecar.core.cache.entry import MAX_ENTRY_BYTES
from cliproxy_sidecar.core.cache.resp import Refused, Reply, ReplyReader, RespError, command
from cliproxy_sidecar.runtime.tasks import Tasks

log = logging.getLogger(__name__)

WAIT_S: Final = 0.05
"""For one answer: what a dead Redis may cost a request at most, and a few requests only."""
MAX_LATE: Final = 3
"""Late answers in a row after which the connection is given up."""
CONNECT_S: Final = 2.0
"""To connect, encrypt and log in; nobody waits for it."""
PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 30.0
"""Between attempts to connect: doubling from the first to the second."""
MAX_OPEN: Final = 512
"""Commands without an answer; further ones are not sent."""
MAX_UNSENT_BYTES: Final = 8 * 1024 * 1024
MAX_VALUE_BYTES: Final = MAX_ENTRY_BYTES + 64 * 1024
"""An entry with its headers."""
_PORT: Final = 6379


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where the server is, and the way in."""

    host: str
    port: int
    database: int
    tls: bool
    password: str

    @classmethod
    def of(cls, url: str, password: str) -> "RedisAddress":
        """Read redis://host:port/database; raises ValueError."""
        parts = urlsplit(url)
        database = parts.path.strip("/")
        host = parts.hostname or ""
        return cls(host, parts.port or _PORT, int(database or 0), parts.scheme == "rediss", password)

    def __repr__(self) -> str:
        """Name the server without its password."""
        return f"{'rediss' if self.tls else 'redis'}://{self.host}:{self.port}/{self.database}"


class RefusedByRedis(ConnectionError):
    """The server does not let us in."""


class _Connection(asyncio.Protocol):
    """Commands out, replies to those who wait, in order."""

    def __init__(self) -> None:
        self._reader = ReplyReader(max_bulk_bytes=MAX_VALUE_BYTES)
        self._waiting: deque[asyncio.Future[Reply]] = deque()
        self._transport: asyncio.Transport | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the connection has ended."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            replies = self._reader.feed(data)
        except RespError as error:
            return self.end(str(error))
        for reply in replies:
            if not self._waiting:
                return self.end("an answer to no question")
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(reply)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(str(exc or "the server closed the connection"))

    def end(self, why: str) -> None:
        """Break off."""
        if not self.lost.done():
            self.lost.set_result(why)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(Refused(why))

    def ask(self, *parts: bytes) -> asyncio.Future[Reply] | None:
        """Send a command; None: there is too much under way."""
        transport = self._transport
        if transport is None or len(self._waiting) >= MAX_OPEN:
            return None
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            return None
        waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        transport.write(command(*parts))
        return waiter


class RedisLink:
    """A server that may be away. Nothing here raises for what it does."""

    def __init__(
        self,
        address: RedisAddress,
        tasks: Tasks,
        *,
        context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self.address = address
        self._context = context
        self._connection: _Connection | None = None
        self._late = 0
        self._good = False
        """The present connection has answered in time."""
        self._told_away = False
        self.skipped = 0
        """Questions and values not sent: no connection, or too much under way."""
        self.late = 0
        self.errors = 0
        """Connections that failed or broke, and refusals."""
        self.last_error: str | None = None
        self._task = tasks.keep(self._run, "redis of the cache")

    @property
    def connected(self) -> bool:
        """Whether the server is asked at present."""
        return self._connection is not None and not self._connection.lost.done()

    async def get(self, key: bytes) -> bytes | None:
        """Return a value; None: not there, or not known in time."""
        connection = self._connection
        waiter = connection.ask(b"GET", key) if connection is not None else None
        if connection is None or waiter is None:
            self.skipped += 1
            return None
        try:
            async with asyncio.timeout(WAIT_S):
                reply = await waiter
        except TimeoutError:
            self._was_late(connection)
            return None
        if isinstance(reply, Refused):
            self._failed(reply.message)
            return None
        self._late, self._good = 0, True
        return reply if isinstance(reply, bytes) else None

    def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        """Have a value kept for this long; nobody waits for it."""
        connection = self._connection
        ttl_ms = max(int(ttl_s * 1000), 1)
        waiter = connection.ask(b"SET", key, value, b"PX", b"%d" % ttl_ms) if connection is not None else None
        if waiter is None:
            self.skipped += 1
        else:
            waiter.add_done_callback(self._put_done)

    def close(self) -> None:
        """Let go of the server."""
        self._task.cancel()

    # ------------------------------------------------------------------------ inside
    def _put_done(self, waiter: asyncio.Future[Reply]) -> None:
        if not waiter.cancelled() and isinstance(reply := waiter.result(), Refused):
            self._failed(reply.message)

    def _was_late(self, connection: _Connection) -> None:
        self.late += 1
        self._late += 1
        if self._late >= MAX_LATE:
            self._late = 0
            connection.end(f"{MAX_LATE} answers in a row took more than {WAIT_S * 1000:.0f} ms")

    def _failed(self, why: str) -> None:
        self.errors += 1
        self.last_error = why

    async def _run(self) -> None:
        """Keep a connection, for ever."""
        pause_s = PAUSE_S
        while True:
            self._good = False
            why = await self._stay_connected()
            self._failed(why)
            if self._good:
                pause_s = PAUSE_S
            if not self._told_away:
                self._told_away = True
                log.warning("the cache does without Redis at %r: %s", self.address, why)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, MAX_PAUSE_S)

    async def _stay_connected(self) -> str:
        """Return why there is no connection, or none any more."""
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await self._connect()
            self._connection = connection
            if self._told_away:
                self._told_away = False
                log.info("the cache shares answers through Redis at %r again", self.address)
            return await connection.lost
        except TimeoutError:
            return f"no connection within {CONNECT_S:g} s"
        except (OSError, ValueError) as error:
            return str(error) or type(error).__name__
        finally:
            self._connection = None
            if connection is not None:
                connection.end("closed")

    async def _connect(self) -> _Connection:
        address = self.address
        context = self._context() if address.tls else None
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, address.host, address.port, ssl=context)
        try:
            if address.password:
                await _expect(connection, b"AUTH", address.password.encode())
            if address.database:
                await _expect(connection, b"SELECT", b"%d" % address.database)
            await _expect(connection, b"PING")
        except BaseException:
            connection.end("closed")
            raise
        return connection


async def _expect(connection: _Connection, *parts: bytes) -> None:
    waiter = connection.ask(*parts)
    reply = await waiter if waiter is not None else Refused("the connection was closed")
    if isinstance(reply, Refused):
        raise RefusedByRedis(f"{parts[0].decode()}: {reply.message}")
