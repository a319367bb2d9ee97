"""Read a kubeconfig into one endpoint value, and write one for a token.

What a file says and how plugins are run is `cliproxy_api.kubeconfig`'s and the command line's; talking to the
endpoint is left to `kube.py`.
"""

from __future__ import annotations

import base64
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import yaml

from cliproxy_api import kubeconfig
from cliproxy_cli.access import find_endpoint
from cliproxy_cli.failures import CommandFailed


class BadKubeconfig(ValueError):
    """The file cannot be used; the message names it and says why."""


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """Where an API server is and how to be let in. Never printed: it holds credentials."""

    server: str
    token: str = ""
    ca_pem: str = ""
    client_cert_pem: str = ""
    client_key_pem: str = ""
    insecure: bool = False

    def ssl_context(self) -> ssl.SSLContext | bool:
        """Return the TLS settings for this endpoint; True for plain HTTP, as aiohttp takes it."""
        wanted = kubeconfig.Endpoint(
            server=self.server,
            ca_pem=self.ca_pem,
            verify=not self.insecure,
            client_cert_pem=self.client_cert_pem,
            client_key_pem=self.client_key_pem,
        )
        return kubeconfig.tls_settings(wanted) or True


def read(path: Path) -> Endpoint:
    """Return the endpoint of the file's current context. Raises `BadKubeconfig`."""
    try:
        found = find_endpoint(os.environ, kubeconfig=str(path))
    except CommandFailed as failure:
        raise BadKubeconfig(f"cannot use the kubeconfig {path}: {failure}") from failure
    return Endpoint(
        server=found.server,
        token=found.token,
        ca_pem=found.ca_pem,
        client_cert_pem=found.client_cert_pem,
        client_key_pem=found.client_key_pem,
        insecure=not found.verify,
    )


def write(path: Path, endpoint: Endpoint, *, user: str = "admin") -> None:
    """Write a kubeconfig with one context for `endpoint`'s token, readable by its owner only."""
    ca = base64.b64encode(endpoint.ca_pem.encode()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "clusters": [
            {"name": "local", "cluster": {"server": endpoint.server, "certificate-authority-data": ca}}
        ],
        "users": [{"name": user, "user": {"token": endpoint.token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": user}}],
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        yaml.safe_dump(config, file, sort_keys=False)
