"""The servers of one process: bind first, serve in one loop, drain together.

Who serves what is handed in; uvicorn serves what is not the data path. Signals are `__main__`'s business, so
uvicorn's own handling is off.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import uvicorn

from cliproxy_sidecar.runtime.asgi import App
from cliproxy_sidecar.runtime.tasks import Tasks
from cliproxy_sidecar.serverprotocol import BoundedHttpProtocol

BACKLOG: Final = 2048
KEEP_ALIVE_S: Final = 75
_START_TIMEOUT_S: Final = 10.0


class PortTaken(OSError):
    """A port cannot be bound; whoever starts the sidecar can mend that."""


class Serving(Protocol):
    """A server of one port."""

    async def start(self, bound: socket.socket, *, backlog: int) -> None:
        """Accept on a bound socket."""
        ...

    async def drain(self, timeout_s: float) -> None:
        """Stop accepting, let requests under way finish within the time, break the rest off."""
        ...


@dataclass(frozen=True, slots=True)
class Door:
    """One port and who serves it; port 0 takes any free one."""

    name: str
    server: Serving
    host: str
    port: int


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.accepting.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: several servers share one process."""
        yield


class AsgiServer:
    """uvicorn in front of an ASGI application: for what is not the data path."""

    def __init__(
        self,
        name: str,
        app: App,
        tasks: Tasks,
        *,
        drain_timeout_s: float,
        protocol: type[BoundedHttpProtocol] = BoundedHttpProtocol,
        tls: ssl.SSLContext | None = None,
        keep_alive_s: int = KEEP_ALIVE_S,
    ) -> None:
        """Be ready to start; `tls` None is plain HTTP."""
        # What it would log is known (start, stop), the caller's doing (no HTTP), or told with more sense by
        # the applications (bugs, answers that break off).
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._name = name
        self._tasks = tasks
        config = _config(app, drain_timeout_s, protocol, tls, keep_alive_s)
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, bound: socket.socket, *, backlog: int) -> None:
        """Accept on a bound socket (see `Serving`)."""
        self._server.config.backlog = backlog
        self._task = self._tasks.spawn(self._server.serve(sockets=[bound]), f"server {self._name}")
        await self._server.accepting.wait()

    async def drain(self, timeout_s: float) -> None:
        """Drain (see `Serving`); the time is the configuration's."""
        del timeout_s
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class Servers:
    """All doors of the process."""

    def __init__(self, *, drain_timeout_s: float) -> None:
        self._drain_timeout_s = drain_timeout_s
        self._running: list[Serving] = []
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
        async with asyncio.timeout(_START_TIMEOUT_S):
            for door, bound in zip(doors, sockets, strict=True):
                self.ports[door.name] = bound.getsockname()[1]
                await door.server.start(bound, backlog=BACKLOG)
                self._running.append(door.server)

    async def drain(self) -> None:
        """Stop accepting, let requests in flight finish within the drain timeout, then end."""
        drains = [server.drain(self._drain_timeout_s) for server in self._running]
        await asyncio.gather(*drains, return_exceptions=True)
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


def _config(
    app: App,
    drain_timeout_s: float,
    protocol: type[BoundedHttpProtocol],
    tls: ssl.SSLContext | None,
    keep_alive_s: int,
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
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
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=max(1, round(drain_timeout_s)),
    )
