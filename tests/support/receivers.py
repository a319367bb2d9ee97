"""A receiver of notifications over HTTP that keeps what it got and misbehaves on command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Receiver:
    """Answers 200, or what `answers` says next: a status, "hang" or "reset"."""

    answers: list[int | str] = field(default_factory=list)
    retry_after: str | None = None
    body: bytes | None = None
    """What the answers say; None: words that must come up nowhere."""
    got: list[Got] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    @property
    def taken(self) -> list[Got]:
        """What was answered with 200."""
        return [one for one in self.got if one.status == 200]

    async def until(self, seen: Any, within_s: float = 30.0) -> None:
        """Wait until `seen()` is true."""
        async with asyncio.timeout(within_s), self.changed:
            await self.changed.wait_for(seen)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Receiver]:
        """Listen on loopback."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server: Any = site._server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self.released.set()
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        answer = self.answers.pop(0) if self.answers else 200
        body = await request.read()
        status = answer if isinstance(answer, int) else 0
        async with self.changed:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.got.append(Got(request.path, headers, body, status))
            self.changed.notify_all()
        if answer == "hang":
            await self.released.wait()
        if answer in ("hang", "reset"):
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        headers = {"Retry-After": self.retry_after} if self.retry_after is not None and status == 429 else {}
        said = b"planted words of the receiver" if self.body is None else self.body
        return web.Response(status=status, headers=headers, body=said)
