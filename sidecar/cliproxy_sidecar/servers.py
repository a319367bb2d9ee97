"""The uvicorn servers of one process: bind first, serve in one loop, drain together.

What they serve is handed in; signals are `__main__`'s business, so uvicorn's own handling is off.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import uvicorn

from cliproxy_sidecar.runtime.asgi import App
from cliproxy_sidecar.runtime.tasks import Tasks
from cliproxy_sidecar.serverprotocol import BoundedHttpProtocol

BACKLOG: Final = 2048
KEEP_ALIVE_S: Final = 75
"""Longer than the pools of common HTTP clients keep idle connections, so that they close first."""
_START_TIMEOUT_S: Final = 10.0


class PortTaken(OSError):
    """A port cannot be bound; whoever starts the sidecar can mend that."""


@dataclass(frozen=True, slots=True)
class Door:
    """One application and where it is served; port 0 takes any free one."""

    name: str
    app: App
    host: str
    port: int
    protocol: type[BoundedHttpProtocol] = BoundedHttpProtocol
    tls: ssl.SSLContext | None = None
    """None: plain HTTP."""
    keep_alive_s: int = KEEP_ALIVE_S


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.accepting.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: three servers share one process."""
        yield


class Servers:
    """All doors of the process."""

    def __init__(self, tasks: Tasks, *, drain_timeout_s: float) -> None:
        # What it would log is known (start, stop), the caller's doing (no HTTP), or told with more sense by
        # the applications (bugs, answers that break off).
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._tasks = tasks
        self._drain_timeout_s = drain_timeout_s
        self._running: list[tuple[_Server, asyncio.Task[None]]] = []
        self._by_name: dict[str, _Server] = {}
        self.ports: dict[str, int] = {}

    async def start(self, doors: Sequence[Door]) -> None:
        """Bind all ports, then accept on all of them.

        Raises:
            PortTaken: one cannot be bound; none is served then.

        """
        sockets: list[socket.socket] = []
        try:
            for door in doors:
                sockets.append(_bind(door))  # noqa: PERF401 -- those bound so far must be closed on failure
        except PortTaken:
            for bound in sockets:
                bound.close()
            raise
        for door, bound in zip(doors, sockets, strict=True):
            self.ports[door.name] = bound.getsockname()[1]
            server = _Server(_config(door, self._drain_timeout_s))
            task = self._tasks.spawn(server.serve(sockets=[bound]), f"server {door.name}")
            self._running.append((server, task))
            self._by_name[door.name] = server
        async with asyncio.timeout(_START_TIMEOUT_S):
            for server, _ in self._running:
                await server.accepting.wait()

    def connections(self, name: str) -> int:
        """Return how many connections a door holds open; 0 if there is no such door."""
        server = self._by_name.get(name)
        return len(server.server_state.connections) if server is not None else 0

    async def drain(self) -> None:
        """Stop accepting, let requests in flight finish within the drain timeout, then end."""
        for server, _ in self._running:
            server.should_exit = True
        await asyncio.gather(*(task for _, task in self._running), return_exceptions=True)
        self._running.clear()


def _bind(door: Door) -> socket.socket:
    family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((door.host, door.port))
    except OSError as error:
        bound.close()
        why = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise PortTaken(error.errno, f"cannot serve {door.name} on {door.host}:{door.port}: {why}") from None
    bound.listen(BACKLOG)
    bound.setblocking(False)  # noqa: FBT003 -- the standard library's signature
    return bound


def _config(door: Door, drain_timeout_s: float) -> uvicorn.Config:
    tls = door.tls
    return uvicorn.Config(
        door.app,
        http=door.protocol,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the provider's own passes; two would be one too many
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=door.keep_alive_s,
        timeout_graceful_shutdown=max(1, round(drain_timeout_s)),
    )
