"""The door in front of the operations API: admits this machine, and consumers that are marked `admin`.

FastAPI is loaded when somebody first knocks: a sidecar that nobody looks into does without its 18 MB and
0.4 s. What is behind is `operations`'.
"""

import asyncio
import importlib
import ipaddress
from collections.abc import Callable

from cliproxy_api.snapshot import Snapshot
from cliproxy_sidecar.core.limits.identity import Stranger, identify
from cliproxy_sidecar.runtime.asgi import App, Receive, Scope, Send, answer
from cliproxy_sidecar.runtime.clock import now_s
from cliproxy_sidecar.runtime.figures import Figures
from cliproxy_sidecar.runtime.machines import Machines

_FORBIDDEN = (
    b'{"detail":"the operations API answers the same machine, and from elsewhere the key of a consumer with '
    b'admin: true"}'
)
_MODULE = "cliproxy_sidecar.admin.operations"


class OperationsDoor:
    """ASGI application of `/v0/operations`."""

    def __init__(
        self,
        machines: Machines,
        snapshot: Callable[[], Snapshot | None],
        figures: Figures,
        *,
        refused: Callable[[str], None],
    ) -> None:
        """`refused` hears why a stranger's key was not taken."""
        self._parts = (machines, snapshot, figures)
        self._limits = machines.limits
        self._refused = refused
        self._app: App | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request from the same machine, or of an admin."""
        if not _is_loopback(scope) and not self._is_admin(scope):
            await answer(send, 403, _FORBIDDEN)
            return
        app = self._app or await self._load()
        await app(scope, receive, send)

    def _is_admin(self, scope: Scope) -> bool:
        limits = self._limits
        if limits.ring is None:
            return False
        client = scope.get("client")
        address, query = client[0] if client else "", scope.get("query_string", b"")
        found = identify(limits.ring, limits.guesses, scope["headers"], query, address, now_s())
        if isinstance(found, Stranger):
            self._refused(found.why)
            return False
        return found.consumer.admin

    async def _load(self) -> App:
        async with self._loading:
            if self._app is None:
                # In a thread, so that requests in flight go on meanwhile.
                module = await asyncio.to_thread(importlib.import_module, _MODULE)
                self._app = module.create_app(*self._parts)
            return self._app


def _is_loopback(scope: Scope) -> bool:
    client = scope.get("client")
    if not client:
        return False
    address = ipaddress.ip_address(client[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
