"""The few ASGI gestures that data path and small admin endpoints share: read a bounded body, answer at once.

What is answered, and in which format, is left to them.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = b"application/json"
log = logging.getLogger(__name__)


def logged(app: App) -> App:
    """Return the application, its bugs logged with their traceback; the server answers them with a 500."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception:
            log.exception("%s %s failed by a bug", scope.get("method"), scope.get("path"))
            raise

    return run


async def read_body(receive: Receive, *, at_most_bytes: int) -> bytes | None:
    """Return the request's body; None if it is longer than that, or the caller left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > at_most_bytes:
            return None
        if not message.get("more_body"):
            return bytes(body)


async def answer(
    send: Send,
    status: int,
    body: bytes,
    *,
    content_type: bytes = JSON,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Send a complete answer."""
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", content_type), length, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> bytes:
    """Return the first value of a header (lower-case name), b"" if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""
