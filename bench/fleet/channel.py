"""How operator and sidecars of a run know each other: mutual TLS as in a cluster, or a shared token."""

import asyncio
import base64
import contextlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cliproxy_api.channel import AUTHORITIES_FILE, CERTIFICATE_FILE, KEY_FILE, SIDECAR_TLS_SECRET
from cliproxy_dev.clock import now_s
from cliproxy_dev.kube import ApiError, KubeApi
from cliproxy_dev.process import ProcessFailed
from fleet import objects

WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Channel:
    """The control channel of one run."""

    folder: Path | None
    """Where the sidecars find their certificate; None: a token in clear."""
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def of_operator(self) -> dict[str, str]:
        """What the operator's environment says of it: over TLS nothing, it is its own authority."""
        return {} if self.folder is not None else {"CLIPROXY_CONTROL_TOKEN": self.token}

    @property
    def of_sidecars(self) -> dict[str, str]:
        """What a sidecar's environment says of it."""
        if self.folder is not None:
            return {"CLIPROXY_TLS_DIR": str(self.folder)}
        return {"CLIPROXY_CONTROL_TOKEN": self.token}

    async def mount(self, api: KubeApi) -> None:
        """Write the certificate that the operator made for the namespace, as kubelet mounts it."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = f"/api/v1/namespaces/{objects.NAMESPACE}/secrets/{SIDECAR_TLS_SECRET}"
        end_s = now_s() + WITHIN_S
        while now_s() < end_s:
            with contextlib.suppress(ApiError):
                data = (await api.get(path))["data"]
                for name in (CERTIFICATE_FILE, KEY_FILE, AUTHORITIES_FILE):
                    (self.folder / name).write_bytes(base64.b64decode(data[name]))
                return
            await asyncio.sleep(0.1)
        raise ProcessFailed(f"the operator has made no certificate within {WITHIN_S:g} s")
