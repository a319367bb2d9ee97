"""What a 2xx body is."""

import pytest

from cliproxy_sidecar.core.answer import Answer, read_answer

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"", Answer.GOOD),
        (b"   ", Answer.GOOD),
        (b'{"choices":[{"finish_reason":"stop"}]}', Answer.GOOD),
        (b'{"choices":[{"message":{"content":"content_filter"},"finish_reason":"stop"}]}', Answer.GOOD),
        (b'{"choices":[{"finish_reason":"content_filter"}]}', Answer.FILTERED),
        (b'{"choices":[{"finish_reason":"stop"},{"finish_reason":"content_filter"}]}', Answer.FILTERED),
        (b'{"stop_reason":"refusal"}', Answer.FILTERED),
        (b'{"candidates":[{"finishReason":"SAFETY"}]}', Answer.FILTERED),
        (b'{"promptFeedback":{"blockReason":"OTHER"}}', Answer.FILTERED),
        (b'{"promptFeedback":{"blockReason":null}}', Answer.GOOD),
        (b'{"error":{"code":502}}', Answer.ERROR),
        (b'{"error":null,"choices":[]}', Answer.GOOD),
        (b'{"error":{"code":1},"choices":[{"finish_reason":"error"}]}', Answer.GOOD),
        (b'{"choices":"content_filter"}', Answer.GOOD),
        (b'{"choices":[{"finish_reason":"content_filter"', Answer.GOOD),
        (b"[1]", Answer.GOOD),
        (b"OK", Answer.GARBAGE),
        (b"\xff\x00", Answer.GARBAGE),
    ],
)
def test_bodies(body: bytes, answer: Answer) -> None:
    assert read_answer(body, JSON) is answer


def test_a_page_is_garbage_even_before_its_body_came() -> None:
    assert read_answer(b"", {"content-type": "text/html; charset=utf-8"}) is Answer.GARBAGE


def test_a_stream_is_not_judged_here() -> None:
    assert read_answer(b"data: x", {"content-type": "text/event-stream; charset=utf-8"}) is Answer.GOOD


def test_a_type_is_not_needed() -> None:
    assert read_answer(b"{}", {}) is Answer.GOOD


@pytest.mark.parametrize(
    "reason", ["SAFETY", "PROHIBITED_CONTENT", "RECITATION", "BLOCKLIST", "SPII", "IMAGE_SAFETY"]
)
def test_geminis_filters_are_known(reason: str) -> None:
    body = f'{{"candidates":[{{"finishReason":"{reason}"}}]}}'.encode()
    assert read_answer(body, {}) is Answer.FILTERED
    quoted = (
        b'{"candidates":[{"finishReason":"STOP","content":{"parts":[{"text":"' + reason.encode() + b'"}]}}]}'
    )
    assert read_answer(quoted, {}) is Answer.GOOD


def test_the_event_that_ends_anthropics_stream_says_why() -> None:
    assert read_answer(b'{"type":"message_delta","delta":{"stop_reason":"refusal"}}', {}) is Answer.FILTERED
    assert read_answer(b'{"type":"message_delta","delta":{"stop_reason":"end_turn"}}', {}) is Answer.GOOD
