"""What etcd and kube-apiserver are started with: command lines and the files they read.

Pure apart from writing those files; starting the programs is left to `start`.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cliproxy_dev.controlplane.find import Binaries

# Who may log in, and their groups. `nobody` is authenticated and may do nothing.
DEFAULT_USERS: Mapping[str, tuple[str, ...]] = {
    "admin": ("system:masters",),
    "operator": ("cliproxy:operators",),
    "nobody": (),
}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-4, D.1.2.3
SERVICES = "10.96.0.0/24"
"""The addresses of Services: nobody listens there."""
LOOPBACK_SERVICES = "127.96.0.0/16"
"""Addresses at which `nodeagent.services` can listen; so many that two clusters seldom meet at one."""
# Every write is logged, so that a test can count writes and say whose they were.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one control plane, all below `root`."""

    root: Path

    @property
    def tokens(self) -> Path:
        """The server's list of users, groups and their tokens."""
        return self.root / "tokens.csv"

    @property
    def signing_key(self) -> Path:
        """The key that signs service account tokens."""
        return self.root / "service-account.key"

    @property
    def audit_policy(self) -> Path:
        """Which requests go to the audit log."""
        return self.root / "audit-policy.json"

    @property
    def audit_log(self) -> Path:
        """One JSON object per write."""
        return self.root / "audit.log"

    @property
    def certificates(self) -> Path:
        """Where the server keeps the certificate it makes for itself."""
        return self.root / "certificates"

    @property
    def ca_file(self) -> Path:
        """The server's certificate followed by the CA that signed it."""
        return self.certificates / "apiserver.crt"

    @property
    def etcd_data(self) -> Path:
        """Etcd's data directory."""
        return self.root / "etcd"

    def log(self, program: str) -> Path:
        """Where the output of `etcd` or `kube-apiserver` goes."""
        return self.root / f"{program}.log"


def write_inputs(layout: Layout, users: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Write the files the API server reads; return each user's token."""
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    tokens = {user: secrets.token_hex(16) for user in users}
    rows = [f'{tokens[user]},{user},{user},"{",".join(groups)}"' for user, groups in users.items()]
    layout.tokens.touch(mode=0o600)
    layout.tokens.write_text("\n".join(rows) + "\n", "utf-8")
    layout.signing_key.touch(mode=0o600)
    layout.signing_key.write_text(new_signing_key(), "ascii")
    layout.audit_policy.write_text(json.dumps(AUDIT_POLICY), "utf-8")
    return tokens


def new_signing_key() -> str:
    """Return a fresh P-256 private key as PEM, without needing openssl on the machine.

    Source: RFC 5915 section 3, the form without the optional public key, which the reader computes.
    """
    scalar = 1 + secrets.randbelow(P256_ORDER - 1)
    prime256v1 = bytes.fromhex("a00a06082a8648ce3d030107")
    body = bytes.fromhex("0201010420") + scalar.to_bytes(32, "big") + prime256v1
    text = base64.b64encode(bytes([0x30, len(body)]) + body).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n"


def etcd_command(binaries: Binaries, layout: Layout, *, client_port: int, peer_port: int) -> list[str]:
    """Return the command line of a one-member etcd on loopback that does not wait for the disk."""
    client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    return [
        str(binaries.etcd),
        "--name=local",
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        "--unsafe-no-fsync",  # the data dies with the run anyway
        "--log-level=warn",
    ]


def apiserver_command(
    binaries: Binaries, layout: Layout, *, etcd_port: int, port: int, services: str = SERVICES
) -> list[str]:
    """Return the command line of a kube-apiserver on loopback with token users and RBAC."""
    return [
        str(binaries.kube_apiserver),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={layout.certificates}",
        f"--service-cluster-ip-range={services}",
        # No node can reach a loopback address as a service; without this the server logs an error every 10 s.
        "--endpoint-reconciler-type=none",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={layout.signing_key}",
        f"--service-account-signing-key-file={layout.signing_key}",
        f"--token-auth-file={layout.tokens}",
        "--authorization-mode=RBAC",
        # There is no controller that makes service accounts and their tokens.
        "--disable-admission-plugins=ServiceAccount",
        f"--audit-policy-file={layout.audit_policy}",
        f"--audit-log-path={layout.audit_log}",
        "--allow-privileged=true",
        "--profiling=false",
    ]
