"""The upstream interface on aiohttp: one session, hence one connection pool, per provider.

Which failure means what is said by `TransportError`; what follows from it is the exchange's business.
Selected by CLIPROXY_UPSTREAM=aiohttp where providers are reached through an HTTP proxy, which the own client
does not speak: HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured. aiohttp has no bound of its own for idle
connections, so `maxIdleConnectionsPerHost` is not kept here; nor does it speak HTTP/2.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Final
from urllib.request import getproxies_environment

import aiohttp
from aiohttp import http_exceptions
from yarl import URL

from cliproxy_api.snapshot import ConnectionPool, Timeouts
from cliproxy_sidecar.core.headers import headers_of
from cliproxy_sidecar.core.outcome import TransportError, TransportFault
from cliproxy_sidecar.proxy.upstream import RawHeaders, UpstreamFailed, UpstreamRequest
from cliproxy_sidecar.runtime.light import in_task

MAX_HEADERS: Final = 200
"""Lines in an answer's head; the largest provider sends about 50."""
MAX_HEADER_LINE_BYTES: Final = 16 * 1024
_URL_CACHE: Final = 4096
"""Distinct URLs of one provider: operations x models, far below; bounded all the same."""
_AUTO_HEADERS: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""aiohttp raises ValueError for a head it will not send or a URL it cannot read."""


class _Trip:
    """What the trace learns about one send."""

    __slots__ = ("reused",)

    def __init__(self) -> None:
        self.reused = False


class AiohttpResponse:
    """An answer whose head has arrived."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: RawHeaders = response.raw_headers

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the end (see `UpstreamResponse`)."""
        try:
            return await self._response.content.readany()
        except _FAILURES as error:
            self._response.close()
            raise UpstreamFailed(_classify(error, began=True)) from None

    def whole(self, at_most_bytes: int) -> bytes | None:
        """Say that it has to be read (see `UpstreamResponse`)."""
        del at_most_bytes
        return None

    def close(self) -> None:
        """Give the connection back, or close it (see `UpstreamResponse`)."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class AiohttpUpstream:
    """Connections to one provider."""

    def __init__(self, pool: ConnectionPool) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        self._session = _session(
            aiohttp.TCPConnector(limit=pool.max_connections, keepalive_timeout=pool.idle_timeout_s), [trace]
        )
        self._fresh: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def send(self, request: UpstreamRequest, timeouts: Timeouts) -> AiohttpResponse:
        """Send one request (see `Upstream`).

        A kept connection that turns out dead before the first byte is no verdict on the provider (it closes
        idle ones when it likes), so the request goes out once more on a fresh one; the body is all here.
        """
        await in_task()
        trip = _Trip()
        try:
            return await self._send(self._session, request, timeouts, trip)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not trip.reused or not _never_answered(error):
                raise UpstreamFailed(_classify(error, began=False)) from None
        except _FAILURES as error:
            raise UpstreamFailed(_classify(error, began=False)) from None
        try:
            return await self._send(self._fresh_session(), request, timeouts, trip)
        except _FAILURES as error:
            raise UpstreamFailed(_classify(error, began=False)) from None

    async def _send(
        self,
        session: aiohttp.ClientSession,
        request: UpstreamRequest,
        timeouts: Timeouts,
        trip: _Trip,
    ) -> AiohttpResponse:
        response = await session.request(
            request.method,
            self._url(request.url),
            headers=[
                (_text(name), _text(value)) for name, value in (*request.headers, *headers_of(request.block))
            ],
            data=request.body or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                total=timeouts.total_s, sock_connect=timeouts.connect_s, sock_read=timeouts.first_byte_s
            ),
            trace_request_ctx=trip,
        )
        # Until the first byte of the body the long time-out holds, between later bytes the idle one.
        if (connection := response.connection) is not None and connection.protocol is not None:
            connection.protocol.read_timeout = timeouts.idle_s
        return AiohttpResponse(response)

    def _url(self, text: str) -> URL:
        url = self._urls.get(text)
        if url is None:
            if len(self._urls) >= _URL_CACHE:
                self._urls.clear()
            url = self._urls[text] = URL(text, encoded=True)
        return url

    def _fresh_session(self) -> aiohttp.ClientSession:
        if self._fresh is None:
            self._fresh = _session(aiohttp.TCPConnector(force_close=True), [])
        return self._fresh

    def connections(self) -> None:
        """Say that aiohttp keeps its figures to itself (see `Upstream`)."""

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()
        if self._fresh is not None:
            await self._fresh.close()


def _session(connector: aiohttp.TCPConnector, traces: list[aiohttp.TraceConfig]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_AUTO_HEADERS,
        trace_configs=traces,
        # Looking for a proxy doubles aiohttp's CPU per request, so it looks only where there is one to find.
        trust_env=bool(getproxies_environment()),
        max_line_size=MAX_HEADER_LINE_BYTES,
        max_field_size=MAX_HEADER_LINE_BYTES,
        max_headers=MAX_HEADERS,
    )


async def _note_reuse(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceConnectionReuseconnParams
) -> None:
    context.trace_request_ctx.reused = True


def _never_answered(error: Exception) -> bool:
    """Whether not one byte of an answer had arrived."""
    return not isinstance(error, aiohttp.ServerDisconnectedError) or error.message in (
        None,
        "Server disconnected",
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _classify(error: Exception, *, began: bool) -> TransportError:
    """Name the failure; `began` says whether the head of an answer had arrived."""
    causes = tuple(_causes(error))
    kind = _kind(error, causes, began=began)
    return TransportError(kind=kind, message=f"{kind}: {_describe(causes)}"[:200])


def _describe(causes: Iterable[BaseException]) -> str:
    first = next(iter(causes))
    return " ".join(str(first).split()) or type(first).__name__


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _kind(error: Exception, causes: tuple[BaseException, ...], *, began: bool) -> TransportFault:  # noqa: PLR0911
    if any("oo many headers" in str(cause) for cause in causes):
        return "too_many_headers"
    if any(isinstance(cause, http_exceptions.LineTooLong) for cause in causes):
        return "too_many_headers"
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "connect"
        case aiohttp.SocketTimeoutError():
            return "idle_timeout" if began else "first_byte_timeout"
        case TimeoutError():
            return "total_timeout"
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return "tls"
        case aiohttp.ClientConnectorError():
            return "connect"
        case aiohttp.ClientPayloadError() if not any(
            isinstance(cause, http_exceptions.TransferEncodingError) for cause in causes
        ):
            return "reset"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
            return "reset"
        case _:
            return "protocol"
