"""Who we are to sidecars, and the way to them: our own authority, mounted files, or a token in development.

Chosen once, by the settings. Making certificates is left to `pki.py`, reading mounted ones to `mounted.py`.
"""

import contextlib
import logging
import ssl

from cliproxy_operator.identity import Identity, IdentityError
from cliproxy_operator.mounted import MountedIdentity
from cliproxy_operator.pki import Pki
from cliproxy_operator.settings import Settings
from cliproxy_operator.transport import PlainTransport, TlsTransport, Transport
from cliproxy_operator.vault import Vault

log = logging.getLogger(__name__)


class ControlChannel:
    """A transport, and the identity that it shows, if any."""

    def __init__(self, *, transport: Transport, identity: Identity | None = None) -> None:
        self.transport = transport
        self._identity = identity
        self._shown: ssl.SSLContext | None = None

    @classmethod
    def of(cls, settings: Settings, *, vault: Vault, pki: Pki | None) -> "ControlChannel":
        """Return what the settings ask for; `pki` is there if and only if they leave certificates to us.

        A token or key, the same in all replicas, becomes what the vault's digests are keyed with.
        """
        token, folder, port = settings.control_token, settings.tls_dir, settings.control_port
        if token is not None:
            log.warning("the control channel is plain HTTP with a token; that is for development")
            vault.rekey(token.reveal().encode())
            return cls(transport=PlainTransport(token=token, port=port))
        identity: Identity | None = pki
        if folder is not None:
            identity = mounted = MountedIdentity(folder)
            if words := mounted.problem():
                log.warning(words)
            vault.rekey(mounted.key_bytes())
        if identity is None:
            raise AssertionError
        return cls(transport=TlsTransport(identity=identity, port=port), identity=identity)

    def problem(self) -> str:
        """Say what keeps sidecars from taking us and what to do, in one sentence; empty if nothing does."""
        return "" if self._identity is None else self._identity.problem()

    def renewed(self) -> bool:
        """Whether we show another certificate, or trust others, than when this was asked last."""
        if self._identity is None:
            return False
        with contextlib.suppress(IdentityError):
            before, self._shown = self._shown, self._identity.context()
            return before not in (None, self._shown)
        return False
