"""The quick looks for a stream's end find what slow ones find, and nothing in an event's text."""

import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.sse import Event, SSEParser
from cliproxy_sidecar.proxy.relay import gives_reason, seals

KEYS: Final = (b'finish_reason"', b'stop_reason"', b'finishReason"', b'blockReason"')
NAMES: Final = ("message_stop", "response.completed", "response.incomplete", "response.failed")
PIECES: Final = (
    *(b"[DONE]", b"message_stop", b'"finish_reason"', b'"stop_reason"', b'"finishReason"', b'"blockReason"'),
    *(b'"stopReason"', b'"reason"', b":", b" ", b'"', b"null", b"finish", b"_r", b'eason":"', b"response."),
    *(b"completed", b"incomplete", b"failed", b"created", b"data: ", b"{", b"}", b",", b"stop", b"event: "),
    *(b"\n", b'{"type":"message_stop"}', b'{"type":"response.failed"}'),
)


def parsed(block: bytes) -> list[Event]:
    parser = SSEParser()
    events = parser.feed(block + b"\n\n")
    rest = parser.finish()
    return events if rest is None else [*events, rest]


def plainly_seals(event: Event) -> bool:
    name = event.event
    if name is None:
        try:
            found = json.loads(event.data)
        except ValueError:
            found = None
        name = found.get("type") if isinstance(found, dict) else None
    return event.data.strip() == b"[DONE]" or name in NAMES


def plainly_gives_reason(event: Event) -> bool:
    """Behind one of the keys stand a colon, a quotation mark, and something that is no second one."""
    for key in KEYS:
        for behind in event.raw.split(key)[1:]:
            colon, value = behind.lstrip()[:1], behind.lstrip()[1:].lstrip()
            if colon == b":" and value[:1] == b'"' and value[1:2] not in (b"", b'"'):
                return True
    return False


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_the_quick_looks_are_the_plain_ones(pieces: list[bytes]) -> None:
    for event in parsed(b"".join(pieces)):
        assert seals(event) == plainly_seals(event)
        assert gives_reason(event) == plainly_gives_reason(event)


@pytest.mark.parametrize("reason", [None, "", "stop"])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_reason_is_a_word(reason: str | None, separators: tuple[str, str]) -> None:
    for chunk in (
        {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        {"type": "message_delta", "delta": {"stop_reason": reason}},
        {"candidates": [{"content": {"parts": []}, "finishReason": reason}]},
        {"promptFeedback": {"blockReason": reason}},
    ):
        (event,) = parsed(b"data: " + json.dumps(chunk, separators=separators).encode())
        assert gives_reason(event) == bool(reason)
        assert not seals(event)


@pytest.mark.parametrize(
    "said",
    [
        "data: [DONE]",
        "event: message_stop",
        '{"type": "message_stop"}',
        "response.completed",
        '"finish_reason": "stop"',
        '{"stop_reason":"end_turn","finishReason":"STOP"}',
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_text_about_ends_is_none(said: str, *, ascii_only: bool) -> None:
    texts = (
        {"choices": [{"delta": {"content": said}, "finish_reason": None}]},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": said}},
        {"type": "response.output_text.delta", "delta": said},
        {"candidates": [{"content": {"parts": [{"text": said}]}}]},
    )
    for text in texts:
        (event,) = parsed(b"data: " + json.dumps(text, ensure_ascii=ascii_only).encode())
        assert not seals(event)
        assert not gives_reason(event)
