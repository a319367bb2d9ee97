"""Mutual TLS on the control port: who may connect, and with which certificate we answer.

TLS 1.3, no session tickets (a resumed session would skip the check of the client's certificate). The files
are looked at for every connection, so a renewed certificate or another authority is in force at once, and
connections that stand are not disturbed. What a request may do is left to `admin.control`.
"""

import logging
import ssl
from asyncio import BaseTransport, TimerHandle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from cliproxy_api.audit import peer_text
from cliproxy_api.channel import AUTHORITIES_FILE, CERTIFICATE_FILE, KEY_FILE, OPERATOR_ID
from cliproxy_sidecar.runtime.asgi import Scope
from cliproxy_sidecar.runtime.clock import utc_now
from cliproxy_sidecar.serverprotocol import Prompt, PromptHttpProtocol

log = logging.getLogger(__name__)

_FILES: Final = (CERTIFICATE_FILE, KEY_FILE, AUTHORITIES_FILE)


class MountedContext(ssl.SSLContext):
    """A server context whose files may change: each connection gets the newest that can be used.

    Without usable files every handshake fails; the files may come later, as optional Secrets do.
    """

    folder: Path
    _newest: ssl.SSLContext
    _seen: tuple[tuple[int, int], ...]
    _trouble: str

    def __new__(cls, folder: Path) -> Self:
        """Make the context for the files of a folder."""
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made.folder = folder
        made._newest = _bare()
        made._seen = ()
        made._trouble = ""
        made.refresh()
        return made

    def refresh(self) -> None:
        """Read the files again if they have changed; those that cannot be used are told and left alone."""
        try:
            stats = [(self.folder / name).stat() for name in _FILES]
            seen = tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)
            if seen == self._seen:
                return
            self._newest = _context(self.folder)
            self._seen = seen
            self._trouble = ""
            log.info("control certificate read from %s", self.folder)
        except FileNotFoundError as error:  # as in every first pod of a namespace, for a moment
            if (trouble := str(error.filename)) != self._trouble:
                self._trouble = trouble
                log.info(
                    "control certificate: %s is not there yet; the operator keeps it in the Secret "
                    "cliproxy-sidecar-tls and can connect once it is mounted",
                    trouble,
                )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            if (trouble := str(error)) != self._trouble:
                self._trouble = trouble
                log.warning("control certificate cannot be used: %s", trouble)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection (called by the event loop)."""
        self.refresh()
        return self._newest.wrap_bio(*args, **options)


class OperatorHttpProtocol(PromptHttpProtocol):
    """One connection of the operator; anybody else's is closed before a byte of it is read."""

    _expiry: TimerHandle | None = None

    def refused(self, peer: str) -> None:
        """Somebody else has been turned away; overridden by who counts it."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Look at the peer's certificate; its chain has been checked in the handshake."""
        peer: dict[str, Any] = transport.get_extra_info("peercert") or {}
        if ("URI", OPERATOR_ID) not in peer.get("subjectAltName", ()):
            log.warning("control connection refused: the certificate is not the operator's")
            self.refused(peer_text(transport.get_extra_info("peername")))
            transport.abort()  # type: ignore[attr-defined]  # a stream's; uvicorn annotates the base
            return
        # A connection lasts no longer than the certificate it was opened with.
        left_s = ssl.cert_time_to_seconds(str(peer["notAfter"])) - utc_now().timestamp()
        self._expiry = self.loop.call_later(max(0.0, left_s), transport.close)
        super().connection_made(transport)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._expiry is None:
            return  # it was refused: uvicorn has never heard of it
        self._expiry.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, from the operator only."""
        if self._expiry is not None:
            super().data_received(data)

    def eof_received(self) -> None:
        """Nothing more comes from the peer."""
        if self._expiry is not None:
            super().eof_received()


def operator_only(
    refused: Callable[[str], None], asked: Callable[[Scope], Prompt | None]
) -> type[OperatorHttpProtocol]:
    """Return the protocol that calls `refused` for everybody whom it turns away.

    What `asked` gives is answered at once (see `PromptHttpProtocol.asked`).
    """

    class Counted(OperatorHttpProtocol):
        def refused(self, peer: str) -> None:
            refused(peer)

        def asked(self, scope: Scope) -> Prompt | None:
            return asked(scope)

    return Counted


def _bare() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _context(folder: Path) -> ssl.SSLContext:
    context = _bare()
    context.load_cert_chain(folder / CERTIFICATE_FILE, folder / KEY_FILE)
    context.load_verify_locations(folder / AUTHORITIES_FILE)
    return context
