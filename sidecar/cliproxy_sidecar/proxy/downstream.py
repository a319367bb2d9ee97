"""The caller's side of one request: read the bounded body, send, notice that the caller has left.

Whether anything has gone out is `stage`, which only moves forward; what is sent is decided by the exchange.
"""

import asyncio
from enum import Enum, auto
from typing import Final

from cliproxy_sidecar.core.headers import Header
from cliproxy_sidecar.runtime.asgi import Message, Receive, Scope, Send
from cliproxy_sidecar.runtime.tasks import Tasks

BODY_TIMEOUT_S: Final = 60.0
"""For the whole body of a request: a caller that dawdles holds a place."""
WATCH_AFTER_S: Final = 0.01
"""Answers that are faster do without the task that waits for the caller to leave."""


class BodyTooLarge(Exception):
    """The request's body exceeds the bound. The caller's fault."""


class BodyTooSlow(Exception):
    """The request's body did not come in time. The caller's fault."""


class CallerLeft(Exception):
    """The caller has closed the connection."""


class Stage(Enum):
    """What the caller has seen of an answer."""

    FRESH = auto()
    BEGUN = auto()
    ENDED = auto()


class Downstream:
    """One caller waiting for one answer."""

    __slots__ = (
        "_receive",
        "_send",
        "_task",
        "_timer",
        "_watch",
        "left",
        "scope",
        "sent_bytes",
        "stage",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self.stage = Stage.FRESH
        self.status = 0
        self.sent_bytes = 0
        self.left = False
        """The caller closed the connection; the exchange has been cancelled for it."""
        self._task: asyncio.Task[object] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def read_body(self, *, at_most_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLarge: beyond the bound, by its header or by its bytes.
            BodyTooSlow: not complete in time.
            CallerLeft: the connection is closed.

        """
        for name, value in self.scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > at_most_bytes:
                raise BodyTooLarge
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                message = await self._receive()
                if message["type"] == "http.request" and not message["more_body"]:
                    body: bytes = message["body"]
                    if len(body) > at_most_bytes:
                        raise BodyTooLarge
                    return body
                return await self._read_rest(message, at_most_bytes)
        except TimeoutError:
            raise BodyTooSlow from None

    async def _read_rest(self, message: Message, at_most_bytes: int) -> bytes:
        body = bytearray()
        while True:
            if message["type"] != "http.request":
                raise CallerLeft
            body += message["body"]
            if len(body) > at_most_bytes:
                raise BodyTooLarge
            if not message["more_body"]:
                return bytes(body)
            message = await self._receive()

    # ------------------------------------------------------------------ leaving
    def watch(self, tasks: Tasks) -> None:
        """Cancel the current task, with `left` set, when the caller leaves before `unwatch`."""
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._start_watch, tasks)

    def unwatch(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _start_watch(self, tasks: Tasks) -> None:
        self._watch = tasks.spawn(self._wait_for_leave(), "watch caller")

    async def _wait_for_leave(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self.stage is not Stage.ENDED and self._task is not None:
            self.left = True
            self._task.cancel()

    # ------------------------------------------------------------------ sending
    async def begin(self, status: int, headers: list[Header]) -> None:
        """Send the head; from here on there is no other answer."""
        self.stage = Stage.BEGUN
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        """Send bytes of the body; waits while the caller reads more slowly."""
        self.sent_bytes += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last bytes of the body."""
        self.sent_bytes += len(data)
        await self._send({"type": "http.response.body", "body": data})
        self.stage = Stage.ENDED
