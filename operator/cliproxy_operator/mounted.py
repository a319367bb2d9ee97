"""The operator's certificate as files that somebody else mounts (cert-manager): read, proved, read again.

What is wrong with them is said in one sentence with the file's name and what to do. Making certificates is
left to `pki.py`.
"""

import ssl
from pathlib import Path
from typing import Final

from cliproxy_api.channel import AUTHORITIES_FILE, CERTIFICATE_FILE, KEY_FILE
from cliproxy_operator import rehearsal
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.identity import IdentityError, client_context
from cliproxy_operator.x509 import Pair

_FILES: Final = (CERTIFICATE_FILE, KEY_FILE, AUTHORITIES_FILE)


class MountedIdentity:
    """Certificate, key and authorities as files of one folder, read again when they change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[tuple[int, int], ...] | None = None
        self._context: ssl.SSLContext | None = None
        self._proved = False

    def context(self) -> ssl.SSLContext:
        """Return the context of the newest files that can be used."""
        try:
            stats = [(self._folder / name).stat() for name in _FILES]
            seen = tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)
            if seen != self._seen:
                self._context = client_context(*self._read())
                self._seen = seen
        except (OSError, ValueError, ssl.SSLError) as error:
            if self._context is None:  # else: being replaced; the former files serve on
                raise IdentityError(f"{self._folder}: {self._words(error)}") from None
        if self._context is None:
            raise IdentityError(f"{self._folder}: nothing has been read")
        return self._context

    def problem(self) -> str:
        """Say what is wrong with the files, in one sentence; empty if sidecars would take us.

        Empty for good once they would have: what goes wrong later takes no replica out of service, whose
        webhooks are needed still. It is in the log of the links.
        """
        try:
            self.context()
            fault = "" if self._proved else rehearsal.fault_of(*self._read())
        except IdentityError as error:
            return (
                f"control channel: {error}; mount a Secret with {', '.join(_FILES)} there (chart:"
                " controlChannel.existingSecret), or leave CLIPROXY_TLS_DIR out"
            )
        except (OSError, ValueError, ssl.SSLError) as error:  # they change this very moment
            return f"control channel: {self._folder}: {self._words(error)}"
        self._proved = not fault
        return f"control channel: {self._folder}: {fault}" if fault else ""

    def key_bytes(self) -> bytes:
        """Return the private key as it stands in its file; empty if it cannot be read."""
        try:
            return (self._folder / KEY_FILE).read_bytes()
        except OSError:
            return b""

    def _read(self) -> tuple[Pair, str]:
        certificate, key, authorities = ((self._folder / name).read_text("ascii") for name in _FILES)
        return Pair(certificate, Hidden(key)), authorities

    def _words(self, error: Exception) -> str:
        """Say which file it is, where OpenSSL does not."""
        if isinstance(error, OSError) and error.filename:
            return f"{Path(error.filename).name}: {error.strerror}"
        try:
            pair, authorities = self._read()
        except (OSError, ValueError):
            return f"a file is no text in PEM: {error}"
        return rehearsal.unreadable(pair, authorities) or str(error)
