"""The names that both ends of the control channel, and whoever writes a pod, agree on.

Who issues what is the operator's business, who checks what each end's own; nothing is decided here.
"""

import hashlib
from typing import Final

OPERATOR_ID: Final = "spiffe://cliproxy.io/operator"
"""URI in the subject alternative names of the operator's client certificate; sidecars admit no other."""

CA_SECRET: Final = "cliproxy-ca"  # noqa: S105 -- a name
"""In the operator's namespace: the certificate authority with its key."""
SIDECAR_TLS_SECRET: Final = "cliproxy-sidecar-tls"  # noqa: S105 -- a name
"""In each namespace with sidecars: their server certificate; of type kubernetes.io/tls, with `ca.crt`."""
CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
AUTHORITIES_FILE: Final = "ca.crt"
"""The authorities that the other end's certificate may come from, one PEM block each."""

SNAPSHOT_SECRET_TYPE: Final = "cliproxy.io/snapshot"  # noqa: S105 -- a name
SNAPSHOT_FILE: Final = "snapshot.json.gz"
"""Key of a snapshot Secret: a gzipped snapshot push."""
DIGEST_ANNOTATION: Final = "cliproxy.io/digest"
"""On a snapshot Secret: the digest of the snapshot that is in it."""

TLS_MOUNT: Final = "/etc/cliproxy/tls"
SNAPSHOT_MOUNT: Final = "/etc/cliproxy/snapshot"
STATE_MOUNT: Final = "/var/lib/cliproxy"
"""Where pods mount the certificate, the snapshot and the folder for the last good configuration."""

MAX_NAME_CHARS: Final = 253
_SNAPSHOT_SECRET: Final = "cliproxy-snapshot"  # noqa: S105 -- a name


def sidecar_host(namespace: str) -> str:
    """Return the DNS name in the server certificate of a namespace's sidecars; it is never resolved."""
    return f"sidecar.{namespace}.cliproxy.internal"


def snapshot_secret(profile: str) -> str:
    """Return the name of the Secret that holds a profile's snapshot; "" is the built-in defaults' profile."""
    name = f"{_SNAPSHOT_SECRET}-{profile}" if profile else _SNAPSHOT_SECRET
    if len(name) <= MAX_NAME_CHARS:
        return name
    digest = hashlib.sha256(profile.encode()).hexdigest()[:12]
    return f"{name[: MAX_NAME_CHARS - 13].rstrip('.-')}-{digest}"
