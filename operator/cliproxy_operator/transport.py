"""How a sidecar is reached: two calls behind one interface, over mutual TLS or, for development, a token.

Bytes in and out, bounded in size and time; every failure is a `LinkError`. A connection for pushes stays open
between them: a trip must not wait for the handshakes of a whole fleet. What to send, and when to try again,
is left to `link.py`; one connection's bytes to `wire/`.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, Protocol

from cliproxy_api import codec
from cliproxy_api.channel import sidecar_host
from cliproxy_api.snapshot import Running
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.identity import Identity, IdentityError
from cliproxy_operator.wire.connection import Connection, connect
from cliproxy_operator.wire.trouble import LinkError, refused

CONNECT_TIMEOUT_S: Final = 5.0
"""TCP and TLS together. Linux sends a lost SYN again after 1 s and after 3 s, so two may be lost; and a busy
node may take a second for a handshake. Who waits here holds up nobody for longer than the gate's patience."""
ANSWER_TIMEOUT_S: Final = 10.0
"""To a push, and for a stream's first line. A sidecar whose CPU is throttled answers late and is well; giving
its link up costs it a connection, a hello and both documents more, which makes it later still."""
IDLE_TIMEOUT_S: Final = 20.0
"""A report stream without a line for this long is dead: sidecars send heartbeats several times as often."""

DocumentName = Literal["snapshot", "state", "parts"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A sidecar as the network knows it. `address` is an IP address."""

    namespace: str
    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sidecar said to a push."""

    status: int
    running: Running


class Transport(Protocol):
    """One way of reaching sidecars."""

    def reports(self, peer: Peer, epoch: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the report stream; the lines come without their newline, each bounded.

        Raises:
            LinkError: at any point; "deposed" when the sidecar knows a newer epoch.

        """
        ...

    async def put(self, peer: Peer, document: DocumentName, body: bytes, *, packed: bool = False) -> Answer:
        """Put one document, `packed` if `codec.pack` made it; answers 200, 409 and 422 are returned.

        Raises:
            LinkError: no such answer.

        """
        ...

    async def warm(self, peer: Peer) -> None:
        """Have a connection for pushes ready, protected by what protects new ones now.

        Raises:
            LinkError: none can be made.

        """
        ...

    def forget(self, peer: Peer) -> None:
        """Close what is kept open to a peer."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class HttpTransport:
    """HTTP/1.1 to the control port; how it is protected is left to the two below."""

    def __init__(
        self, *, port: int, credentials: bytes = b"", idle_timeout_s: float = IDLE_TIMEOUT_S
    ) -> None:
        """`credentials` are header lines, each with its end."""
        self._port = port
        self._credentials = credentials
        self._idle_timeout_s = idle_timeout_s
        self._open: set[Connection] = set()
        self._kept: dict[Peer, list[Connection]] = {}
        """Ready for the next push: as many as one peer ever had under way at once, that is three."""

    async def close(self) -> None:
        """Close all connections."""
        for connection in list(self._open):
            connection.close()

    def context(self) -> ssl.SSLContext | None:
        """Return what a new connection has to be protected with."""
        raise NotImplementedError

    @asynccontextmanager
    async def reports(self, peer: Peer, epoch: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the report stream."""
        request = self._head(b"GET", b"reports", peer, b"x-cliproxy-epoch: %d\r\n" % epoch)
        connection = await self._connect(peer, self.context())
        try:
            status = await connection.stream(
                request, timeout_s=ANSWER_TIMEOUT_S, idle_timeout_s=self._idle_timeout_s
            )
            if status != 200:  # noqa: PLR2004 -- HTTP's own number
                raise refused(status)
            yield connection
        finally:
            connection.close()

    async def put(self, peer: Peer, document: DocumentName, body: bytes, *, packed: bool = False) -> Answer:
        """Put one document."""
        length = b"content-length: %d\r\n" % len(body)
        head = self._head(
            b"PUT", document.encode("ascii"), peer, _PACKED + length if packed else _PLAIN + length
        )
        context = self.context()
        kept = self._take(peer, context)
        if kept is not None:
            try:
                return await self._ask(peer, kept, head, body)
            except LinkError as error:
                # Closed before a byte of an answer: it was on its way out, and a push may be sent twice.
                if error.trouble == "timeout" or not kept.silent:
                    raise
        return await self._ask(peer, await self._connect(peer, context), head, body)

    async def warm(self, peer: Peer) -> None:
        """Have a connection for pushes ready."""
        context = self.context()
        self._keep(peer, self._take(peer, context) or await self._connect(peer, context))

    def forget(self, peer: Peer) -> None:
        """Close what is kept open to a peer."""
        for connection in self._kept.pop(peer, ()):
            connection.close()

    async def _ask(self, peer: Peer, connection: Connection, head: bytes, content: bytes) -> Answer:
        status, answer = await connection.ask(head, content, timeout_s=ANSWER_TIMEOUT_S)
        if status not in (200, 409, 422):
            connection.close()
            raise refused(status)
        self._keep(peer, connection)
        try:
            return Answer(status, codec.decode_running(answer))
        except codec.DecodeError as error:
            raise LinkError("malformed", f"answer to a push: {error}") from None

    async def _connect(self, peer: Peer, context: ssl.SSLContext | None) -> Connection:
        made = await connect(
            peer.address,
            self._port,
            context=context,
            name=sidecar_host(peer.namespace) if context is not None else None,
            timeout_s=CONNECT_TIMEOUT_S,
            on_end=partial(self._ended, peer),
        )
        if made.is_ready:  # else: it has ended already, and says so when it is used
            self._open.add(made)
        return made

    def _take(self, peer: Peer, context: ssl.SSLContext | None) -> Connection | None:
        """Return a connection that is ready; those of a former certificate are closed."""
        kept = self._kept.get(peer)
        while kept:
            connection = kept.pop()
            if connection.is_ready and connection.context is context:
                return connection
            connection.close()
        return None

    def _keep(self, peer: Peer, connection: Connection) -> None:
        if connection.is_ready:
            self._kept.setdefault(peer, []).append(connection)

    def _ended(self, peer: Peer, connection: Connection) -> None:
        self._open.discard(connection)
        kept = self._kept.get(peer, [])
        if connection in kept:
            kept.remove(connection)
        if not kept:
            self._kept.pop(peer, None)

    def _head(self, method: bytes, what: bytes, peer: Peer, headers: bytes) -> bytes:
        host = b"[%b]" if ":" in peer.address else b"%b"
        return b"%b /v0/control/%b HTTP/1.1\r\nhost: %b:%d\r\n%b%b\r\n" % (
            method,
            what,
            host % peer.address.encode("ascii"),
            self._port,
            self._credentials,
            headers,
        )


class PlainTransport(HttpTransport):
    """HTTP with a bearer token that all sidecars share: for development only."""

    def __init__(self, *, token: Hidden, port: int, idle_timeout_s: float = IDLE_TIMEOUT_S) -> None:
        credentials = f"authorization: Bearer {token.reveal()}\r\n".encode("ascii")
        super().__init__(port=port, credentials=credentials, idle_timeout_s=idle_timeout_s)

    def context(self) -> None:
        """Return nothing: there is no protection."""
        return


class TlsTransport(HttpTransport):
    """Mutual TLS: each connection is made with the newest certificate, and checked against the namespace."""

    def __init__(self, *, identity: Identity, port: int, idle_timeout_s: float = IDLE_TIMEOUT_S) -> None:
        super().__init__(port=port, idle_timeout_s=idle_timeout_s)
        self._identity = identity

    def context(self) -> ssl.SSLContext:
        """Return our newest certificate, and whom it trusts."""
        try:
            return self._identity.context()
        except IdentityError as error:
            raise LinkError("identity", str(error)) from None


_PLAIN: Final = b"content-type: application/json\r\n"
_PACKED: Final = _PLAIN + b"content-encoding: deflate\r\n"
