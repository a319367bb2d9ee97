"""Read a kubeconfig into one endpoint value, and write one for a token.

Understands what local clusters and clouds use: tokens, client certificates (inline or files), exec plugins.
Talking to the endpoint is left to `kube.py`.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EXEC_TIMEOUT_S = 30.0


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

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS settings for this endpoint."""
        context = ssl.create_default_context(cadata=self.ca_pem or None)
        # Python 3.13 made this strict; the API server's self-made CA lacks the key identifier it wants.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert_pem:
            # The ssl module reads certificates from files only.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(self.client_cert_pem + "\n" + self.client_key_pem)
                file.flush()
                context.load_cert_chain(file.name)
        return context


def read(path: Path) -> Endpoint:
    """Return the endpoint of the file's current context. Raises `BadKubeconfig`."""
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
        context = _named(config, "context", config["current-context"])
        cluster = _named(config, "cluster", context["cluster"])
        user = _named(config, "user", context["user"])
        return _endpoint(path.parent, cluster, user)
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BadKubeconfig(f"cannot use the kubeconfig {path}: {error!r}") from error


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


def _named(config: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in config[f"{kind}s"]:
        if entry["name"] == name:
            found: dict[str, Any] = entry[kind]
            return found
    raise KeyError(f"{kind} {name}")


def _endpoint(folder: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Endpoint:
    token, cert, key = (
        user.get("token", ""),
        _pem(folder, user, "client-certificate"),
        _pem(folder, user, "client-key"),
    )
    if "tokenFile" in user:
        token = (folder / user["tokenFile"]).read_text("utf-8").strip()
    if "exec" in user:
        status = _run_plugin(user["exec"])
        token = status.get("token", "")
        cert, key = status.get("clientCertificateData", ""), status.get("clientKeyData", "")
    return Endpoint(
        server=cluster["server"].rstrip("/"),
        token=token,
        ca_pem=_pem(folder, cluster, "certificate-authority"),
        client_cert_pem=cert,
        client_key_pem=key,
        insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
    )


def _pem(folder: Path, entry: dict[str, Any], field: str) -> str:
    if data := entry.get(f"{field}-data"):
        return base64.b64decode(data).decode()
    return (folder / entry[field]).read_text("utf-8") if field in entry else ""


def _run_plugin(plugin: dict[str, Any]) -> dict[str, Any]:
    """Run a client-go credential plugin once. Source: kubernetes.io, "client-go credential plugins"."""
    env = os.environ | {item["name"]: item["value"] for item in plugin.get("env") or []}
    command = [plugin["command"], *(plugin.get("args") or [])]
    try:
        answer = subprocess.run(command, env=env, capture_output=True, check=True, timeout=EXEC_TIMEOUT_S)
        status: dict[str, Any] = json.loads(answer.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise BadKubeconfig(
            f"the credential plugin {plugin['command']} gave no credential: {error}"
        ) from error
    return status
