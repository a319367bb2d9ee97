"""What one finished attempt was: the one place that weighs providers' signals.

Body code first, then status, then transport error (design section 6). The signals themselves are data in
`signals`, waits are read by `hints`, the cooled scopes are spelt out by `scopes`. Callers' faults, callers'
time-outs and cancelled calls never count against a provider: their outcomes have no scope.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, assert_never

from cliproxy_api.vocabulary import OutcomeClass, ProviderType, ScopeKind
from cliproxy_sidecar.core import hints
from cliproxy_sidecar.core.answer import Answer, read_answer
from cliproxy_sidecar.core.dialect import Operation
from cliproxy_sidecar.core.errorbody import ErrorBody, read_error
from cliproxy_sidecar.core.resets import next_month_s, pacific_midnight_s
from cliproxy_sidecar.core.signals import BODY_SIGNALS, STATUS_SIGNALS, STREAM_SIGNALS
from cliproxy_sidecar.core.verdict import RETRIES, SCOPES, Retry, Signal

__all__ = [
    "CANCELLED",
    "FILTERED",
    "MAX_BODY_BYTES",
    "SUCCESS",
    "Outcome",
    "Response",
    "Retry",
    "TransportError",
    "TransportFault",
    "classify_end",
    "classify_nonsense",
    "classify_response",
    "classify_stream_error",
    "classify_transport",
]

MAX_BODY_BYTES: Final = 64 * 1024
"""How much of a body is worth handing in: error answers are far smaller."""

TransportFault = Literal[
    "connect",
    "tls",
    "reset",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
    "protocol",
    "too_many_headers",
    "redirect",
]


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, as far as it matters."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """The whole body or a prefix of at most `MAX_BODY_BYTES`."""


@dataclass(frozen=True, slots=True)
class TransportError:
    """An attempt that ended without an answer, or in the middle of one."""

    kind: TransportFault
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The class of one finished attempt, what it takes out of use, and the evidence."""

    cls: OutcomeClass
    scope_kind: ScopeKind | None = None
    """None: nothing to cool (a success, or the request's own matter)."""
    hint_s: float | None = None
    """The provider's own word on how long to wait; finite, at least 0; not clamped to any policy."""
    retry: Retry = Retry.NONE
    status: int | None = None
    code: str | None = None
    """The provider's code, printable, at most 128 characters."""
    header: str | None = None
    """Where the hint was read, "name: value", at most 128 characters."""
    reason: str = ""
    """One line for people, ours: providers' messages may quote keys and prompts."""


SUCCESS: Final = Outcome(OutcomeClass.SUCCESS)
CANCELLED: Final = Outcome(OutcomeClass.CANCELLED, reason="the caller went away")

_TRANSPORT: Final[dict[TransportFault, tuple[OutcomeClass, Retry, str]]] = {
    "connect": (OutcomeClass.SERVER_ERROR, Retry.SAME, "no connection"),
    "tls": (OutcomeClass.SERVER_ERROR, Retry.SAME, "no TLS session"),
    "reset": (OutcomeClass.SERVER_ERROR, Retry.SAME, "connection closed before the answer was complete"),
    "first_byte_timeout": (OutcomeClass.SERVER_ERROR, Retry.SAME, "no answer in time"),
    "idle_timeout": (OutcomeClass.SERVER_ERROR, Retry.SAME, "the answer stalled"),
    # The request's time is used up, and what is garbage once is garbage twice.
    "total_timeout": (OutcomeClass.SERVER_ERROR, Retry.FAILOVER, "the answer took too long"),
    "protocol": (OutcomeClass.SERVER_ERROR, Retry.FAILOVER, "the answer is not HTTP"),
    "too_many_headers": (
        OutcomeClass.SERVER_ERROR,
        Retry.FAILOVER,
        "the answer's headers are too many or too large",
    ),
    "redirect": (
        OutcomeClass.CONFIG,
        Retry.FAILOVER,
        "redirects are not followed; set baseURL to the new address",
    ),
}

_HINTED: Final = frozenset(
    {OutcomeClass.RATE_LIMITED, OutcomeClass.RAMP, OutcomeClass.QUOTA_LONG, OutcomeClass.OVERLOADED}
)
_SPEND_LIMIT: Final = "enforced_spend_limit_reached"
_CLIENT: Final = Signal(OutcomeClass.CLIENT, "the provider finds fault with the request", "status alone")
_SERVER: Final = Signal(OutcomeClass.SERVER_ERROR, "the provider failed", "status alone")
_REDIRECT: Final = Signal(OutcomeClass.CONFIG, _TRANSPORT["redirect"][2], "design section 14")
_STREAM: Final = Signal(OutcomeClass.STREAM_ERROR, "an error inside the stream", "nothing known fits")
_GARBAGE: Final = Signal(OutcomeClass.SERVER_ERROR, "a success whose body is no answer", "design section 6")
_PLAN: Final = Signal(OutcomeClass.QUOTA_LONG, "a window of the subscription is used up", "unified headers")
_DAY: Final = Signal(OutcomeClass.QUOTA_LONG, "the day's quota is used up", "Gemini QuotaFailure")

FILTERED: Final = Outcome(
    OutcomeClass.FILTER, status=200, code="content_filter", reason="the provider's content filter refused"
)
"""A 200 in all formats."""

_OPTIONAL_OPERATIONS: Final = frozenset(
    {"completions", "count_tokens", "gemini_count_tokens", "embed_content", "batch_embed_contents"}
)
"""What many compatible servers lack, and what some models do not offer beside chat or messages."""


def classify_response(
    provider_type: ProviderType, response: Response, *, now_utc: datetime, operation: Operation | None = None
) -> Outcome:
    """Classify an answer by body code, then status.

    Never raises, whatever the provider sent. A 2xx is looked at for a filter's end reason, an error object or
    garbage; for a stream hand in an empty body. `operation` keeps a 404 without a code on an operation that a
    provider need not have from cooling the model for the others.
    """
    status = response.status
    if 200 <= status < 300:  # noqa: PLR2004 - success
        return _classify_success(provider_type, response, now_utc)
    if 300 <= status < 400:  # noqa: PLR2004 - redirection
        return _outcome(_REDIRECT, status, ErrorBody(), None)
    error = read_error(response.body[:MAX_BODY_BYTES], response.headers)
    signal = _body_signal(provider_type, status, error)
    if signal is None:
        signal = _status_signal(status)
        if signal.cls is OutcomeClass.CONFIG and operation and operation.name in _OPTIONAL_OPERATIONS:
            return replace(_outcome(signal, status, error, None), scope_kind=None)
    signal = _longer(signal, provider_type, error, response.headers)
    return _outcome(signal, status, error, _hint(signal, error, response.headers, now_utc))


def classify_stream_error(provider_type: ProviderType, event_data: bytes, *, now_utc: datetime) -> Outcome:
    """Classify an error event that came after a 200, by its inner type; unknown ones are StreamError.

    The answer's headers are not asked: they were written before the error. Never raises.
    """
    error = read_error(event_data[:MAX_BODY_BYTES], {})
    signal = _body_signal(provider_type, error.status, error)
    if signal is None and error.status is not None:
        signal = _status_signal(error.status)
    if signal is None:
        message = error.message.lower()
        fits = (item for item in STREAM_SIGNALS if item.fits(provider_type, None, error.words, message))
        signal = next(fits, _STREAM)
    signal = _longer(signal, provider_type, error, {})
    return _outcome(signal, error.status, error, _hint(signal, error, {}, now_utc))


def classify_end(event_data: bytes) -> Outcome:
    """Classify the event that ends a stream: a success, or what the provider's filter cut short."""
    return FILTERED if read_answer(event_data, {}) is Answer.FILTERED else SUCCESS


def classify_transport(error: TransportError, *, after_headers: bool = False) -> Outcome:
    """Classify an attempt that ended without an answer, or was cut after a 200 (`after_headers`).

    The caller's own time-out or departure is not one: use `CANCELLED`.
    """
    cls, retry, says = _TRANSPORT[error.kind]
    if after_headers and cls is OutcomeClass.SERVER_ERROR:
        cls, retry = OutcomeClass.STREAM_ERROR, Retry.FAILOVER
    return Outcome(cls, scope_kind=SCOPES.get(cls), retry=retry, code=error.kind, reason=says)


def classify_nonsense(field: str) -> Outcome:
    """Classify an answer that cannot be put into the caller's format because of this field."""
    outcome = classify_transport(TransportError("protocol", field), after_headers=True)
    return replace(outcome, code="bad_answer", reason=f"`{field}` of the answer is not what it must be")


def _classify_success(provider_type: ProviderType, response: Response, now_utc: datetime) -> Outcome:
    match read_answer(response.body, response.headers):
        case Answer.GOOD:
            return SUCCESS
        case Answer.FILTERED:
            return FILTERED
        case Answer.ERROR:
            return classify_stream_error(provider_type, response.body, now_utc=now_utc)
        case Answer.GARBAGE:
            return _outcome(_GARBAGE, response.status, ErrorBody(), None)
        case unknown:
            assert_never(unknown)


def _body_signal(provider_type: ProviderType, status: int | None, error: ErrorBody) -> Signal | None:
    message = error.message.lower()
    for signal in BODY_SIGNALS:
        if signal.fits(provider_type, status, error.words, message):
            return signal
    return None


def _status_signal(status: int) -> Signal:
    return STATUS_SIGNALS.get(status) or (_CLIENT if 400 <= status < 500 else _SERVER)  # noqa: PLR2004


def _longer(
    signal: Signal, provider_type: ProviderType, error: ErrorBody, headers: Mapping[str, str]
) -> Signal:
    """Tell a day's or plan's limit from a minute's, where only details or headers say so."""
    if signal.cls is not OutcomeClass.RATE_LIMITED:
        return signal
    if provider_type is ProviderType.ANTHROPIC and hints.is_unified_rejected(headers):
        return _PLAN
    return _DAY if any("perday" in quota.lower() for quota in error.quota_ids) else signal


def _hint(
    signal: Signal, error: ErrorBody, headers: Mapping[str, str], now_utc: datetime
) -> hints.Hint | None:
    """Read the wait; limits without one that come back at a known date get that date."""
    if signal is _DAY:
        # A RetryInfo beside it is the minute window's.
        return hints.Hint(pacific_midnight_s(now_utc), "quotaId: PerDay, back at midnight Pacific")
    if signal is _PLAN:
        window = hints.unified_reset(headers, hints.provider_clock(headers, now_utc))
        if window is not None:
            return window
    if _SPEND_LIMIT in error.words:
        return hints.Hint(next_month_s(now_utc), f"error_code: {_SPEND_LIMIT}, back on the 1st")
    if signal.cls in _HINTED:
        long = signal.cls is OutcomeClass.QUOTA_LONG
        return hints.read_hint(error, headers, now_utc=now_utc, long=long)
    return None


def _outcome(signal: Signal, status: int | None, error: ErrorBody, hint: hints.Hint | None) -> Outcome:
    return Outcome(
        signal.cls,
        scope_kind=SCOPES.get(signal.cls),
        hint_s=None if hint is None else hint.seconds,
        retry=signal.retry or RETRIES.get(signal.cls, Retry.NONE),
        status=status,
        code=error.code,
        header=None if hint is None else hint.source,
        reason=signal.says,
    )
