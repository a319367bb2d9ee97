"""Which place counts when a provider says how long to wait, and in which order."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cliproxy_sidecar.core.errorbody import ErrorBody
from cliproxy_sidecar.core.hints import (
    Hint,
    exhausted_bucket,
    is_unified_rejected,
    provider_clock,
    read_hint,
    unified_reset,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
UNIFIED = "anthropic-ratelimit-unified-"
ORDERED: list[tuple[str, float]] = [
    ("retryDelay", 1.0),
    ("retry-after-ms", 2.0),
    ("retry-after", 3.0),
    ("x-ratelimit-reset-tokens", 4.0),
    ("message", 5.0),
    ("x-ratelimit-reset-requests", 6.0),
]


def epoch(seconds: float) -> str:
    return str(int(NOW.timestamp() + seconds))


def hint(error: ErrorBody | None = None, *, long: bool = False, **headers: str) -> Hint | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_hint(error or ErrorBody(), named, now_utc=NOW, long=long)


@pytest.mark.parametrize("missing", range(len(ORDERED)))
def test_the_most_trusted_place_that_is_there_counts(missing: int) -> None:
    present = {name for name, _ in ORDERED[missing:]}
    headers = {
        "retry-after-ms": "2000",
        "retry-after": "3",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "4s",
        "x-ratelimit-remaining-requests": "7",
        "x-ratelimit-reset-requests": "6s",
    }
    for name in [name for name in headers if "remaining" not in name and name not in present]:
        del headers[name]
    error = ErrorBody(
        words=("requests",),
        message="Please try again in 5s." if "message" in present else "",
        retry_delay="1s" if "retryDelay" in present else None,
    )
    found = read_hint(error, headers, now_utc=NOW, long=False)
    assert found is not None
    assert (found.source.partition(":")[0], found.seconds) == ORDERED[missing]


def test_nothing_said_is_no_hint() -> None:
    assert hint() is None
    assert hint(long=True) is None


def test_a_long_limit_takes_the_later_of_bucket_and_text() -> None:
    error = ErrorBody(message="Please try again in 20m3s.")
    buckets: dict[str, Any] = {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "7s"}
    long, short = hint(error, long=True, **buckets), hint(error, **buckets)
    assert long is not None
    assert short is not None
    assert (long.seconds, short.seconds) == (1203.0, 7.0)


def test_a_long_limit_does_not_ask_the_bucket_that_the_type_names() -> None:
    error = ErrorBody(words=("tokens",))
    assert hint(error, long=True, x_ratelimit_remaining_tokens="9", x_ratelimit_reset_tokens="7s") is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (13680, 13680.0),
        (1.5, 1.5),
        ("45.837906927s", 45.837906927),
        ({"seconds": 7, "nanos": 1}, 7.0),
        (0, 0.0),
    ],
)
def test_delays_in_bodies_are_read(value: object, seconds: float) -> None:
    for error in (ErrorBody(retry_delay=value), ErrorBody(resets_in_s=value)):
        found = hint(error, retry_after="99")
        assert found is not None
        assert found.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [None, True, -5, "-5s", "soon", [], {}, {"seconds": None}, float("nan"), float("inf"), 10**400, "9" * 99],
)
def test_rubbish_in_bodies_gives_way_to_the_next_place(value: object) -> None:
    for error in (ErrorBody(retry_delay=value), ErrorBody(resets_in_s=value), ErrorBody(resets_at=value)):
        assert hint(error, retry_after="9") == Hint(9.0, "retry-after: 9")


@pytest.mark.parametrize(
    "value", [int(epoch(60)), float(epoch(60)), epoch(60), f"{(NOW + timedelta(seconds=60)).isoformat()}"]
)
def test_resets_at_is_an_instant(value: object) -> None:
    found = hint(ErrorBody(resets_at=value))
    assert found is not None
    assert found.seconds == pytest.approx(60.0)


def test_instants_are_read_against_the_providers_clock() -> None:
    ahead = hint(date="Fri, 20 Nov 2026 12:05:00 GMT", retry_after="Fri, 20 Nov 2026 12:05:08 GMT")
    assert ahead == Hint(8.0, "retry-after: Fri, 20 Nov 2026 12:05:08 GMT")


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 01 Jan 1970 00:00:00 GMT", "x" * 200])
def test_a_date_that_is_no_clock_is_ignored(date: str) -> None:
    assert provider_clock({"date": date}, NOW) == NOW


def test_of_several_exhausted_buckets_the_last_to_come_back_counts() -> None:
    headers = {
        "anthropic-ratelimit-requests-remaining": "5",
        "anthropic-ratelimit-requests-reset": "2026-11-20T13:00:00Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-20T12:00:21Z",
        "anthropic-ratelimit-output-tokens-remaining": "-3",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-20T12:00:43Z",
    }
    found = exhausted_bucket(headers, NOW)
    assert found == Hint(43.0, "anthropic-ratelimit-output-tokens-reset: 2026-11-20T12:00:43Z")


@pytest.mark.parametrize("prefix", ["x-ratelimit", "ratelimit"])
def test_a_reset_without_remaining_is_the_limit_that_was_hit(prefix: str) -> None:
    assert exhausted_bucket({f"{prefix}-reset": "17"}, NOW) == Hint(17.0, f"{prefix}-reset: 17")
    assert exhausted_bucket({f"{prefix}-reset": "17", f"{prefix}-remaining": "3"}, NOW) is None


def test_an_exhausted_bucket_without_a_readable_reset_says_nothing() -> None:
    assert (
        exhausted_bucket({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon"}, NOW)
        is None
    )


def test_the_overall_subscription_status_decides() -> None:
    window = {f"{UNIFIED}5h-status": "rejected"}
    assert is_unified_rejected(window)
    assert not is_unified_rejected(window | {f"{UNIFIED}status": "allowed"})
    assert is_unified_rejected({f"{UNIFIED}status": "Rejected"})
    assert not is_unified_rejected({})


def test_overage_is_a_policy_not_a_window() -> None:
    headers = {
        f"{UNIFIED}overage-status": "rejected",
        f"{UNIFIED}overage-reset": epoch(999),
        f"{UNIFIED}5h-status": "rejected",
        f"{UNIFIED}5h-reset": epoch(60),
    }
    found = unified_reset(headers, NOW)
    assert found is not None
    assert found.seconds == 60.0
    assert not is_unified_rejected({f"{UNIFIED}overage-status": "rejected"})


def test_the_overall_reset_counts_when_no_window_names_itself() -> None:
    found = unified_reset({f"{UNIFIED}status": "rejected", f"{UNIFIED}reset": epoch(60)}, NOW)
    assert found is not None
    assert found.seconds == 60.0


def test_a_hints_source_is_bounded_and_printable() -> None:
    found = hint(ErrorBody(retry_delay={"seconds": 3, "x": "\n" * 500}))
    assert found is not None
    assert len(found.source) <= 128
    assert found.source.isprintable()
