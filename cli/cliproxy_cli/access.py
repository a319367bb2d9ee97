"""Finds the API server as kubectl does: kubeconfig files, then the pod's service account.

What the files say is `cliproxy_api.kubeconfig`'s; here they are read, and credential plugins run.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from cliproxy_api.kubeconfig import Endpoint, KubeconfigError, Plugin, Source, parse
from cliproxy_cli.failures import CommandFailed

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PLUGIN_TIMEOUT_S: Final = 60.0
"""Some open a browser and wait for a person."""


def find_endpoint(environment: Mapping[str, str], *, kubeconfig: str = "", context: str = "") -> Endpoint:
    """Return where the API server is, ready to be called: plugins have run, token files are read.

    Raises:
        CommandFailed: there is no way, or none that works.

    """
    try:
        paths = _paths(environment, kubeconfig)
        sources = [Source(path, _load(path)) for path in paths if kubeconfig or path.exists()]
        if sources:
            return _credentials(
                parse(sources, lambda path: path.read_text("utf-8"), context=context), environment
            )
        if not context and (inside := _in_cluster(environment)) is not None:
            return inside
    except KubeconfigError as error:
        raise CommandFailed(
            str(error), hint="see `kubectl config view`, or choose another with --context"
        ) from None
    raise CommandFailed(
        f"no kubeconfig: looked for {', '.join(map(str, paths))}",
        hint="set KUBECONFIG or give --kubeconfig FILE",
    )


def _paths(environment: Mapping[str, str], kubeconfig: str) -> list[Path]:
    if kubeconfig:
        return [Path(kubeconfig)]
    named = [Path(part) for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    return named or [Path(environment.get("HOME") or "/") / ".kube" / "config"]


def _load(path: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise KubeconfigError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"{path}: not a kubeconfig: {error}") from None
    if not isinstance(config, dict):
        raise KubeconfigError(f"{path}: not a kubeconfig: it holds no mapping")
    return config


def _in_cluster(environment: Mapping[str, str]) -> Endpoint | None:
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    if not host or not (SERVICE_ACCOUNT / "token").exists():
        return None
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    return Endpoint(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        context="in-cluster",
        namespace=_text(SERVICE_ACCOUNT / "namespace"),
        ca_pem=_text(SERVICE_ACCOUNT / "ca.crt"),
        token=_text(SERVICE_ACCOUNT / "token"),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""


def _credentials(endpoint: Endpoint, environment: Mapping[str, str]) -> Endpoint:
    if endpoint.unsupported:
        raise KubeconfigError(
            f"context {endpoint.context!r}: users with {endpoint.unsupported!r} are not supported; "
            "use a token, a certificate or an exec plugin"
        )
    if endpoint.plugin is not None:
        status = run_plugin(endpoint.plugin, environment)
        return replace(
            endpoint,
            token=str(status.get("token") or ""),
            client_cert_pem=str(status.get("clientCertificateData") or endpoint.client_cert_pem),
            client_key_pem=str(status.get("clientKeyData") or endpoint.client_key_pem),
        )
    if endpoint.token_file is not None:
        try:
            return replace(endpoint, token=endpoint.token_file.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise KubeconfigError(f"tokenFile {endpoint.token_file}: {error}") from None
    return endpoint


def run_plugin(plugin: Plugin, environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Run a credential plugin once and return its `status`; its words to the person reach the terminal.

    Source: kubernetes.io, "client-go credential plugins" (read 2026-11-21).

    Raises:
        KubeconfigError: it cannot be run, fails, takes too long, or says no credential.

    """
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": True}}
    variables = {**environment, **plugin.env, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    command = [plugin.command, *plugin.args]
    try:
        # A command of the user's own kubeconfig: kubectl runs the same.
        done = subprocess.run(  # noqa: S603
            command, env=variables, stdout=subprocess.PIPE, check=True, timeout=PLUGIN_TIMEOUT_S
        )
        status = json.loads(done.stdout)["status"]
        empty = not (status.get("token") or status.get("clientCertificateData"))
    except FileNotFoundError:
        hint = f"; {plugin.install_hint}" if plugin.install_hint else ""
        raise KubeconfigError(f"the credential plugin {plugin.command!r} is not installed{hint}") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise KubeconfigError(f"the credential plugin {plugin.command!r} failed: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        empty = True
    if empty:
        raise KubeconfigError(f"the credential plugin {plugin.command!r} printed no credential")
    return dict(status)
