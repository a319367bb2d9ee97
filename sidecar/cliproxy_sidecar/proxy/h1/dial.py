"""Opens connections: name to addresses, addresses tried in turn, TLS on top; names what went wrong.

Who may open how many, and by when it must have happened, is decided by `pool`.
"""

import asyncio
import itertools
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from cliproxy_sidecar.core.outcome import TransportError, TransportFault
from cliproxy_sidecar.proxy.h1.answer import failure
from cliproxy_sidecar.proxy.h1.connection import Connection
from cliproxy_sidecar.proxy.upstream import UpstreamFailed

HEAD_START_S: Final = 0.25
"""How long an address is alone before the next is tried beside it (RFC 8305 section 5). By hand, since
uvloop's create_connection has no happy_eyeballs_delay (0.23)."""
_MAX_ADDRESSES: Final = 8
_ALERTS: Final = (ssl.SSLError, ssl.CertificateError)


@dataclass(frozen=True, slots=True)
class Origin:
    """One place to connect to."""

    host: str
    """Name or literal address, without brackets."""
    port: int
    tls: bool

    def __str__(self) -> str:
        """Return the origin as in an address, port included."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """One socket address of a name."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]


class Dialler:
    """Opens connections to one origin."""

    def __init__(self, origin: Origin, context: Callable[[], ssl.SSLContext]) -> None:
        self._origin = origin
        self._context = context

    async def dial(self) -> Connection:
        """Return a fresh connection; cancelling leaves nothing open.

        Raises:
            UpstreamFailed: `connect` up to the TCP connection, `tls` from there.

        """
        loop, origin = asyncio.get_running_loop(), self._origin
        try:
            sock = await _race(await _resolve(origin.host, origin.port))
        except (OSError, UnicodeError) as error:
            raise _failed("connect", error) from None
        try:
            connection = Connection(loop)
            await loop.create_connection(
                lambda: cast("asyncio.Protocol", connection),
                sock=sock,
                ssl=self._context() if origin.tls else None,
                server_hostname=origin.host.rstrip(".") if origin.tls else None,
            )
        except (*_ALERTS, OSError, ValueError) as error:
            sock.close()
            raise _failed("tls" if origin.tls else "connect", error) from None
        except BaseException:
            sock.close()
            raise
        return connection


async def _resolve(host: str, port: int) -> Sequence[Address]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = (Address(family, cast("tuple[str, int]", where)) for family, _, _, _, where in found)
    ordered = interleave(dict.fromkeys(addresses))[:_MAX_ADDRESSES]
    if not ordered:
        raise OSError("the name has no address")
    return ordered


def interleave(addresses: Iterable[Address]) -> list[Address]:
    """Return the addresses with families taking turns, each in its order, the first one's family first."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    turns = itertools.zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


async def _race(addresses: Sequence[Address]) -> socket.socket:
    """Return the first socket that connects; each address after the first starts a little later.

    Raises:
        OSError: none connected; the first address's error.

    """
    if len(addresses) == 1:
        return await _connect(addresses[0])
    loop = asyncio.get_running_loop()
    waiting, running = list(addresses), set[asyncio.Task[socket.socket]]()
    errors: list[BaseException] = []
    winner: socket.socket | None = None
    try:
        while winner is None and (waiting or running):
            if waiting:
                running.add(loop.create_task(_connect(waiting.pop(0))))
            head_start_s = HEAD_START_S if waiting else None
            done, running = await asyncio.wait(
                running, timeout=head_start_s, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                if (error := task.exception()) is not None:
                    errors.append(error)
                elif winner is None:
                    winner = task.result()
                else:
                    task.result().close()
    finally:
        for task in running:
            task.cancel()
        for late in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(late, socket.socket):
                late.close()
    if winner is None:
        raise errors[0]
    return winner


async def _connect(address: Address) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 -- the only way to say it
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A provider that vanished while it thinks is noticed by the system as well.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def _failed(kind: TransportFault, error: BaseException) -> UpstreamFailed:
    return failure(TransportError(kind, str(error) or type(error).__name__))
