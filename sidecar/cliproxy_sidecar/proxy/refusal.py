"""Our own refusals as values, and how one is sent in the caller's format.

When to refuse is decided by `app` and `exchange`; the words of each format are `core.errors`'.
"""

from dataclasses import dataclass
from typing import Final

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.errors import ErrorKind, error_body, retry_after
from cliproxy_sidecar.core.headers import Header, block_of
from cliproxy_sidecar.proxy.downstream import Sink

JSON_TYPE: Final = b"\r\ncontent-type: application/json"
REQUEST_ID: Final = b"\r\nx-request-id: %b"
ANTHROPIC_REQUEST_ID: Final = b"\r\nrequest-id: %b"
"""Where Anthropic's SDKs look for the id."""
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


def send_refusal(
    downstream: Sink, dialect: Dialect, refusal: Refusal, *, request_id: str, block: bytes = b""
) -> None:
    """Send the refusal as the whole answer, `block` (of headers) included."""
    kind = refusal.kind
    body = error_body(
        dialect,
        kind,
        refusal.message,
        param=refusal.param,
        request_id=request_id,
        retry_after_s=refusal.retry_after_s,
    )
    block = JSON_TYPE + block + block_of(refusal.notes) + REQUEST_ID % request_id.encode()
    if dialect is Dialect.ANTHROPIC:
        block += ANTHROPIC_REQUEST_ID % request_id.encode()
    if kind in _RETRYABLE or refusal.retry_after_s is not None:
        block += b"\r\nretry-after: " + retry_after(refusal.retry_after_s).encode()
    if refusal.allow:
        block += b"\r\nallow: " + refusal.allow
    if kind is ErrorKind.CALLER_TIMEOUT:
        # The rest of the body may come at any time. (That of one that is too large is read and dropped by the
        # server: closing the connection under a caller that still sends would hide the answer from it.)
        downstream.keeps = False
    downstream.begin(kind.status, block, len(body))
    downstream.end(body)
