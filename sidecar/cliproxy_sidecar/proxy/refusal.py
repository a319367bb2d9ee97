"""Our own refusals as values, and how one is sent in the caller's format.

When to refuse is decided by `app` and `exchange`; the words of each format are `core.errors`'.
"""

from dataclasses import dataclass
from typing import Final

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.errors import ErrorKind, error_body, retry_after
from cliproxy_sidecar.core.headers import Header
from cliproxy_sidecar.proxy.downstream import Downstream

JSON_TYPE: Final = (b"content-type", b"application/json")
_RETRYABLE: Final = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE, ErrorKind.BUSY})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the caller gets no provider's answer."""

    kind: ErrorKind
    message: str
    param: str | None = None
    retry_after_s: float | None = None
    """When it makes sense to ask again; None: unknown."""
    allow: bytes = b""
    """Wrong method: the ones that are served."""
    notes: tuple[Header, ...] = ()
    """What else the answer's head tells."""


async def send_refusal(
    downstream: Downstream,
    dialect: Dialect,
    refusal: Refusal,
    *,
    request_id: str,
    headers: tuple[Header, ...] = (),
) -> None:
    """Send the refusal as the whole answer."""
    kind = refusal.kind
    body = error_body(dialect, kind, refusal.message, param=refusal.param, request_id=request_id)
    lines = [JSON_TYPE, (b"content-length", str(len(body)).encode()), *headers]
    lines += refusal.notes
    lines.append((b"x-request-id", request_id.encode()))
    if dialect is Dialect.ANTHROPIC:
        lines.append((b"request-id", request_id.encode()))
    if kind in _RETRYABLE or refusal.retry_after_s is not None:
        lines.append((b"retry-after", retry_after(refusal.retry_after_s).encode()))
    if refusal.allow:
        lines.append((b"allow", refusal.allow))
    if kind is ErrorKind.CALLER_TIMEOUT:
        # The rest of the body may come at any time. (That of one that is too large is read and dropped by the
        # server: closing the connection under a caller that still sends would hide the answer from it.)
        lines.append((b"connection", b"close"))
    await downstream.begin(kind.status, lines)
    await downstream.end(body)
