"""`/health*` and `/metrics`: what kubelet and Prometheus ask, on the observe port and beside the proxy.

Live means that the event loop answers; ready means that a snapshot runs and the process is not draining.
Whether providers are well is status, not readiness: a restart or a removed endpoint would not mend them.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST

from cliproxy_api.version import __version__
from cliproxy_sidecar.runtime.asgi import Receive, Scope, Send, answer

_NOT_FOUND: Final = b'{"error":"served here: /health, /health/live, /health/ready, /metrics"}'
PATHS: Final = frozenset({"/health", "/health/live", "/health/ready"})


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of the health endpoints."""

    status: str
    """`ok`, `starting` (no snapshot yet) or `draining`."""
    live: bool
    ready: bool
    version: str
    snapshot: str
    """Digest of what runs; empty: nothing yet."""
    operator_attached: bool


class HealthApp:
    """ASGI application of the observe port; also serves `PATHS` beside the proxy."""

    def __init__(
        self,
        *,
        digest: Callable[[], str],
        attached: Callable[[], bool],
        render_metrics: Callable[[], bytes],
    ) -> None:
        self._digest = digest
        self._attached = attached
        self._render_metrics = render_metrics
        self.draining = False

    def view(self) -> HealthView:
        """Return how the process is."""
        digest = self._digest()
        ready = bool(digest) and not self.draining
        return HealthView(
            status="draining" if self.draining else "ok" if ready else "starting",
            live=True,
            ready=ready,
            version=__version__,
            snapshot=digest,
            operator_attached=self._attached(),
        )

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path not in PATHS and path != "/metrics":
            await answer(send, 404, _NOT_FOUND)
        elif scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, b'{"error":"only GET is served here"}', headers=((b"allow", b"GET"),))
        elif path == "/metrics":
            await answer(send, 200, self._render_metrics(), content_type=CONTENT_TYPE_LATEST.encode())
        else:
            view = self.view()
            healthy = view.live if path == "/health/live" else view.ready
            await answer(send, 200 if healthy else 503, msgspec.json.encode(view))
