"""Our own refusals, in the caller's format, with the words that its SDK turns into the right exception.

Providers' errors pass as they came; these are for what never reached one, or came back as nothing usable.
Sources: OpenAI API reference, error codes; Anthropic API documentation, errors; Google's error model
(google.rpc status and error details) as the Gemini API uses it (all read 2026-11).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from cliproxy_sidecar.core.dialect import Dialect

MAX_NAMED: Final = 5
"""How many of the cooling targets a message names."""
MAX_RETRY_AFTER_S: Final = 86_400
"""SDKs ignore long waits anyway; a day says enough."""


GOOGLE_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
"""Google's words for HTTP statuses. Source: google.rpc.Code (read 2026-11)."""
_RPC: Final = "type.googleapis.com/google.rpc"
_DOMAIN: Final = "cliproxy.io"
_NAMED_EVENTS: Final = frozenset({Dialect.ANTHROPIC, Dialect.RESPONSES})


@dataclass(frozen=True, slots=True)
class _Words:
    status: int
    openai_type: str
    openai_code: str | None
    anthropic_type: str


class ErrorKind(Enum):
    """Why we refuse."""

    MALFORMED = _Words(400, "invalid_request_error", "malformed_request", "invalid_request_error")
    WRONG_FORMAT = _Words(400, "invalid_request_error", "wrong_format", "invalid_request_error")
    """The model is served, but by nobody who has this operation."""
    UNTRANSLATABLE = _Words(400, "invalid_request_error", "unsupported_parameter", "invalid_request_error")
    """A field of the request has no equal in the format of those who serve the model."""
    UNAUTHENTICATED = _Words(401, "invalid_request_error", "invalid_api_key", "authentication_error")
    """Callers need a key here, and there is none, or it is nobody's."""
    OVER_BUDGET = _Words(402, "insufficient_quota", "budget_exceeded", "billing_error")
    """The consumer has spent its budget."""
    UNKNOWN_MODEL = _Words(404, "invalid_request_error", "model_not_found", "not_found_error")
    UNKNOWN_PATH = _Words(404, "invalid_request_error", "unknown_url", "not_found_error")
    UNKNOWN_REQUEST = _Words(404, "invalid_request_error", "request_not_found", "not_found_error")
    """Feedback on a request that is not known any more, or never was."""
    ALREADY_RATED = _Words(409, "invalid_request_error", "already_rated", "invalid_request_error")
    WRONG_METHOD = _Words(405, "invalid_request_error", "method_not_supported", "invalid_request_error")
    CALLER_TIMEOUT = _Words(408, "invalid_request_error", "request_timeout", "invalid_request_error")
    """The request's body did not come in time."""
    TOO_LARGE = _Words(413, "invalid_request_error", "request_too_large", "request_too_large")
    RATE_LIMITED = _Words(429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error")
    """Everything that could serve is cooling because of limits, or the consumer is above its own."""
    HEADERS_TOO_LARGE = _Words(431, "invalid_request_error", "headers_too_large", "invalid_request_error")
    INTERNAL = _Words(500, "server_error", "internal_error", "api_error")
    UPSTREAM_FAILED = _Words(502, "server_error", "upstream_failed", "api_error")
    UNAVAILABLE = _Words(503, "server_error", "service_unavailable", "overloaded_error")
    """Everything that could serve is cooling or unhealthy for other reasons, or nothing is configured yet."""
    BUSY = _Words(503, "server_error", "too_many_concurrent_requests", "overloaded_error")
    """Our own limit of concurrent requests."""
    TIMEOUT = _Words(504, "server_error", "upstream_timeout", "timeout_error")

    @property
    def status(self) -> int:
        """The HTTP status that goes with it."""
        return self.value.status


@dataclass(frozen=True, slots=True)
class Cooling:
    """One target that could serve, and why it does not."""

    name: str
    """For people: provider, or provider and credential or model."""
    reason: str
    remaining_s: float | None
    """None: no known end."""


def error_body(
    dialect: Dialect,
    kind: ErrorKind,
    message: str,
    *,
    param: str | None = None,
    request_id: str = "",
    retry_after_s: float | None = None,
) -> bytes:
    """Return the JSON body of a refusal."""
    words = kind.value
    if dialect is Dialect.GEMINI:
        return msgspec.json.encode(_gemini_error(kind, message, param, retry_after_s))
    if dialect is Dialect.ANTHROPIC:
        error = {"type": words.anthropic_type, "message": message}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id or None})
    return msgspec.json.encode(_openai_error(kind, message, param))


def _openai_error(kind: ErrorKind, message: str, param: str | None) -> dict[str, dict[str, str | None]]:
    words = kind.value
    fields = {"message": message, "type": words.openai_type, "param": param, "code": words.openai_code}
    return {"error": fields}


def _gemini_error(
    kind: ErrorKind, message: str, param: str | None, retry_after_s: float | None
) -> dict[str, dict[str, object]]:
    """Google's details say in a fixed form why, which field, and how long to wait; its SDKs read them."""
    details: list[dict[str, object]] = []
    if kind.value.openai_code is not None:
        reason = kind.value.openai_code.upper()
        details.append({"@type": f"{_RPC}.ErrorInfo", "reason": reason, "domain": _DOMAIN})
    if param is not None:
        violation = {"field": param, "description": message}
        details.append({"@type": f"{_RPC}.BadRequest", "fieldViolations": [violation]})
    if retry_after_s is not None:
        details.append({"@type": f"{_RPC}.RetryInfo", "retryDelay": f"{retry_after(retry_after_s)}s"})
    status = GOOGLE_STATUS.get(kind.status, "INVALID_ARGUMENT")
    return {"error": {"code": kind.status, "message": message, "status": status, "details": details}}


def error_event(dialect: Dialect, kind: ErrorKind, message: str, *, request_id: str = "") -> bytes:
    """Return the refusal as an event, for a stream that has begun."""
    if dialect is Dialect.RESPONSES:
        # Flat by the reference, nested as SDKs look for it.
        flat = {"type": "error", "code": kind.value.openai_code, "message": message, "param": None}
        body = msgspec.json.encode({**flat, **_openai_error(kind, message, None)})
    else:
        body = error_body(dialect, kind, message, request_id=request_id)
    name = b"event: error\n" if dialect in _NAMED_EVENTS else b""
    return name + b"data: " + body + b"\n\n"


def cooling_message(model: str, cooling: Sequence[Cooling]) -> str:
    """Say in one line what could serve the model, why it does not, and when it may again."""
    named = "; ".join(_cooling(item) for item in cooling[:MAX_NAMED])
    more = len(cooling) - MAX_NAMED
    tail = f"; and {more} more" if more > 0 else ""
    return f"No provider of model {model!r} can be used now: {named or 'none is configured'}{tail}."


def retry_after(seconds: float | None) -> str:
    """Return the value of a Retry-After header: whole seconds, rounded up, 1 to a day; 1 if unknown."""
    if seconds is None or not seconds > 0:
        return "1"
    return str(math.ceil(min(seconds, MAX_RETRY_AFTER_S)))


def _cooling(item: Cooling) -> str:
    if item.remaining_s is None:
        return f"{item.name} ({item.reason})"
    return f"{item.name} ({item.reason}, for {retry_after(item.remaining_s)} s more)"
