"""The operator's side of mutual TLS: a context to connect to sidecars with, made from PEM texts.

TLS 1.3 only; the other end's certificate is always checked, its name against the namespace (`transport.py`).
Where the texts come from is left to `pki.py` and `mounted.py`.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from cliproxy_operator.x509 import Pair


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
    with as_file(f"{pair.certificate}\n{pair.key.reveal()}\n") as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def as_file(content: str) -> Iterator[str]:
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
