"""uvicorn's HTTP protocol with a bound on the head of a request, which neither it nor httptools has.

A profile's own, smaller bound is applied by the proxy once the head is there; this one keeps a head that
never ends from growing in memory. `PromptHttpProtocol` answers some requests at once; which ones and how
is left to the application.
"""

import logging
from asyncio import TimerHandle
from collections.abc import Callable, MutableMapping
from typing import Any, Final, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

log = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 1024 * 1024
"""Request line and headers together; above any profile's `maxHeaderBytes`."""
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection of a caller."""

    _in_head = False
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what came; give up on a head that does not end."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request (a callback of the parser)."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End of the head (a callback of the parser)."""
        self._in_head = False
        super().on_headers_complete()


class Reply(NamedTuple):
    """A whole answer; its body is JSON."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """More than the body's length and type."""
    last: bool = False
    """Whether the connection ends with it."""


class Prompt(NamedTuple):
    """How a request is answered as soon as its body is there."""

    at_most_bytes: int
    """Of the body; a longer one is not waited for."""
    reply: Callable[[bytes], Reply]
    """Gets the body, or the beginning of one that is too long."""


class PromptHttpProtocol(BoundedHttpProtocol):
    """Answers some requests without a task, an ASGI cycle or a second write.

    The operator tells hundreds of sidecars at once, and all that one of them costs is paid as often.
    """

    _prompt: Prompt | None = None
    """Of the request whose body is coming."""
    _pieces: bytes | bytearray = b""
    _last = False
    """The answer is the connection's last; more of the body is passed over."""
    _drains = False
    _quiet_since = 0.0
    """The end of the last answer that was given at once, monotonic seconds."""
    _watch: TimerHandle | None = None

    def asked(self, scope: MutableMapping[str, Any]) -> Prompt | None:
        """Say how a request is answered at once; None: it needs the application. For subclasses."""
        del scope
        return None

    def on_headers_complete(self) -> None:
        """Take the request, or leave it to the application (a callback of the parser)."""
        self._prompt = None
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if not (is_busy or self.expect_100_continue or self.parser.should_upgrade()):
            scope = cast("MutableMapping[str, Any]", self.scope)
            scope["method"] = self.parser.get_method().decode("ascii")
            scope["path"] = self.url.decode("ascii", "replace")
            self._prompt = self.asked(scope)
        if self._prompt is None:
            super().on_headers_complete()
        else:
            self._in_head, self._pieces = False, b""

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body (a callback of the parser)."""
        if (prompt := self._prompt) is None:
            super().on_body(body)
            return
        if self._last:
            return  # it has been answered
        pieces = self._pieces
        if not pieces:
            self._pieces = body
        elif isinstance(pieces, bytearray):
            pieces += body
        else:
            self._pieces = bytearray(pieces + body)
        if len(self._pieces) > prompt.at_most_bytes:
            self._last = True
            self._answer(prompt)

    def on_message_complete(self) -> None:
        """Answer (a callback of the parser)."""
        if (prompt := self._prompt) is None:
            super().on_message_complete()
            return
        self._prompt = None
        if not self._last:
            self._last = self._drains or not self.parser.should_keep_alive()
            self._answer(prompt)

    def shutdown(self) -> None:
        """Close, after the answer that is under way (uvicorn calls it)."""
        if self._prompt is None:
            super().shutdown()
        else:
            self._drains = True

    def _answer(self, prompt: Prompt) -> None:
        body, self._pieces = bytes(self._pieces), b""
        if self.transport.is_closing():
            return
        try:
            reply = prompt.reply(body)
        except Exception:
            log.exception("%s %s failed by a bug", self.scope["method"], self.scope["path"])
            reply = Reply(500, b"{}", last=True)
        lines = [STATUS_LINE[reply.status], b"content-type: application/json\r\n"]
        for name, value in reply.headers:
            lines += (name, b": ", value, b"\r\n")
        is_last = self._last or reply.last
        if is_last:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(reply.body))
        lines.append(reply.body)
        self.transport.write(b"".join(lines))
        self.server_state.total_requests += 1
        if is_last:
            self.transport.close()
            return
        # One timer for many answers: uvicorn's own would be set and cancelled for each.
        self._quiet_since = self.loop.time()
        if self._watch is None:
            self._watch = self.loop.call_later(self.timeout_keep_alive, self._look)

    def _look(self) -> None:
        """Close the connection if it has been idle for as long as uvicorn would have waited."""
        self._watch = None
        is_busy = self._prompt is not None or (self.cycle is not None and not self.cycle.response_complete)
        if is_busy or self.timeout_keep_alive_task is not None:
            return  # the next answer's end sets a timer
        left_s = self._quiet_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._watch = self.loop.call_later(left_s, self._look)
        else:
            self.timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        super().connection_lost(exc)


def prompt(asked: Callable[[MutableMapping[str, Any]], Prompt | None]) -> type[PromptHttpProtocol]:
    """Return the protocol that answers at once what `asked` gives (see `PromptHttpProtocol.asked`)."""

    class Asking(PromptHttpProtocol):
        def asked(self, scope: MutableMapping[str, Any]) -> Prompt | None:
            return asked(scope)

    return Asking
