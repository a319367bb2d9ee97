"""The door in front of the operations API: admits this machine, and consumers that are marked `admin`.

FastAPI is loaded when somebody first knocks: a sidecar that nobody looks into does without its 18 MB and
0.4 s. What is behind is `operations`'.
"""

import asyncio
import importlib
from collections.abc import Callable

from cliproxy_api.audit import AuditEvent, AuditOutcome, peer_text
from cliproxy_api.snapshot import Snapshot
from cliproxy_sidecar.core.limits.identity import Stranger, identify, is_local
from cliproxy_sidecar.runtime.asgi import App, Receive, Scope, Send, answer
from cliproxy_sidecar.runtime.audit import Audit
from cliproxy_sidecar.runtime.clock import now_s
from cliproxy_sidecar.runtime.figures import Figures
from cliproxy_sidecar.runtime.machines import Machines

_FORBIDDEN = (
    b'{"detail":"the operations API answers the same machine, and from elsewhere the key of a consumer with '
    b'admin: true"}'
)
WHO = "cliproxy.who"
"""In the scope: the name of whoever was let in."""
_MODULE = "cliproxy_sidecar.admin.operations"


class OperationsDoor:
    """ASGI application of `/v0/operations`."""

    def __init__(
        self,
        machines: Machines,
        snapshot: Callable[[], Snapshot | None],
        figures: Figures,
        *,
        audit: Audit,
        refused: Callable[[str], None],
    ) -> None:
        """`refused` hears why a stranger's key was not taken, for the figures."""
        self._parts = (machines, snapshot, figures, audit)
        self._audit = audit
        self._limits = machines.limits
        self._refused = refused
        self._app: App | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request from the same machine, or of an admin."""
        if is_local(scope.get("client"), scope.get("server")):
            scope[WHO] = "this machine"
        elif not self._is_admin(scope):
            await answer(send, 403, _FORBIDDEN)
            return
        app = self._app or await self._load()
        await app(scope, receive, send)

    def _is_admin(self, scope: Scope) -> bool:
        limits = self._limits
        if limits.ring is None:
            self._tell(AuditEvent.ACCESS_REFUSED, "from another machine", scope)
            return False
        client, own, query = scope.get("client"), scope.get("server"), scope.get("query_string", b"")
        found = identify(limits.ring, limits.guesses, scope["headers"], query, client, own, now_s())
        if isinstance(found, Stranger):
            self._refused(found.why)
            self._tell(AuditEvent.AUTHENTICATION_FAILURE, found.why, scope)
            return False
        scope[WHO] = found.name
        if not found.consumer.admin:
            self._tell(AuditEvent.ACCESS_REFUSED, "no admin", scope)
        return found.consumer.admin

    def _tell(self, event: AuditEvent, reason: str, scope: Scope) -> None:
        self._audit.tell(
            event,
            AuditOutcome.REFUSED,
            reason=reason,
            who=scope.get(WHO, ""),
            origin=peer_text(scope.get("client")),
            subject="port/operations",
        )

    async def _load(self) -> App:
        async with self._loading:
            if self._app is None:
                # In a thread, so that requests in flight go on meanwhile.
                module = await asyncio.to_thread(importlib.import_module, _MODULE)
                self._app = module.create_app(*self._parts)
            return self._app
