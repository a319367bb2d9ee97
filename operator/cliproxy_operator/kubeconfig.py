"""Where the API server is and how to prove who we are: a kubeconfig or the pod's service account.

What a kubeconfig says `cliproxy_api.kubeconfig` knows. Gives both the operator's own client (`kube.py`) and
kopf a session of the same making; each opens it in its own event loop. Exec and auth-provider plugins are
refused by name: an operator runs under a service account.
"""

import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import yaml

from cliproxy_api.kubeconfig import Endpoint, KubeconfigError, Source, parse, tls_settings
from cliproxy_api.version import __version__
from cliproxy_operator.hidden import Hidden

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
USER_AGENT: Final = f"cliproxy-operator/{__version__}"
READ_BUFFER_BYTES: Final = 2**21
"""An object of the greatest size etcd takes (1.5 MiB) fits into one watch line."""

_Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


class ConfigError(ValueError):
    """There is no usable way to the API server; the message says what was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Address and credentials of one API server."""

    server: str
    """Without a trailing slash."""
    ca_pem: str | None = None
    verify: bool = True
    client_cert_pem: str | None = None
    client_key_pem: Hidden | None = None
    token: Hidden | None = None
    token_file: Path | None = None
    """Read again for every call: the kubelet rotates it."""

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS settings; None for plain HTTP."""
        return tls_settings(
            Endpoint(
                server=self.server,
                ca_pem=self.ca_pem or "",
                verify=self.verify,
                client_cert_pem=self.client_cert_pem or "",
                client_key_pem=self.client_key_pem.reveal() if self.client_key_pem is not None else "",
            )
        )

    def bearer(self) -> str | None:
        """Return the token to send now, None if there is none or its file cannot be read."""
        if self.token_file is not None:
            try:
                return self.token_file.read_text(encoding="ascii").strip()
            except OSError:
                pass  # being replaced: the API server's 401 says what is wrong, the next call reads again
        return self.token.reveal() if self.token is not None else None


def open_session(access: Access, *, connections: int = 0) -> aiohttp.ClientSession:
    """Open a session that authenticates each call; at most `connections` at once (0: no limit)."""

    async def authenticate(request: aiohttp.ClientRequest, handler: _Handler) -> aiohttp.ClientResponse:
        if token := access.bearer():
            request.headers["Authorization"] = f"Bearer {token}"
        return await handler(request)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=access.ssl_context() or True),
        middlewares=(authenticate,),
        headers={"User-Agent": USER_AGENT},
        read_bufsize=READ_BUFFER_BYTES,
        trust_env=False,
    )


def find_access(environment: Mapping[str, str]) -> Access:
    """Return the way to the API server: `KUBECONFIG`, else the pod's service account, else `~/.kube/config`.

    Raises:
        ConfigError: none of them is there or readable.

    """
    for part in environment.get("KUBECONFIG", "").split(os.pathsep):
        if part:
            return from_kubeconfig(Path(part))
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    if host and (SERVICE_ACCOUNT / "token").exists():
        port = environment.get("KUBERNETES_SERVICE_PORT", "443")
        ca_path = SERVICE_ACCOUNT / "ca.crt"
        return Access(
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            ca_pem=ca_path.read_text(encoding="ascii") if ca_path.exists() else None,
            token_file=SERVICE_ACCOUNT / "token",
        )
    home = Path(environment.get("HOME", "/nonexistent")) / ".kube" / "config"
    if home.exists():
        return from_kubeconfig(home)
    raise ConfigError("no API server: set KUBECONFIG, or run in a pod with a service account")


def from_kubeconfig(path: Path) -> Access:
    """Read the current context of a kubeconfig file.

    Raises:
        ConfigError: unreadable, incomplete, or it wants a plugin.

    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ConfigError(f"{path}: not a usable kubeconfig: it holds no mapping")
        found = parse([Source(path, config)], lambda file: file.read_text(encoding="ascii"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, KubeconfigError) as error:
        raise ConfigError(f"{path}: not a usable kubeconfig: {error}") from None
    if wants := "exec" if found.plugin is not None else found.unsupported:
        raise ConfigError(f"{path}: users that need {wants!r} are not supported; use a token or certificate")
    if found.tls_server_name:
        raise ConfigError(
            f"{path}: tls-server-name is not supported; let `server` be a name in the certificate"
        )
    return Access(
        server=found.server,
        ca_pem=found.ca_pem or None,
        verify=found.verify,
        client_cert_pem=found.client_cert_pem or None,
        client_key_pem=Hidden(found.client_key_pem) if found.client_key_pem else None,
        token=Hidden(found.token) if found.token else None,
        token_file=found.token_file,
    )
