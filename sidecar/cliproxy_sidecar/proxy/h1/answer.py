"""One answer whose head has arrived or is awaited; read by the attempt, filled by the connection.

As long as it is attached to a connection the two share the list of unread pieces; once all has arrived, it
lives on alone and the connection serves others.
"""

from typing import TYPE_CHECKING, Final

from cliproxy_sidecar.core.outcome import TransportError
from cliproxy_sidecar.proxy.upstream import RawHeaders, UpstreamFailed
from cliproxy_sidecar.runtime.light import Signal

if TYPE_CHECKING:
    from cliproxy_sidecar.proxy.h1.connection import Connection


_MAX_MESSAGE: Final = 200


def failure(error: TransportError) -> UpstreamFailed:
    """Return what is raised for an error: one short line that begins with the kind."""
    message = f"{error.kind}: {' '.join(error.message.split())}"
    return UpstreamFailed(TransportError(error.kind, message[:_MAX_MESSAGE]))


class Answer(Signal):
    """See `UpstreamResponse`; set as a signal when there is something new about it."""

    __slots__ = ("complete", "connection", "error", "headers", "pieces", "silent", "status")

    def __init__(self, connection: "Connection", pieces: list[bytes]) -> None:
        self.waiter = None  # As `Signal` does; calling that would cost more.
        self.status = 0
        self.headers: RawHeaders = ()
        self.pieces = pieces
        """Unread body; `connection` adds to it."""
        self.connection: Connection | None = connection
        """None once nothing more comes from it."""
        self.complete = False
        self.error: TransportError | None = None
        self.silent = True
        """It failed before one byte had come."""

    async def read(self) -> bytes:
        """Return all that has arrived and was not read, b"" at the end (see `UpstreamResponse`)."""
        while True:
            pieces = self.pieces
            connection = self.connection
            if pieces:
                data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                pieces.clear()
                if connection is not None:
                    connection.emptied()
                return data
            if self.complete:
                return b""
            if self.error is not None:
                raise failure(self.error)
            if connection is None:
                return b""  # closed by us
            connection.expect_more(self)
            await self

    def whole(self, at_most_bytes: int) -> bytes | None:
        """Return the body if all of it is here, unread (see `UpstreamResponse`)."""
        pieces = self.pieces
        if not self.complete or not pieces:
            return None
        if len(pieces) > 1:
            if sum(map(len, pieces)) > at_most_bytes:
                return None
            body = b"".join(pieces)
        else:
            body = pieces[0]
            if len(body) > at_most_bytes:
                return None
        pieces.clear()
        return body

    def close(self) -> None:
        """Let go: a connection that still owes something is closed (see `UpstreamResponse`)."""
        if self.connection is not None:
            self.connection.drop(self)
        self.pieces.clear()
