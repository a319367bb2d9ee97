"""What a kubeconfig says: where an API server is and how to prove who we are.

Files are read through a function that is handed in; running a credential plugin is its user's business. What
is not understood is refused by name: a client that quietly left it out would talk to the wrong place.
Source: kubernetes.io, "Organizing Cluster Access Using kubeconfig Files" (read 2026-11-21).
"""

import base64
import binascii
import ssl
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

EXEC_VERSION: Final = "client.authentication.k8s.io/v1"
Read = Callable[[Path], str]
"""Returns a file's text; raises OSError or UnicodeDecodeError."""


class KubeconfigError(ValueError):
    """There is no usable way to the API server; the message names the file or entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A client-go credential plugin: a command that prints an ExecCredential."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_version: str = EXEC_VERSION
    install_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Address and credentials of one API server; credentials do not show in its repr."""

    server: str
    """Without a trailing slash."""
    context: str = ""
    namespace: str = ""
    """The context's; empty if it names none."""
    ca_pem: str = ""
    verify: bool = True
    tls_server_name: str = ""
    client_cert_pem: str = ""
    client_key_pem: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    plugin: Plugin | None = None
    unsupported: str = ""
    """A way to prove oneself that the user entry names and nobody here can follow."""


@dataclass(frozen=True, slots=True)
class Source:
    """One kubeconfig file as read; paths in it are relative to its folder."""

    path: Path
    config: Mapping[str, Any]


def parse(sources: Iterable[Source], read: Read, *, context: str = "") -> Endpoint:
    """Return the endpoint of a context, by default the current one; of equal names the first file's counts.

    Raises:
        KubeconfigError: incomplete, malformed, or a file it names cannot be read.

    """
    files = list(sources)
    names = ", ".join(str(one.path) for one in files)
    try:
        wanted = context or next(
            (str(name) for one in files if (name := one.config.get("current-context"))), ""
        )
        if not wanted:
            raise KubeconfigError(
                f"{names}: no current-context; choose one with `kubectl config use-context`"
            )
        _, chosen = _named(files, "context", wanted)
        source, cluster = _named(files, "cluster", chosen["cluster"])
        user_source, user = _named(files, "user", chosen["user"]) if chosen.get("user") else (source, {})
        token_file = user.get("tokenFile")
        return Endpoint(
            server=str(cluster["server"]).rstrip("/"),
            context=wanted,
            namespace=str(chosen.get("namespace") or ""),
            ca_pem=_pem(source, cluster, "certificate-authority", read),
            verify=not cluster.get("insecure-skip-tls-verify", False),
            tls_server_name=str(cluster.get("tls-server-name") or ""),
            client_cert_pem=_pem(user_source, user, "client-certificate", read),
            client_key_pem=_pem(user_source, user, "client-key", read),
            token=str(user.get("token") or ""),
            token_file=user_source.path.parent / str(token_file) if token_file else None,
            plugin=_plugin(user_source, user["exec"]) if user.get("exec") else None,
            unsupported=next((name for name in ("auth-provider", "username") if user.get(name)), ""),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise KubeconfigError(f"{names}: not a usable kubeconfig ({type(error).__name__}: {error})") from None


def tls_settings(endpoint: Endpoint) -> ssl.SSLContext | None:
    """Return the TLS settings for an endpoint; None for plain HTTP.

    Raises:
        KubeconfigError: a certificate or key in it is none.

    """
    if not endpoint.server.startswith("https://"):
        return None
    try:
        settings = ssl.create_default_context(cadata=endpoint.ca_pem or None)
        # Strict by default from Python 3.13 on; the CAs of many clusters lack the key identifier it wants.
        settings.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not endpoint.verify:
            settings.check_hostname = False
            settings.verify_mode = ssl.CERT_NONE
        if endpoint.client_cert_pem and endpoint.client_key_pem:
            with tempfile.TemporaryDirectory() as folder:  # load_cert_chain reads files only
                pair = Path(folder) / "pair.pem"
                pair.touch(mode=0o600)
                pair.write_text(f"{endpoint.client_cert_pem}\n{endpoint.client_key_pem}\n", encoding="ascii")
                settings.load_cert_chain(pair)
    except (ssl.SSLError, UnicodeEncodeError) as error:
        raise KubeconfigError(f"context {endpoint.context!r}: bad certificate or key: {error}") from None
    return settings


def _named(files: list[Source], kind: str, name: str) -> tuple[Source, Mapping[str, Any]]:
    known: list[str] = []
    for one in files:
        for entry in one.config.get(f"{kind}s") or ():
            if entry["name"] == name:
                return one, entry[kind]
            known.append(str(entry["name"]))
    where = ", ".join(str(one.path) for one in files)
    raise KubeconfigError(f"{where}: no {kind} {name!r}; there is {', '.join(known) or 'none'}")


def _pem(source: Source, entry: Mapping[str, Any], name: str, read: Read) -> str:
    try:
        if data := entry.get(f"{name}-data"):
            return base64.b64decode(str(data)).decode("ascii")
        if path := entry.get(name):
            return read(source.path.parent / str(path))
    except (OSError, binascii.Error, UnicodeDecodeError) as error:
        raise KubeconfigError(f"{source.path}: {name}: {error}") from None
    return ""


def _plugin(source: Source, entry: Mapping[str, Any]) -> Plugin:
    command = str(entry["command"])
    if "/" in command and not command.startswith("/"):
        command = str(
            source.path.parent / command
        )  # as kubectl does: relative to the file, never to where we are
    return Plugin(
        command=command,
        args=tuple(str(one) for one in entry.get("args") or ()),
        env={str(one["name"]): str(one["value"]) for one in entry.get("env") or ()},
        api_version=str(entry.get("apiVersion") or EXEC_VERSION),
        install_hint=str(entry.get("installHint") or ""),
    )
