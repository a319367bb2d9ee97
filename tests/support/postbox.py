"""A real SMTP server that insists on STARTTLS and a login, and keeps the mails it takes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from cliproxy_dev.ports import free_ports

USER, PASSWORD = "alerts", "planted-secret-value"
TLS = Path(__file__).with_name("tls")
AUTHORITY = TLS / "ca.pem"
"""Whom a client must trust (SSL_CERT_FILE)."""


class Postbox:
    """What the SMTP server took; refuses recipients named `nobody`."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []
        self.encrypted: list[bool] = []
        self.code = "250 OK"
        self.login: str | None = None
        """What every login is answered; None: by its password."""

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.code.startswith("250"):
            self.mails.append((list(envelope.rcpt_tos), envelope.original_content or b""))
            self.encrypted.append(session.ssl is not None)
        return self.code

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any
    ) -> AuthResult:
        if self.login is not None:
            return AuthResult(success=False, handled=False, message=self.login)
        good = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=good)


@contextmanager
def serving() -> Iterator[tuple[Postbox, int]]:
    """Listen on loopback; the value is what it keeps and its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "good.pem")
    box, port = Postbox(), free_ports(1)[0]
    server = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=box.authenticate,
    )
    server.start()
    try:
        yield box, port
    finally:
        server.stop()
