"""Lets an ASGI application serve one request of the proxy port: health and operations, not the data path."""

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from cliproxy_sidecar.proxy.downstream import BodyTooLarge, BodyTooSlow, Downstream, Stage
from cliproxy_sidecar.runtime.asgi import App, Message
from cliproxy_sidecar.runtime.light import in_task, own_task

log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 1024 * 1024
"""Operations take a few fields."""


def aside(app: App) -> Callable[[Downstream], Coroutine[Any, Any, None]]:
    """Return what lets the application serve requests."""
    return functools.partial(serve_asgi, app)


async def serve_asgi(app: App, downstream: Downstream) -> None:
    """Hand the request to the application once its body is there; its bugs become a plain 500."""
    try:
        await _serve(app, downstream)
    except asyncio.CancelledError:
        if not downstream.left:
            raise
        if (task := own_task()) is not None:
            task.uncancel()
    except Exception:
        log.exception("%s %s failed by a bug", downstream.request.method, downstream.request.path)
        if downstream.stage is Stage.FRESH:
            _say(downstream, HTTPStatus.INTERNAL_SERVER_ERROR)


async def _serve(app: App, downstream: Downstream) -> None:
    try:
        body = await downstream.read_body(at_most_bytes=MAX_BODY_BYTES)
    except BodyTooLarge:
        return _say(downstream, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except BodyTooSlow:
        return _say(downstream, HTTPStatus.REQUEST_TIMEOUT)
    await in_task()
    bridge = _Bridge(downstream, body)
    request = downstream.request
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.0" if request.old else "1.1",
        "server": downstream.line.address("sockname"),
        "client": downstream.line.address("peername"),
        "scheme": "http",
        "method": request.method,
        "root_path": "",
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query,
        "headers": request.headers,
        "state": {},
    }
    return await app(scope, bridge.receive, bridge.send)


class _Bridge:
    """The two ends that an application holds."""

    def __init__(self, downstream: Downstream, body: bytes) -> None:
        self._downstream = downstream
        self._body: bytes | None = body

    async def receive(self) -> Message:
        """Return the body; a second call waits for ever, as a caller that leaves cancels the request."""
        body, self._body = self._body, None
        if body is None:
            await asyncio.get_running_loop().create_future()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Pass on a piece of the answer."""
        downstream = self._downstream
        if message["type"] == "http.response.start":
            length: int | None = None
            lines: list[bytes] = []
            for name, value in message.get("headers", ()):
                if b"\n" in name + value or b"\r" in name + value:
                    raise ValueError("a header with a line break in it")
                if name.lower() == b"content-length":
                    length = int(value)
                else:
                    lines.append(b"\r\n" + name + b": " + value)
            downstream.begin(message["status"], b"".join(lines), length)
        elif message.get("more_body"):
            await downstream.write(message.get("body", b""))
        else:
            downstream.end(message.get("body", b""))


def _say(downstream: Downstream, status: HTTPStatus) -> None:
    downstream.begin(status, b"\r\ncontent-type: text/plain", len(status.phrase))
    downstream.end(status.phrase.encode())
