"""The upstream interface on own connections: one client, hence its own pools, per provider.

Writes the request's head and sends a request once more where a kept connection turned out dead. Who gets a
connection is `pool`'s, what happens on it `connection`'s business.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from cliproxy_api.snapshot import ConnectionPool, Timeouts
from cliproxy_sidecar.core.outcome import TransportError
from cliproxy_sidecar.proxy.h1.answer import Answer, failure
from cliproxy_sidecar.proxy.h1.connection import Connection
from cliproxy_sidecar.proxy.h1.dial import Dialler, Origin
from cliproxy_sidecar.proxy.h1.pool import Pool
from cliproxy_sidecar.proxy.h1.tls import client_context
from cliproxy_sidecar.proxy.upstream import Connections, UpstreamRequest

_MAX_ROUTES: Final = 4096
"""Distinct addresses of one provider: operations x models are far below, but callers' queries count too."""
_MAX_ROUTE_CHARS: Final = 1024
"""Of an address that is remembered: a query can be as long as a head."""
_OURS: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})
_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Route:
    """What requests to one address have in common."""

    prefix: bytes
    """Request line and host, as they go out."""
    pool: Pool


class EngineUpstream:
    """Connections to one provider."""

    def __init__(
        self, pool: ConnectionPool, *, context: Callable[[], ssl.SSLContext] = client_context
    ) -> None:
        self._bounds = pool
        self._context = context
        self._pools: dict[Origin, Pool] = {}
        self._routes: dict[tuple[str, str], Route] = {}
        self._loop = asyncio.get_running_loop()

    async def send(self, request: UpstreamRequest, timeouts: Timeouts) -> Answer:
        """Send one request (see `Upstream`).

        A kept connection that turns out dead before the first byte is no verdict on the provider (it closes
        idle ones when it likes), so the request goes out once more on a fresh one; the body is all here.
        """
        total_at = self._loop.time() + timeouts.total_s
        route = self._routes.get((request.method, request.url)) or self._route(request.method, request.url)
        head = _head(route.prefix, request)
        pool = route.pool
        connection = pool.take() or await pool.get(connect_s=timeouts.connect_s, total_at=total_at)
        kept = connection.used
        answer = connection.ask(
            head, request.body, timeouts, total_at=total_at, head_only=request.method == "HEAD"
        )
        try:
            if answer.connection is not None:
                await answer
        except BaseException:
            answer.close()
            raise
        if kept and answer.silent and answer.error is not None and answer.error.kind == "reset":
            connection = await pool.get(connect_s=timeouts.connect_s, total_at=total_at, fresh=True)
            answer = await _ask(connection, head, request, timeouts, total_at)
        if answer.error is not None and not answer.status:
            raise failure(answer.error)
        return answer

    async def warm(self, url: str, count: int, *, connect_s: float) -> None:
        """Have `count` connections to the address's origin ready, as far as its bounds allow.

        Raises:
            UpstreamFailed: one cannot be opened.

        """
        await self._route("GET", url).pool.warm(count, connect_s=connect_s)

    def connections(self) -> dict[str, Connections]:
        """Return the connections by origin (see `Upstream`)."""
        return {str(origin): pool.connections() for origin, pool in self._pools.items()}

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()

    def _route(self, method: str, url: str) -> Route:
        origin, host, target = split_url(url)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(self._bounds, Dialler(origin, self._context).dial)
        prefix = f"{method} {target} HTTP/1.1\r\nhost: {host}".encode("ascii")
        route = Route(prefix, pool)
        if len(url) <= _MAX_ROUTE_CHARS:
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            self._routes[method, url] = route
        return route


async def _ask(
    connection: Connection, head: bytes, request: UpstreamRequest, timeouts: Timeouts, total_at: float
) -> Answer:
    """Return the answer once its head is there or it has failed; cancelling closes the connection."""
    answer = connection.ask(
        head, request.body, timeouts, total_at=total_at, head_only=request.method == "HEAD"
    )
    try:
        if answer.connection is not None:
            await answer
    except BaseException:
        answer.close()
        raise
    return answer


def _head(prefix: bytes, request: UpstreamRequest) -> bytes:
    """Return the head of the request.

    Raises:
        UpstreamFailed: a header has a line break or NUL in it, which would be a second header or request.

    """
    if not request.headers and request.body:
        return b"%b%b\r\ncontent-length: %d\r\n\r\n" % (prefix, request.block, len(request.body))
    lines = [name + b": " + value for name, value in request.headers if name not in _OURS]
    if request.body or request.method not in _BODILESS:
        lines.append(b"content-length: %d" % len(request.body))
    breaks = max(len(lines) - 1, 0)
    head = b"\r\n".join(lines)
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise failure(TransportError("protocol", "a header that cannot be sent"))
    if lines:
        head = b"\r\n" + head
    return prefix + request.block + head + b"\r\n\r\n"


def split_url(url: str) -> tuple[Origin, str, str]:
    """Return where to connect, the value of the Host header, and the request's target.

    Raises:
        UpstreamFailed: not an absolute http(s) address, or with characters that no request line can carry.

    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    bad = not url.isascii() or not url.isprintable() or " " in url or parts.username is not None
    if host is None or not host or parts.scheme not in _PORTS or bad:
        raise failure(TransportError("protocol", "the address is no absolute http(s) URL"))
    default = _PORTS[parts.scheme]
    named = f"[{host}]" if ":" in host else host
    if port is not None and port != default:
        named = f"{named}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(host, default if port is None else port, parts.scheme == "https"), named, target
