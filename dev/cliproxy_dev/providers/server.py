"""A small HTTP/1.1 server on raw asyncio that leaves every byte of an answer to its application.

An ASGI server would repair, buffer or refuse what the scripted providers must send (half a body, no HTTP at
all, a TCP reset), so this one only parses requests, keeps them in order on a connection, and hands out a
connection to write to. What is answered is left to the application.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, cast

import httptools

from cliproxy_dev.accepting import all_accepted
from cliproxy_dev.providers import binding
from cliproxy_dev.tasks import Tasks

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Anthropic's own limit for a request body (errors documentation, read 2026-11); the rest is not kept."""
MAX_WAITING = 16
"""Pipelined requests kept per connection before reading pauses: enough for any client, small."""
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n"
    b"connection: close\r\ncontent-length: 11\r\n\r\nBad Request"
)


@dataclass(slots=True)
class Request:
    """One request as it came. Header names are in lower case; of a repeated header the last counts."""

    method: str = ""
    path: str = ""
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    too_big: bool = False
    keep_alive: bool = True
    chunked: bool = True  # an HTTP/1.1 caller understands a chunked answer


Work: TypeAlias = Coroutine[Any, Any, None]
App: TypeAlias = Callable[[Request, "Connection"], Work | None]
"""Answers a request: at once (returns None) or by the coroutine it returns, which is then run to its end.
The coroutine is cancelled when the caller leaves."""


class Connection(asyncio.Protocol):
    """One accepted connection: parses requests, runs the application on them one after the other."""

    def __init__(self, app: App, tasks: Tasks, open_connections: set["Connection"]) -> None:
        self._app = app
        self._tasks = tasks
        self._open = open_connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._busy = False
        self._paused = False
        self._task: asyncio.Task[Any] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport
        self._request = Request()
        self._url = b""
        self._parts: list[bytes] = []
        self._size_bytes = 0

    # ------------------------------------------------------------------ what the application uses
    def write(self, data: bytes) -> None:
        """Send without waiting; for small answers."""
        self._transport.write(data)

    async def send(self, data: bytes) -> None:
        """Send, then wait while the caller reads more slowly than we write."""
        self._transport.write(data)
        if self._writable is not None:
            await self._writable

    def close(self) -> None:
        """End the connection once everything written has been sent."""
        self._transport.close()

    def reset(self) -> None:
        """End the connection with a TCP reset; what the kernel has not sent yet is lost."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            # Linger 0 turns the close into a reset. On a duplicate: uvloop's socket object refuses options.
            twin = socket.fromfd(sock.fileno(), sock.family, sock.type)
            with twin:
                twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    # ------------------------------------------------------------------ asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: asyncio's callback."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the type
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """End: asyncio's callback. Work for a caller who left is cancelled."""
        self._open.discard(self)
        self._waiting.clear()
        self.resume_writing()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Note that the caller reads slowly: asyncio's callback."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Note that the caller caught up: asyncio's callback."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def data_received(self, data: bytes) -> None:
        """Parse what came: asyncio's callback."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request is complete and gets its ordinary answer; no protocol is switched
        except httptools.HttpParserError:
            self._transport.write(_BAD_REQUEST)
            self._transport.close()

    # ------------------------------------------------------------------ httptools
    def on_message_begin(self) -> None:
        """Start a request: the parser's callback."""
        self._request, self._url, self._parts, self._size_bytes = Request(), b"", [], 0

    def on_url(self, url: bytes) -> None:
        """Collect the target: the parser's callback, perhaps in pieces."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header: the parser's callback."""
        self._request.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Invite a body that waits for it: the parser's callback."""
        if self._request.headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body: the parser's callback."""
        self._size_bytes += len(data)
        if self._size_bytes <= MAX_BODY_BYTES:
            self._parts.append(data)
        else:
            self._parts.clear()

    def on_message_complete(self) -> None:
        """Hand the request on: the parser's callback."""
        request = self._request
        request.method = self._parser.get_method().decode("latin-1")
        path, _, request.query = self._url.decode("latin-1").partition("?")
        request.path = path
        request.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        request.too_big = self._size_bytes > MAX_BODY_BYTES
        request.keep_alive = self._parser.should_keep_alive()
        request.chunked = self._parser.get_http_version() == "1.1"
        self._waiting.append(request)
        if len(self._waiting) >= MAX_WAITING and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if not self._busy:
            self._serve()

    # ------------------------------------------------------------------ one request after the other
    def _serve(self) -> None:
        """Answer waiting requests until one takes time or none is left."""
        while self._waiting and not self._transport.is_closing():
            request = self._waiting.popleft()
            self._busy = True
            work = self._app(request, self)
            if work is not None:
                self._task = self._tasks.spawn(work, f"answer {request.method} {request.path}")
                self._task.add_done_callback(partial(self._worked, request))
                return
            self._finish(request)
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _worked(self, request: Request, task: asyncio.Task[Any]) -> None:
        self._task = None
        if task.cancelled() or task.exception() is not None:
            self._transport.abort()
            return
        self._finish(request)
        self._serve()

    def _finish(self, request: Request) -> None:
        self._busy = False
        if not request.keep_alive:
            self._transport.close()


class Server:
    """A listener that can be taken down and up again on the same port, like a provider's outage."""

    def __init__(self, app: App, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self._app = app
        self._tasks = Tasks()
        self._connections: set[Connection] = set()
        self._listener: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    @property
    def is_up(self) -> bool:
        """Whether new connections are accepted."""
        return self._listener is not None

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    async def up(self) -> None:
        """Listen; does nothing when up. Raises OSError if the port is taken."""
        if self._listener is not None:
            return
        sock = self._reserved or binding.bound(self.host, self.port)
        self._reserved = None
        self.port = sock.getsockname()[1]
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._app, self._tasks, self._connections), sock=sock, backlog=2048
        )

    async def down(self) -> None:
        """Refuse new connections and reset the open ones; the port stays ours. Does nothing when down."""
        if self._listener is not None:
            await self._end()
            self._reserved = await binding.rebound(self.host, self.port)

    async def stop(self) -> None:
        """End everything: listener, connections, work in progress."""
        await self._end()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    async def _end(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await all_accepted()
            listener.close()
        for connection in tuple(self._connections):
            connection.reset()
        await self._tasks.stop()
        if listener is not None:
            await listener.wait_closed()
        while self._connections:  # noqa: ASYNC110 -- each leaves by its connection_lost, within a turn or two of the loop
            await asyncio.sleep(0)
