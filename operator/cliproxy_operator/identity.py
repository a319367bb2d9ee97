"""The operator's side of mutual TLS: a context to connect to sidecars with, from PEM texts or mounted files.

TLS 1.3 only; the other end's certificate is always checked, its name against the namespace (`transport.py`).
Where the texts come from is left to `pki.py`, the files to whoever mounts them (cert-manager).
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from cliproxy_api.channel import AUTHORITIES_FILE, CERTIFICATE_FILE, KEY_FILE
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.x509 import Pair

_FILES: Final = (CERTIFICATE_FILE, KEY_FILE, AUTHORITIES_FILE)


class IdentityError(ValueError):
    """There is nothing to prove who we are with; the message says what is missing."""


class Identity(Protocol):
    """Where the newest context is from."""

    def context(self) -> ssl.SSLContext:
        """Return the context to connect with now.

        Raises:
            IdentityError: there is none yet, or it cannot be read.

        """
        ...

    def problem(self) -> str:
        """Say what keeps us from having one and what to do, in one sentence; empty if nothing does."""
        ...


def client_context(pair: Pair, authorities: str) -> ssl.SSLContext:
    """Return a context that shows `pair` and trusts `authorities` alone.

    Raises:
        ssl.SSLError: one of them cannot be read.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=authorities)
    with _file(f"{pair.certificate}\n{pair.key.reveal()}\n") as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _file(content: str) -> Iterator[str]:
    """Show a text as a file, in memory where the system can: load_cert_chain reads nothing else."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("pair")
        with os.fdopen(number, "wb") as file:
            file.write(content.encode())
            file.flush()
            yield f"/proc/self/fd/{number}"
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as named:  # made with mode 0600
        named.write(content)
        named.flush()
        yield named.name


class MountedIdentity:
    """Certificate, key and authorities as files of one folder, read again when they change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[tuple[int, int], ...] | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context of the newest files that can be used."""
        try:
            stats = [(self._folder / name).stat() for name in _FILES]
            seen = tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)
            if seen != self._seen:
                self._context = self._read()
                self._seen = seen
        except (OSError, ValueError, ssl.SSLError) as error:
            if self._context is None:  # else: being replaced; the former files serve on
                raise IdentityError(f"{self._folder}: {error}") from None
        if self._context is None:
            raise IdentityError(f"{self._folder}: nothing has been read")
        return self._context

    def problem(self) -> str:
        """Say what is wrong with the files, in one sentence; empty if they can be used."""
        try:
            self.context()
        except IdentityError as error:
            return (
                f"control channel: {error}; mount a Secret with {', '.join(_FILES)} there (chart:"
                " controlChannel.existingSecret), or leave CLIPROXY_TLS_DIR out"
            )
        return ""

    def key_bytes(self) -> bytes:
        """Return the private key as it stands in its file; empty if it cannot be read."""
        try:
            return (self._folder / KEY_FILE).read_bytes()
        except OSError:
            return b""

    def _read(self) -> ssl.SSLContext:
        certificate, key, authorities = ((self._folder / name).read_text("ascii") for name in _FILES)
        return client_context(Pair(certificate, Hidden(key)), authorities)
