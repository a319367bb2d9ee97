"""One HTTPS address for two API servers: custom resources go to the newest, everything else to the other.

What kube-aggregator does inside every kube-apiserver, by path. Tokens pass through: both servers know the
same users. Which paths are whose stands in `belongs_to_newest`; starting the servers is `plane`'s.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

HOP: Final = frozenset({"host", "connection", "transfer-encoding", "content-length", "keep-alive"})
LARGEST_BODY_BYTES: Final = 16 << 20
GROUPS: Final = "/apis"
SERVED_GROUPS: Final = ("apiextensions.k8s.io", "cliproxy.io")
OURS: Final = (*(f"{GROUPS}/{name}" for name in SERVED_GROUPS), "/openapi/v3")
"""What the newest server answers for, with everything below."""


def belongs_to_newest(path: str) -> bool:
    """Say whether the newest server answers this path."""
    return any(path == ours or path.startswith(f"{ours}/") for ours in OURS)


def merged(core: dict[str, Any], newest: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the list of API groups with those of the newest server; one of both is the newest's."""
    names = {group["name"] for group in newest}
    return core | {"groups": [*(one for one in core["groups"] if one["name"] not in names), *newest]}


class Front:
    """The proxy. `start` and `stop` must run in the same event loop."""

    def __init__(self, *, core: str, newest: str, trusted: ssl.SSLContext | bool) -> None:
        """`core` and `newest` are base URLs; `trusted` knows the certificates of both."""
        self.core, self.newest = core, newest
        self._trusted = trusted
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, *, certificate: Path, key: Path) -> str:
        """Listen on loopback with this certificate; returns the URL."""
        connector = aiohttp.TCPConnector(ssl=self._trusted, limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            # Compressed if the client asked for it, and passed on as it comes.
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding",),
        )
        app = web.Application(client_max_size=LARGEST_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
        await self._runner.setup()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        await asyncio.to_thread(tls.load_cert_chain, certificate, key)
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls).start()
        return f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close every connection. Safe to call again."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        self._runner = self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the front was not started")
        return self._session

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == GROUPS and request.method == "GET":
            return await self._groups(request)
        base = self.newest if belongs_to_newest(request.path) else self.core
        return await self._forward(request, base + request.raw_path)

    async def _groups(self, request: web.Request) -> web.StreamResponse:
        """Answer with the plain list, which every client reads when the newer forms are not offered.

        The newest server tells of each group but has no list: in kube-apiserver that is the aggregator's.
        """
        headers = passed_on(request.headers)
        for name in ("Accept", "Accept-Encoding"):
            headers.popall(name, None)
        headers["Accept"] = "application/json"
        found = []
        for url in (self.core + GROUPS, *(f"{self.newest}{GROUPS}/{name}" for name in SERVED_GROUPS)):
            async with self._client().get(url, headers=headers) as answer:
                body = await answer.read()
                if answer.status == web.HTTPOk.status_code:
                    found.append(json.loads(body))
                elif not found:
                    return web.Response(body=body, status=answer.status, content_type="application/json")
        core, *newest = found
        return web.json_response(merged(core, newest))

    async def _forward(self, request: web.Request, url: str) -> web.StreamResponse:
        body = await request.read() or None  # an empty body would get a content type, and a 406
        headers = passed_on(request.headers)
        try:
            async with self._client().request(request.method, url, headers=headers, data=body) as upstream:
                return await _copy(request, upstream)
        except aiohttp.ClientConnectionError as error:
            return web.Response(status=502, text=f"{url.partition('?')[0]}: {error}")


async def _copy(request: web.Request, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    """Pass the answer on while it comes; half an answer ends as one."""
    response = web.StreamResponse(status=upstream.status, headers=passed_on(upstream.headers))
    try:
        await response.prepare(request)
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except (ConnectionError, aiohttp.ClientError):
        if request.transport is not None:
            request.transport.abort()
    return response


def passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Return the headers that a proxy passes on; a name may come several times (kopf's Accept does)."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP)
