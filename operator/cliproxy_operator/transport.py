"""How a sidecar is reached: two calls behind one interface, over mutual TLS or, for development, a token.

Bytes in and out, bounded in size and time; every failure is a `LinkError`. What to send, and when to try
again, is left to `link.py`.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypedDict

import aiohttp

from cliproxy_api import codec
from cliproxy_api.channel import sidecar_host
from cliproxy_api.codec import MAX_REPORT_LINE_BYTES
from cliproxy_api.snapshot import Running
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.identity import Identity, IdentityError

CONNECT_TIMEOUT_S: Final = 2.0
PUT_TIMEOUT_S: Final = 5.0
IDLE_TIMEOUT_S: Final = 20.0
"""A report stream without a line for this long is dead: sidecars send heartbeats several times as often."""
KEEP_ALIVE_S: Final = 3600.0
"""Of an idle connection: a trip must not wait for the handshakes of a whole fleet."""
MAX_ANSWER_BYTES: Final = 64 * 1024

DocumentName = Literal["snapshot", "state"]
Trouble = Literal[
    "connect",
    "timeout",
    "closed",
    "unauthorized",
    "deposed",
    "stranger",
    "malformed",
    "status",
    "tls",
    "identity",
]


@dataclass(frozen=True, slots=True)
class Peer:
    """A sidecar as the network knows it. `address` is an IP address."""

    namespace: str
    address: str


class Protection(TypedDict, total=False):
    """What aiohttp is told about TLS for one request."""

    ssl: ssl.SSLContext
    server_hostname: str


class LinkError(Exception):
    """The sidecar could not be talked to; `trouble` is the bounded word for metrics."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble: Final = trouble


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

    async def put(self, peer: Peer, document: DocumentName, body: bytes) -> Answer:
        """Put one document; answers with status 200, 409 and 422 are returned.

        Raises:
            LinkError: no such answer.

        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class HttpTransport:
    """HTTP/1.1 to the control port; how it is protected is left to the two below."""

    def __init__(
        self, *, scheme: str, port: int, headers: Mapping[str, str], idle_timeout_s: float = IDLE_TIMEOUT_S
    ) -> None:
        """Open the session; must run inside the loop that will use it."""
        self._scheme = scheme
        self._port = port
        self._idle_timeout_s = idle_timeout_s
        self._session = aiohttp.ClientSession(
            # The number of sidecars bounds the connections; one for pushes stays warm for the next trip.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            headers=headers,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def protection(self, peer: Peer) -> Protection:
        """Return what a connection to this peer has to be like."""
        raise NotImplementedError

    def _url(self, peer: Peer, what: str) -> str:
        host = f"[{peer.address}]" if ":" in peer.address else peer.address
        return f"{self._scheme}://{host}:{self._port}/v0/control/{what}"

    @asynccontextmanager
    async def reports(self, peer: Peer, epoch: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the report stream."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=self._idle_timeout_s
        )
        protection = self.protection(peer)
        try:
            async with self._session.get(
                self._url(peer, "reports"),
                headers={"x-cliproxy-epoch": str(epoch)},
                timeout=timeout,
                allow_redirects=False,
                **protection,
            ) as response:
                if response.status != 200:  # noqa: PLR2004 -- HTTP's own number
                    raise _refused(response.status)
                yield _lines(response.content)
        except (aiohttp.ClientError, OSError) as error:
            raise _broken(error) from None

    async def put(self, peer: Peer, document: DocumentName, body: bytes) -> Answer:
        """Put one document."""
        timeout = aiohttp.ClientTimeout(total=PUT_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        protection = self.protection(peer)
        try:
            async with self._session.put(
                self._url(peer, document),
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=timeout,
                allow_redirects=False,
                **protection,
            ) as response:
                if response.status not in (200, 409, 422):
                    raise _refused(response.status)
                content = await _bounded(response.content)
                return Answer(response.status, codec.decode_running(content))
        except codec.DecodeError as error:
            raise LinkError("malformed", f"answer to a push: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _broken(error) from None


class PlainTransport(HttpTransport):
    """HTTP with a bearer token that all sidecars share: for development only."""

    def __init__(self, *, token: Hidden, port: int, idle_timeout_s: float = IDLE_TIMEOUT_S) -> None:
        """Open the session."""
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        super().__init__(scheme="http", port=port, headers=headers, idle_timeout_s=idle_timeout_s)

    def protection(self, peer: Peer) -> Protection:  # noqa: ARG002 -- the same for every peer
        """Return nothing: there is none."""
        return {}


class TlsTransport(HttpTransport):
    """Mutual TLS: each connection is made with the newest certificate, and checked against the namespace."""

    def __init__(self, *, identity: Identity, port: int, idle_timeout_s: float = IDLE_TIMEOUT_S) -> None:
        """Open the session."""
        super().__init__(scheme="https", port=port, headers={}, idle_timeout_s=idle_timeout_s)
        self._identity = identity

    def protection(self, peer: Peer) -> Protection:
        """Return our certificate and the name that theirs must carry."""
        try:
            return {"ssl": self._identity.context(), "server_hostname": sidecar_host(peer.namespace)}
        except IdentityError as error:
            raise LinkError("identity", str(error)) from None


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    buffer = bytearray()
    async for chunk in content.iter_any():
        buffer += chunk
        *lines, rest = buffer.split(b"\n")
        buffer = bytearray(rest)
        for line in lines:
            if line:
                yield bytes(line)
        if len(buffer) > MAX_REPORT_LINE_BYTES:
            raise LinkError("malformed", f"a report line is longer than {MAX_REPORT_LINE_BYTES} bytes")
    raise LinkError("closed", "the sidecar ended the report stream")


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise LinkError("malformed", f"an answer is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _refused(status: int) -> LinkError:
    if status in (401, 403):
        return LinkError("unauthorized", f"the sidecar does not take us for the operator ({status})")
    if status == 409:  # noqa: PLR2004 -- HTTP's own number
        return LinkError("deposed", "the sidecar follows a newer leader")
    return LinkError("status", f"the sidecar answered {status}")


def _broken(error: Exception) -> LinkError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return LinkError("tls", f"the certificate at the pod's address is refused: {why}"[:300])
    words = f"{type(error).__name__}: {error}"[:200]
    if isinstance(error, TimeoutError):
        return LinkError("timeout", words)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return LinkError("tls", words)
    if isinstance(error, aiohttp.ClientConnectorError):
        return LinkError("connect", words)
    return LinkError("closed", words)
