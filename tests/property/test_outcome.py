"""Whatever a provider sends: an outcome with a finite hint, and callers' faults without a scope."""

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.vocabulary import COUNTED_CLASSES, ProviderType
from cliproxy_sidecar.core.outcome import Outcome, Response, classify_response, classify_stream_error
from cliproxy_sidecar.core.waits import MAX_WAIT_S

TYPES = st.sampled_from(ProviderType)
NOWS = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
VALUES = st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["0", "rejected", "allowed", "1e999", "NaN", "-1", "1s", "6m0s", "9" * 400, "\x00"]),
    st.datetimes().map(datetime.isoformat),
)
NAMES = st.sampled_from(
    [
        *("retry-after", "retry-after-ms", "date", "content-type", "x-amzn-errortype", "x-ratelimit-reset"),
        *("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "x-ratelimit-remaining"),
        *("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
        *("anthropic-ratelimit-unified-status", "anthropic-ratelimit-unified-reset"),
        *(
            "anthropic-ratelimit-unified-5h-status",
            "anthropic-ratelimit-unified-5h-reset",
            "status",
            "-status",
        ),
    ]
)
HEADERS = st.dictionaries(st.one_of(NAMES, st.text(max_size=20)), VALUES, max_size=8)


def check(outcome: Outcome) -> None:
    assert (outcome.scope_kind is None) or outcome.cls in COUNTED_CLASSES
    if outcome.hint_s is not None:
        assert math.isfinite(outcome.hint_s)
        assert 0 <= outcome.hint_s <= MAX_WAIT_S
        # Callers do arithmetic with it.
        assert datetime(2099, 1, 1, tzinfo=UTC) + timedelta(seconds=outcome.hint_s)
    for text in (outcome.code, outcome.header, outcome.reason):
        assert text is None or (len(text) <= 128 and (text.isprintable()))


@given(TYPES, st.integers(0, 1000), HEADERS, st.binary(max_size=200), NOWS)
def test_any_answer_has_an_outcome(
    provider_type: ProviderType, status: int, headers: dict[str, str], body: bytes, now_utc: datetime
) -> None:
    check(classify_response(provider_type, Response(status, headers, body), now_utc=now_utc))


@given(TYPES, st.sampled_from([429, 503, 529, 403]), HEADERS, NOWS)
def test_any_refusal_has_a_hint_that_can_be_kept(
    provider_type: ProviderType, status: int, headers: dict[str, str], now_utc: datetime
) -> None:
    check(classify_response(provider_type, Response(status, headers, b""), now_utc=now_utc))


@given(TYPES, st.binary(max_size=200), NOWS)
def test_any_stream_error_has_an_outcome(provider_type: ProviderType, data: bytes, now_utc: datetime) -> None:
    outcome = classify_stream_error(provider_type, data, now_utc=now_utc)
    check(outcome)
