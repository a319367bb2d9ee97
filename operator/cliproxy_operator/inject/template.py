"""What every injected sidecar has in common: the operator's word, and a digest that tells stale ones."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Final

import msgspec

from cliproxy_api.vocabulary import CONTROL_PORT

CONTAINER: Final = "cliproxy"
"""Name of the sidecar's container; volumes begin with it too."""
REVISION: Final = 1
"""Counts what this package makes of one template; raise it with every change that running pods should get."""
DIGEST_CHARS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """How sidecars are made; a pod's own annotations may change resources and ports."""

    image: str
    pull_policy: str = "IfNotPresent"
    native: bool = False
    """As an init container that keeps running; the API server must know them (1.29 and later)."""
    cpu_request: str = "50m"
    memory_request: str = "64Mi"
    cpu_limit: str = ""
    """Empty: none; a throttled proxy is a slow one."""
    memory_limit: str = "128Mi"
    run_as_user: int | None = 65532
    """None: left to the cluster, as OpenShift wants it."""
    control_port: int = CONTROL_PORT
    token_secret: str = ""
    """For development: the Secret whose key `token` guards the control port; empty: mutual TLS does."""

    @property
    def digest(self) -> str:
        """Return what changes whenever a new pod would get another sidecar."""
        content = msgspec.json.encode([REVISION, asdict(self)], order="deterministic")
        return hashlib.sha256(content).hexdigest()[:DIGEST_CHARS]
