"""One batch over HTTP to an OTLP receiver, and what its answer means. When to try again is `exporter`'s.

Sources: OTLP specification 1.x, OTLP/HTTP (read 2026-11): 429, 502, 503 and 504 may be tried again. 500 is
not among them; it is tried again here all the same, as proxies and busy backends answer so (ADR 20).
"""

from collections.abc import Callable
from typing import Final

import msgspec

from cliproxy_api.snapshot import Timeouts
from cliproxy_sidecar.core.waits import retry_after_s
from cliproxy_sidecar.proxy.upstream import Upstream, UpstreamFailed, UpstreamRequest
from cliproxy_sidecar.runtime.clock import utc_now

MAX_ANSWER_BYTES: Final = 64 * 1024
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_HEADERS: Final = ((b"content-type", b"application/x-protobuf"), (b"user-agent", b"cliproxy-sidecar"))


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one try."""

    taken: bool
    again: bool
    """It may work later."""
    why: str
    after_s: float | None = None
    """The receiver's own word on when."""
    body: bytes = b""


class Delivery:
    """Connections to receivers; made when they are first needed."""

    def __init__(self, dial: Callable[[], Upstream], timeouts: Timeouts) -> None:
        self._dial = dial
        self._timeouts = timeouts
        self._upstream: Upstream | None = None

    async def send(self, url: str, body: bytes) -> Delivered:
        """Send one batch. Never raises but for cancellation."""
        if self._upstream is None:
            self._upstream = self._dial()
        try:
            response = await self._upstream.send(UpstreamRequest("POST", url, _HEADERS, body), self._timeouts)
        except UpstreamFailed as failure:
            return Delivered(taken=False, again=True, why=failure.error.message)
        status, answer = response.status, b""
        try:
            while chunk := await response.read():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    break
        except UpstreamFailed:
            pass  # The status has said it.
        finally:
            response.close()
        if 200 <= status < 300:  # noqa: PLR2004 -- success
            return Delivered(taken=True, again=False, why="", body=answer)
        why = f"it answers {status}"
        if status not in _AGAIN:
            return Delivered(taken=False, again=False, why=why)
        after = next((value for name, value in response.headers if name.lower() == b"retry-after"), None)
        after_s = None if after is None else retry_after_s(after.decode("latin-1"), utc_now())
        return Delivered(taken=False, again=True, why=why, after_s=after_s)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._upstream is not None:
            await self._upstream.aclose()
            self._upstream = None
