"""What the data path wants from an HTTP client: the interface that implementations fill.

Kept small because the client is chosen by measurement. An implementation follows no redirects, decompresses
nothing, retries nothing that the provider may have seen, and turns every failure into one `UpstreamFailed`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from cliproxy_api.snapshot import Timeouts
from cliproxy_sidecar.core.outcome import TransportError

RawHeaders = Sequence[tuple[bytes, bytes]]
"""As on the wire: in order, names in any case."""


class UpstreamFailed(Exception):
    """The attempt ended without a complete answer; `error` says how. Not our fault."""

    def __init__(self, error: TransportError) -> None:
        super().__init__(error.message)
        self.error = error


class UpstreamRequest(msgspec.Struct, frozen=True, gc=False):
    """What goes out, complete."""

    method: str
    url: str
    headers: RawHeaders
    body: bytes
    block: bytes = b""
    """Further headers as a block (see `core.headers.Sieve`): made by us, so not looked at again."""


class UpstreamResponse(Protocol):
    """An answer whose head has arrived; the body follows chunk by chunk."""

    status: int
    headers: RawHeaders

    async def read(self) -> bytes:
        """Return the next bytes as they arrived, b"" at the end of the body.

        Raises:
            UpstreamFailed: cut, too slow, or not HTTP.

        """
        ...

    def whole(self, at_most_bytes: int) -> bytes | None:
        """Return the whole body if it is here already; None: `read` it."""
        ...

    def close(self) -> None:
        """Let go of the connection: back to the pool if the body was read to its end, else closed at once."""
        ...


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections to one origin there are at a moment."""

    open: int
    idle: int
    connecting: int
    """Being opened."""
    waiting: int
    """Requests that wait for one."""

    @property
    def in_use(self) -> int:
        """Carrying a request."""
        return self.open - self.idle


class Upstream(Protocol):
    """Connections to one provider."""

    async def send(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamResponse:
        """Send one request and return when the head of the answer is there.

        Cancelling the call closes the connection.

        Raises:
            UpstreamFailed: no answer, or not HTTP.

        """
        ...

    def connections(self) -> dict[str, Connections] | None:
        """Return the connections by origin ("https://host:443"); None: the client does not tell."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
