"""Every recorded signal gets the class, scope, hint and retry it must; and what no recording covers."""

from datetime import UTC, datetime

import pytest

from cliproxy_api.vocabulary import COUNTED_CLASSES, OutcomeClass, ProviderType, ScopeKind
from cliproxy_dev.providers.signals import Signal, load_all
from cliproxy_sidecar.core import dialect
from cliproxy_sidecar.core.outcome import (
    CANCELLED,
    FILTERED,
    SUCCESS,
    Outcome,
    Response,
    Retry,
    TransportError,
    TransportFault,
    classify_end,
    classify_response,
    classify_stream_error,
    classify_transport,
)
from cliproxy_sidecar.core.signals import BODY_SIGNALS, STATUS_SIGNALS, STREAM_SIGNALS
from cliproxy_sidecar.core.sse import SSEParser
from cliproxy_sidecar.core.verdict import SCOPES

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SIGNALS = load_all()
SCOPE_NAMES = {
    None: "request",
    ScopeKind.PROVIDER: "provider",
    ScopeKind.CREDENTIAL: "credential",
    ScopeKind.MODEL: "model",
    ScopeKind.CREDENTIAL_MODEL: "credential_model",
}


def classify(signal: Signal) -> Outcome:
    provider_type = ProviderType(signal.provider_type)
    now_utc = datetime.fromisoformat(signal.now_utc)
    if signal.stream_event is not None:
        [event] = SSEParser().feed(signal.stream_event.encode())
        return classify_stream_error(provider_type, event.data, now_utc=now_utc)
    response = Response(signal.status, signal.headers, signal.body.encode())
    return classify_response(provider_type, response, now_utc=now_utc)


def respond(
    status: int, body: str = "", provider_type: ProviderType = ProviderType.OPENAI, **headers: str
) -> Outcome:
    response = Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode()
    )
    return classify_response(provider_type, response, now_utc=NOW)


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_recorded_signal_is_classified_as_expected(signal: Signal) -> None:
    outcome = classify(signal)
    expect = signal.expect
    assert outcome.cls == (expect.inner or expect.class_)
    assert SCOPE_NAMES[outcome.scope_kind] == expect.scope
    assert outcome.retry == expect.retry
    assert outcome.hint_s == (None if expect.hint_s is None else pytest.approx(expect.hint_s, abs=1e-6))


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_evidence_is_bounded_and_quotes_no_message(signal: Signal) -> None:
    outcome = classify(signal)
    assert len(outcome.code or "") <= 128
    assert len(outcome.header or "") <= 128
    assert len(outcome.reason) <= 128
    assert (outcome.header is None) == (outcome.hint_s is None)
    assert "sk-wrong" not in f"{outcome}"


def test_every_class_of_the_table_is_recorded() -> None:
    recorded = {classify(signal).cls for signal in SIGNALS}
    # A stream's unknown error and the caller's departure have no recorded answer; they are tested below.
    assert recorded == set(OutcomeClass) - {OutcomeClass.STREAM_ERROR, OutcomeClass.CANCELLED}


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (
            OutcomeClass.RATE_LIMITED,
            {"openai", "groq", "anthropic", "azure", "gemini", "bedrock", "cerebras"},
        ),
        (OutcomeClass.RAMP, {"openai"}),
        (OutcomeClass.QUOTA_LONG, {"gemini", "groq", "anthropic", "openai"}),
        (OutcomeClass.QUOTA_MONEY, {"openai", "anthropic", "gemini"}),
        (OutcomeClass.OVERLOADED, {"anthropic", "openai", "gemini", "azure", "groq"}),
        (OutcomeClass.SERVER_ERROR, {"openai", "anthropic", "gemini"}),
        (OutcomeClass.AUTH, {"openai", "anthropic", "gemini", "azure"}),
        (OutcomeClass.CONFIG, {"azure", "anthropic", "openai", "gemini"}),
        (OutcomeClass.CONTEXT, {"openai", "azure", "groq", "anthropic", "bedrock", "gemini"}),
        (OutcomeClass.TOO_BIG, {"anthropic", "groq"}),
        (OutcomeClass.FILTER, {"azure", "openai", "gemini"}),
        (OutcomeClass.CLIENT, {"openai", "groq"}),
    ],
)
def test_every_row_has_its_providers_recorded(cls: OutcomeClass, names: set[str]) -> None:
    recorded = {signal.flavour for signal in SIGNALS if classify(signal).cls is cls}
    assert recorded >= names


def test_every_status_of_the_table_is_recorded() -> None:
    statuses = {signal.status for signal in SIGNALS}
    assert statuses >= {400, 401, 402, 403, 404, 405, 409, 413, 422, 429, 498, 499, 500, 502, 503, 504, 529}


def test_every_rule_names_its_source_and_what_it_says() -> None:
    for signal in (*BODY_SIGNALS, *STREAM_SIGNALS, *STATUS_SIGNALS.values()):
        assert signal.says
        assert signal.source
        assert all(word == word.lower() for word in signal.words)
        assert all(text == text.lower() for text in (*signal.opens, *signal.contains))


def test_classes_with_a_scope_are_those_that_count() -> None:
    assert set(SCOPES) == COUNTED_CLASSES


@pytest.mark.parametrize(
    "body",
    [
        '{"error":{"message":"messages.0: Your credit balance is too low","type":"invalid_request_error"}}',
        '{"error":{"message":"Invalid value: \'tokens per day\'","type":"invalid_request_error"}}',
        '{"error":{"message":"bad input \'high demand\'","type":"invalid_request_error"}}',
    ],
)
def test_a_caller_cannot_cool_a_provider_by_quoting_it(body: str) -> None:
    for provider_type in ProviderType:
        assert respond(400, body, provider_type).scope_kind is None


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
def test_a_redirect_is_a_misconfiguration(status: int) -> None:
    outcome = respond(status, location="http://elsewhere")
    assert (outcome.cls, outcome.scope_kind) == (OutcomeClass.CONFIG, ScopeKind.MODEL)
    assert outcome.retry is Retry.FAILOVER
    assert "baseURL" in outcome.reason


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (100, OutcomeClass.SERVER_ERROR),
        (407, OutcomeClass.CONFIG),
        (408, OutcomeClass.CLIENT),
        (410, OutcomeClass.CONFIG),
        (418, OutcomeClass.CLIENT),
        (451, OutcomeClass.AUTH),
        (501, OutcomeClass.SERVER_ERROR),
        (524, OutcomeClass.SERVER_ERROR),
        (600, OutcomeClass.SERVER_ERROR),
        (999, OutcomeClass.SERVER_ERROR),
    ],
)
def test_a_status_alone_decides_where_the_body_says_nothing(status: int, cls: OutcomeClass) -> None:
    assert respond(status).cls is cls


def test_a_404_about_a_file_is_the_callers() -> None:
    outcome = respond(404, '{"error":{"type":"not_found_error","message":"File not found: file_1"}}')
    assert (outcome.cls, outcome.scope_kind) == (OutcomeClass.CLIENT, None)


def test_a_chat_model_asked_for_completions_is_the_callers_fault() -> None:
    body = '{"error":{"message":"This is a chat model and not supported in the v1/completions endpoint."}}'
    assert respond(404, body).cls is OutcomeClass.CLIENT


@pytest.mark.parametrize("operation", [dialect.COUNT_TOKENS, dialect.COMPLETIONS])
def test_a_missing_optional_operation_does_not_cool_the_model(operation: dialect.Operation) -> None:
    response = Response(404, {}, b'{"detail":"Not Found"}')
    outcome = classify_response(ProviderType.ANTHROPIC, response, now_utc=NOW, operation=operation)
    assert (outcome.cls, outcome.scope_kind, outcome.retry) == (OutcomeClass.CONFIG, None, Retry.FAILOVER)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (dialect.MESSAGES, b'{"detail":"Not Found"}'),
        (dialect.COUNT_TOKENS, b'{"error":{"type":"not_found_error","message":"model: nonesuch"}}'),
    ],
)
def test_a_missing_model_cools_it_whatever_was_asked(operation: dialect.Operation, body: bytes) -> None:
    outcome = classify_response(
        ProviderType.ANTHROPIC, Response(404, {}, body), now_utc=NOW, operation=operation
    )
    assert (outcome.cls, outcome.scope_kind) == (OutcomeClass.CONFIG, ScopeKind.MODEL)


@pytest.mark.parametrize("body", ["", "data: {}", '{"id":"x"}', '{"choices":[{"finish_reason":"stop"}]}'])
def test_a_success_is_a_success(body: str) -> None:
    content_type = "text/event-stream" if body.startswith("data") else "application/json"
    assert respond(200, body, content_type=content_type) is SUCCESS


def test_an_error_object_under_a_200_is_no_success() -> None:
    outcome = respond(200, '{"error":{"message":"Provider returned error","code":429}}')
    assert (outcome.cls, outcome.status) == (OutcomeClass.RATE_LIMITED, 429)


@pytest.mark.parametrize(
    ("body", "content_type"), [("<html>Sign in</html>", "text/html"), ("hello", "application/json")]
)
def test_a_page_under_a_200_is_no_success(body: str, content_type: str) -> None:
    assert respond(200, body, content_type=content_type).cls is OutcomeClass.SERVER_ERROR


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"[1]", b"{}", b'{"error":{}}', b'{"error":null}', b"\xff"]
)
def test_an_unknown_error_inside_a_stream_is_a_stream_error(data: bytes) -> None:
    outcome = classify_stream_error(ProviderType.OPENAI, data, now_utc=NOW)
    assert (outcome.cls, outcome.scope_kind) == (OutcomeClass.STREAM_ERROR, ScopeKind.MODEL)
    assert outcome.retry is Retry.FAILOVER


def test_a_numeric_code_inside_a_stream_is_read_as_a_status() -> None:
    outcome = classify_stream_error(ProviderType.OPENAI, b'{"error":{"code":"502"}}', now_utc=NOW)
    assert (outcome.cls, outcome.status, outcome.code) == (OutcomeClass.SERVER_ERROR, 502, "502")


def test_an_invalid_request_inside_a_stream_is_the_callers() -> None:
    data = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'
    assert classify_stream_error(ProviderType.ANTHROPIC, data, now_utc=NOW).scope_kind is None


FAULTS: list[TransportFault] = [
    "connect",
    "tls",
    "reset",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
    "protocol",
    "too_many_headers",
]


@pytest.mark.parametrize("kind", FAULTS)
def test_a_failed_transport_is_the_providers_fault(kind: TransportFault) -> None:
    error = TransportError(kind, "secret detail sk-1")
    before = classify_transport(error)
    after = classify_transport(error, after_headers=True)
    assert (before.cls, before.scope_kind) == (OutcomeClass.SERVER_ERROR, ScopeKind.MODEL)
    assert before.retry is not Retry.NONE
    assert (after.cls, after.retry) == (OutcomeClass.STREAM_ERROR, Retry.FAILOVER)
    assert before.code == kind
    assert "sk-1" not in f"{before}{after}"


@pytest.mark.parametrize("after_headers", [False, True])
def test_a_redirect_reported_by_the_client_is_a_misconfiguration(*, after_headers: bool) -> None:
    outcome = classify_transport(TransportError("redirect", ""), after_headers=after_headers)
    assert (outcome.cls, outcome.retry) == (OutcomeClass.CONFIG, Retry.FAILOVER)


def test_a_cancelled_call_counts_for_nothing() -> None:
    assert (CANCELLED.cls, CANCELLED.scope_kind, CANCELLED.retry) == (
        OutcomeClass.CANCELLED,
        None,
        Retry.NONE,
    )


def test_a_rejected_window_without_a_readable_reset_falls_back_on_retry_after() -> None:
    outcome = respond(
        429,
        '{"error":{"type":"rate_limit_error"}}',
        ProviderType.ANTHROPIC,
        anthropic_ratelimit_unified_status="rejected",
        anthropic_ratelimit_unified_reset="soon",
        retry_after="90",
    )
    assert (outcome.cls, outcome.hint_s, outcome.header) == (OutcomeClass.QUOTA_LONG, 90.0, "retry-after: 90")


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (b"[DONE]", SUCCESS),
        (b'{"choices":[{"delta":{},"finish_reason":"stop"}]}', SUCCESS),
        (b'{"choices":[{"delta":{},"finish_reason":"content_filter"}]}', FILTERED),
        (b'{"promptFeedback":{"blockReason":"OTHER"}}', FILTERED),
        (b"", SUCCESS),
    ],
)
def test_a_streams_end_is_a_success_or_a_filters(data: bytes, outcome: Outcome) -> None:
    assert classify_end(data) is outcome
