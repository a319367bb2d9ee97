import datetime as dt
import json

import pytest

from cliproxy_dev.providers import presets
from cliproxy_dev.providers.script import Fail, StreamError

TAKEN_UTC = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
LATER_UTC = TAKEN_UTC + dt.timedelta(days=40, seconds=5)


def failing(name: str, *, now_utc: dt.datetime = LATER_UTC, retry_after_s: float | None = None) -> Fail:
    behaviour = presets.preset(name, now_utc=now_utc, retry_after_s=retry_after_s)
    assert isinstance(behaviour, Fail)
    return behaviour


@pytest.mark.parametrize("name", presets.names())
def test_at_its_own_time_a_preset_is_the_record(name: str) -> None:
    record = presets.signal(name)
    behaviour = presets.preset(name, now_utc=TAKEN_UTC)
    headers = dict(record.headers)
    if headers.get("date") == "Fri, 20 Nov 2026 12:00:00 GMT":
        del headers["date"]  # the server writes its own
    if record.stream_event is None:
        assert behaviour == Fail(status=record.status, headers=headers, body=record.body)
    else:
        assert behaviour == StreamError(event=record.stream_event, events=1, headers=headers)


def test_unknown_name() -> None:
    with pytest.raises(KeyError):
        presets.preset("openai.nonesuch", now_utc=TAKEN_UTC)


def test_instants_move_with_the_time() -> None:
    reset = failing("anthropic.rate_limit_reset_only").headers["anthropic-ratelimit-input-tokens-reset"]
    assert reset == "2026-12-30T12:00:26Z"
    skewed = failing("anthropic.rate_limit_clock_skew").headers
    assert skewed["date"] == "Wed, 30 Dec 2026 12:05:05 GMT"
    assert skewed["anthropic-ratelimit-requests-reset"] == "2026-12-30T12:05:13Z"
    assert failing("openai.rate_limit_http_date").headers["retry-after"] == "Wed, 30 Dec 2026 12:00:35 GMT"
    epoch = int(LATER_UTC.timestamp())
    assert failing("generic.reset_epoch").headers["x-ratelimit-reset"] == str(epoch + 45)
    assert failing("generic.reset_epoch_ms").headers["x-ratelimit-reset"] == str((epoch + 60) * 1000)
    body = json.loads(failing("openai.usage_limit_reached_resets_at").body)
    assert body["error"]["resets_at"] == epoch + 259200


def test_relative_waits_do_not_move() -> None:
    assert failing("openai.rate_limit").headers["x-ratelimit-reset-requests"] == "8s"
    assert "45.837906927s" in failing("gemini.per_minute").body


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [
        ("openai.rate_limit", "retry-after", "3"),
        ("openai.rate_limit", "retry-after-ms", "3000"),
        ("openai.rate_limit", "x-ratelimit-reset-requests", "3s"),
        ("openai.rate_limit", "x-ratelimit-reset-tokens", "6ms"),  # not exhausted, so not the wait
        ("anthropic.rate_limit", "retry-after", "3"),
        ("anthropic.rate_limit", "anthropic-ratelimit-input-tokens-reset", "2026-12-30T12:00:08Z"),
        ("anthropic.unified_5h", "anthropic-ratelimit-unified-5h-reset", str(int(LATER_UTC.timestamp()) + 3)),
        ("generic.reset_seconds", "x-ratelimit-reset", "3"),
        ("gemini.per_minute", "retry-after", "3"),
    ],
)
def test_another_wait_in_headers(name: str, header: str, value: str) -> None:
    assert failing(name, retry_after_s=3).headers[header] == value


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("openai.rate_limit", "Please try again in 3s."),
        ("openai.rate_limit_text_only", "Please try again in 3s."),
        ("azure.rate_limit", "Please retry after 3 seconds."),
        ("gemini.per_minute", '"retryDelay": "3s"'),
        ("groq.rate_limit", "Please try again in 3s."),
        ("openai.usage_limit_reached", '"resets_in_seconds":3'),
    ],
)
def test_another_wait_in_the_body(name: str, words: str) -> None:
    body = failing(name, retry_after_s=3).body
    assert words in body
    json.loads(body)


def test_another_wait_inside_a_stream() -> None:
    behaviour = presets.preset("openai.stream_rate_limit", now_utc=LATER_UTC, retry_after_s=3)
    assert isinstance(behaviour, StreamError)
    assert "try again in 3s." in behaviour.event
