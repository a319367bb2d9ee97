"""What answers say about themselves, in every format, whole and streamed; and what is not believed."""

import pytest

from cliproxy_sidecar.core.tracing.ends import KEPT_BYTES, Ends
from cliproxy_sidecar.core.tracing.told import Reader, Told

WHOLE_CHAT = (
    b'{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[{"index":0,'
    b'"message":{"content":"say \\"finish_reason\\":\\"lies\\" %b"},"finish_reason":"length"}],"usage":{}}'
)
STREAMED_CHAT = (
    b'data: {"id":"chatcmpl-1","model":"gpt-4o","choices":[{"delta":{},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","model":"gpt-4o","choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\n'
    b"data: [DONE]\n\n"
)
STREAMED_MESSAGE = (
    b'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-x","id":"msg_1",'
    b'"stop_reason":null}}\n\nevent: message_delta\ndata: {"delta":{"stop_reason":"end_turn"}}\n\n'
)
GEMINI = b'{"candidates":[{"finishReason":"STOP"}],"modelVersion":"gemini-3","responseId":"r-1"}'
CUT_RESPONSE = (
    b'{"id":"resp_1","status":"incomplete","incomplete_details":{"reason":"max_tokens"},"model":"gpt-5"}'
)


def told(*chunks: bytes, secrets: tuple[bytes, ...] = ()) -> Told:
    """As the chunks of a stream tell it."""
    ends = Ends()
    for chunk in chunks:
        ends.take(chunk)
    return Reader(secrets).by_ends(ends)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (WHOLE_CHAT % b"", Told("gpt-4o-2024-08-06", "chatcmpl-1", ("length",))),
        (STREAMED_CHAT, Told("gpt-4o", "chatcmpl-1", ("tool_calls",))),
        (STREAMED_MESSAGE, Told("claude-x", "msg_1", ("end_turn",))),
        (GEMINI, Told("gemini-3", "r-1", ("STOP",))),
        (CUT_RESPONSE, Told("gpt-5", "resp_1", ("max_tokens",))),
        (b'{"pause_reason":"lies","whReason":"lies","prompt_details":{"reason":"lies"}}', Told()),
        (b"", Told()),
        (b"\xff\x00 not JSON", Told()),
    ],
)
def test_each_format_is_read_however_it_comes(answer: bytes, expected: Told) -> None:
    assert Reader().whole(answer) == expected
    assert told(answer) == expected
    assert told(*(answer[at : at + 7] for at in range(0, len(answer), 7))) == expected


def test_long_answers_are_known_by_their_ends() -> None:
    long = WHOLE_CHAT % (b"x" * 100_000)
    assert told(long) == Told("gpt-4o-2024-08-06", "chatcmpl-1", ("length",))
    ends = Ends()
    for _ in range(100):
        ends.take(b"y" * 1000)
    assert (len(ends._head), len(ends._tail)) == (KEPT_BYTES, KEPT_BYTES)


def test_several_choices_have_several_reasons() -> None:
    answer = b'{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"},{"finish_reason":"stop"}]}'
    assert sorted(told(answer).reasons) == ["length", "stop"]


def test_a_text_with_a_key_in_it_is_left_out() -> None:
    answer = b'{"id":"sk-secret-1","model":"echo-sk-secret-1","choices":[{"finish_reason":"stop"}]}'
    assert told(answer, secrets=(b"sk-secret-1",)) == Told("", "", ("stop",))


def test_the_answers_own_id_is_told_however_its_keys_are_sorted() -> None:
    answer = (
        b'{"choices":[{"content_filter_results":{},"finish_reason":"tool_calls","message":{"content":"%b",'
        b'"tool_calls":[{"function":{"arguments":"{}"},"id":"call_1"}]}}],"id":"chatcmpl-1","model":"gpt-4o"}'
    )
    assert Reader().whole(answer % (b"x" * 5000)) == Told("gpt-4o", "chatcmpl-1", ("tool_calls",))
