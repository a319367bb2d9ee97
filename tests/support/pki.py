"""A certificate authority for tests, and the files that pods mount."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cliproxy_api.channel import OPERATOR_ID, sidecar_host
from cliproxy_operator import x509
from cliproxy_operator.identity import client_context
from cliproxy_operator.x509 import Pair, Purpose

HOUR = timedelta(hours=1)


def now_utc() -> datetime:
    """Return the real time: TLS libraries go by it."""
    return datetime.now(tz=UTC)  # noqa: TID251 -- certificates of tests are checked by OpenSSL


class Authority:
    """One authority; all it issues is valid for an hour unless said otherwise."""

    def __init__(self) -> None:
        self.pair = x509.new_authority(now_utc() + 24 * HOUR, now_utc())

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self.pair.certificate

    def issue(self, name: str, purpose: Purpose, *, ends_in: timedelta = HOUR) -> Pair:
        """Issue a leaf; a negative `ends_in` makes one that has expired."""
        now = now_utc() - 2 * HOUR if ends_in < timedelta(0) else now_utc()
        return x509.issue(self.pair, name=name, purpose=purpose, ends=now_utc() + ends_in, now=now)

    def operator(self, *, ends_in: timedelta = HOUR) -> Pair:
        """Issue a client certificate of the operator."""
        return self.issue(OPERATOR_ID, "client", ends_in=ends_in)

    def mount(self, folder: Path, *, namespace: str = "team-a", trusts: str | None = None) -> Path:
        """Write (or replace, as kubelet does) the files of a namespace's sidecars."""
        pair = self.issue(sidecar_host(namespace), "server")
        write(folder, pair, trusts or self.pem)
        return folder


def write(folder: Path, pair: Pair, authorities: str) -> None:
    """Write the three files, each replaced whole."""
    folder.mkdir(exist_ok=True, parents=True)
    texts = {"tls.crt": pair.certificate, "tls.key": pair.key.reveal(), "ca.crt": authorities}
    for name, text in texts.items():
        new = folder / f".{name}"
        new.write_text(text, "ascii")
        new.replace(folder / name)


@dataclass
class FixedIdentity:
    """An operator's identity that a test replaces."""

    pair: Pair
    authorities: str

    def __post_init__(self) -> None:
        self.show(self.pair, self.authorities)

    def show(self, pair: Pair, authorities: str) -> None:
        """Use this from the next connection on."""
        self.current = client_context(pair, authorities)

    def context(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 -- an ssl.SSLContext
        """Return the context to connect with."""
        return self.current
