"""A proxy between the operator and the API server that breaks things on command.

Plain HTTP on its own side. Watches can be cut and their resumption answered with 410, every call can be
answered with an error, streams can be frozen, connections dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from cliproxy_dev.accepting import all_accepted
from cliproxy_dev.controlplane.start import ControlPlane

_HOP = {"host", "connection", "transfer-encoding", "content-length", "content-encoding", "keep-alive"}
GONE = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}


class FaultProxy:
    """One way to one API server; `async with proxy.serving()`."""

    def __init__(self, plane: ControlPlane) -> None:
        self._endpoint = plane.endpoint_of()
        self._session: aiohttp.ClientSession | None = None
        self._streams: dict[web.StreamResponse, web.Request] = {}
        self._gone: set[str] = set()
        self.url = ""
        self.status: int | None = None
        """Every call is answered with this status."""
        self.dropping = False
        """Every call's connection is closed without an answer."""
        self.watchable = asyncio.Event()
        """While clear, watches are refused by closing the connection."""
        self.watchable.set()
        self.flowing = asyncio.Event()
        """While clear, nothing passes in either direction, and nobody is told."""
        self.flowing.set()
        self.watches = 0
        """Watches opened so far."""
        self.gone_answers = 0
        """Watches answered with 410 so far."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FaultProxy]:
        """Listen."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
        connector = aiohttp.TCPConnector(ssl=self._endpoint.ssl_context(), limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            server: Any = site._server
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            try:
                yield self
            finally:
                self.flowing.set()
                self.cut()
                await all_accepted()
                await runner.cleanup()

    def cut(self, *, answer_gone: bool = False) -> None:
        """Close every open watch; with `answer_gone` the next resumption of each is answered with 410."""
        for request in list(self._streams.values()):
            if answer_gone:
                self._gone.add(request.path)
            if request.transport is not None:
                request.transport.abort()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await self.flowing.wait()
        watching = request.query.get("watch") == "true"
        if self.dropping or (watching and not self.watchable.is_set()):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if self.status is not None:
            words = {"kind": "Status", "status": "Failure", "reason": "Fault", "message": "on command"}
            return web.json_response({**words, "code": self.status}, status=self.status)
        if watching and request.path in self._gone:
            self._gone.discard(request.path)
            self.gone_answers += 1
            return web.Response(body=json.dumps({"type": "ERROR", "object": GONE}).encode() + b"\n")
        return await self._forward(request, watching=watching)

    async def _forward(self, request: web.Request, *, watching: bool) -> web.StreamResponse:
        assert self._session is not None
        headers = _passed_on(request.headers)
        async with self._session.request(
            request.method,
            self._endpoint.server + request.raw_path,
            headers=headers,
            data=await request.read() or None,  # an empty body would get a content type, and a 406
            timeout=aiohttp.ClientTimeout(total=None),
        ) as upstream:
            response = web.StreamResponse(status=upstream.status, headers=_passed_on(upstream.headers))
            await self.flowing.wait()
            try:
                await response.prepare(request)
            except ConnectionError:
                return response
            if watching:
                self.watches += 1
                self._streams[response] = request
            try:
                async for chunk in upstream.content.iter_any():
                    await self.flowing.wait()
                    await response.write(chunk)
            except (ConnectionError, aiohttp.ClientError):
                pass
            finally:
                self._streams.pop(response, None)
            with contextlib.suppress(ConnectionError):
                await response.write_eof()
            return response


def _passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Return the headers that a proxy passes on; a name may come several times (kopf's Accept does)."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP)
