"""The quick look for a stream's end finds what one look at all of an event finds, and nothing in its text."""

import json
import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.sse import Event, SSEParser
from cliproxy_sidecar.proxy.relay import says_end

REASON: Final = re.compile(rb'(?:(?:finish|stop)_r|(?:finish|block)R)eason"\s*:\s*"')
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


def plain(event: Event) -> bool:
    name = event.event
    if name is None:
        try:
            found = json.loads(event.data)
        except ValueError:
            found = None
        name = found.get("type") if isinstance(found, dict) else None
    return event.data.strip() == b"[DONE]" or name in NAMES or REASON.search(event.raw) is not None


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_the_quick_look_is_the_plain_one(pieces: list[bytes]) -> None:
    for event in parsed(b"".join(pieces)):
        assert says_end(event) == plain(event)


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
        assert not says_end(event)
