"""The own upstream client in tests: on both event loops, with short time-outs, and whole answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cliproxy_api.snapshot import ConnectionPool, Timeouts
from cliproxy_sidecar.core.outcome import TransportError
from cliproxy_sidecar.proxy.h1.client import EngineUpstream
from cliproxy_sidecar.proxy.h1.pool import Pool
from cliproxy_sidecar.proxy.upstream import RawHeaders, UpstreamFailed, UpstreamRequest, UpstreamResponse
from support.rawserver import RawServer, trusting_context

PATIENT = Timeouts(connect_s=5.0, first_byte_s=5.0, idle_s=5.0, total_s=8.0)
HASTY = Timeouts(connect_s=5.0, first_byte_s=0.15, idle_s=0.15, total_s=8.0)
BODY = b'{"model":"gpt-4o"}'


@dataclass(frozen=True)
class Got:
    """How one call ended."""

    status: int
    body: bytes
    error: str | None
    headers: RawHeaders = ()
    failure: TransportError | None = None


@asynccontextmanager
async def engine(pool: ConnectionPool | None = None) -> AsyncIterator[EngineUpstream]:
    """A client that trusts the tests' authority; nothing of it is left behind."""
    client = EngineUpstream(pool or ConnectionPool(), context=trusting_context)
    try:
        yield client
    finally:
        await client.aclose()


def request(url: str, *, method: str = "POST", body: bytes = BODY) -> UpstreamRequest:
    """Return a request with a key."""
    return UpstreamRequest(method, url, ((b"authorization", b"Bearer sk-test"),), body)


async def call(
    client: EngineUpstream,
    url: str,
    timeouts: Timeouts = PATIENT,
    *,
    method: str = "POST",
    body: bytes = BODY,
) -> Got:
    """Send one request and read the whole answer."""
    async with asyncio.timeout(20):
        try:
            response = await client.send(request(url, method=method, body=body), timeouts)
        except UpstreamFailed as failed:
            return Got(0, b"", failed.error.kind, failure=failed.error)
        return await rest(response)


async def rest(response: UpstreamResponse) -> Got:
    """Read an answer to its end and let go of it."""
    body, error = b"", None
    try:
        while piece := await response.read():
            body += piece
    except UpstreamFailed as failed:
        error = failed.error
    finally:
        response.close()
    return Got(response.status, body, error.kind if error else None, response.headers, error)


def pool_of(client: EngineUpstream, server: RawServer) -> Pool:
    """Return the client's pool for the server."""
    return next(pool for origin, pool in client._pools.items() if origin.port == server.port)
