"""The door in front of the operations API: admits this machine only, and loads FastAPI when first knocked at.

A sidecar that nobody looks into does without FastAPI's 18 MB and 0.4 s. What is behind is `operations`'.
"""

import asyncio
import importlib
import ipaddress
from collections.abc import Callable

from cliproxy_api.snapshot import Snapshot
from cliproxy_sidecar.runtime.asgi import App, Receive, Scope, Send, answer
from cliproxy_sidecar.runtime.figures import Figures
from cliproxy_sidecar.runtime.machines import Machines

_MODULE = "cliproxy_sidecar.admin.operations"


class OperationsDoor:
    """ASGI application of `/v0/operations`."""

    def __init__(self, machines: Machines, snapshot: Callable[[], Snapshot | None], figures: Figures) -> None:
        self._parts = (machines, snapshot, figures)
        self._app: App | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request from the same machine."""
        if not _is_loopback(scope):
            await answer(send, 403, b'{"detail":"the operations API answers the same machine only"}')
            return
        app = self._app or await self._load()
        await app(scope, receive, send)

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
