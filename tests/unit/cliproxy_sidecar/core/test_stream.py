"""What may still be taken back, and what may not."""

import pytest

from cliproxy_dev.providers.signals import load_all
from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.sse import Event, SSEParser
from cliproxy_sidecar.core.stream import ContentKind, content_kind, goes_on

PREAMBLE, CONTENT, ERROR, DONE = (
    ContentKind.PREAMBLE,
    ContentKind.CONTENT,
    ContentKind.ERROR,
    ContentKind.DONE,
)


def choice(delta: str, rest: str = '"finish_reason":null') -> str:
    return f'{{"id":"c","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{delta},{rest}}}]}}'


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (choice('{"role":"assistant","content":"","refusal":null}'), PREAMBLE),
        (choice('{"role":"assistant","content":null,"tool_calls":[]}'), PREAMBLE),
        (choice('{"role":"assistant"}'), PREAMBLE),
        (choice("{}"), PREAMBLE),
        (choice('{"content":"Hi"}'), CONTENT),
        (choice('{"content":" "}'), CONTENT),
        (choice('{"tool_calls":[{"index":0,"id":"t"}]}'), CONTENT),
        (choice('{"refusal":"no"}'), CONTENT),
        (choice('{"reasoning_content":"hm"}'), CONTENT),
        (choice('{"reasoning":"hm"}'), CONTENT),
        (choice('{"audio":{"id":"a"}}'), CONTENT),
        (choice('{"something_new":1}'), CONTENT),
        (choice("{}", '"finish_reason":"stop"'), CONTENT),
        (choice("null"), CONTENT),
        ('{"choices":[{"text":""}]}', PREAMBLE),
        ('{"choices":[{"text":"Hi"}]}', CONTENT),
        ('{"choices":[{"text":"","finish_reason":"length"}]}', CONTENT),
        ('{"choices":[{"text":null,"finish_reason":null}]}', PREAMBLE),
        ('{"choices":[{"index":0}]}', CONTENT),
        ('{"choices":[{"delta":{"role":"assistant"}},{"delta":{"content":"x"}}]}', CONTENT),
        ('{"choices":[],"usage":{"prompt_tokens":1}}', CONTENT),
        ('{"choices":[],"prompt_filter_results":[]}', PREAMBLE),
        ('{"choices":[],"usage":null}', PREAMBLE),
        ('{"choices":null}', CONTENT),
        ('{"choices":7}', CONTENT),
        ('{"choices":[{"delta":"x"}]}', CONTENT),
        ('{"id":"x"}', CONTENT),
        ("[DONE]", DONE),
        ('{"error":{"message":"m"}}', ERROR),
        ('{"error":"m"}', ERROR),
        ('{"error":null,"choices":[{"delta":{"role":"assistant"}}]}', PREAMBLE),
        ('[{"error":{"code":503}}]', ERROR),
        ('[{"choices":[]}]', CONTENT),
        ("[1]", CONTENT),
        ('{"object":"error","message":"m"}', ERROR),
        ('{"type":"error","message":"m"}', ERROR),
        ("not json", CONTENT),
        ("[" * 5000, CONTENT),
        ("", PREAMBLE),
    ],
)
def test_openai_events(data: str, kind: ContentKind) -> None:
    assert content_kind(Dialect.OPENAI, Event(None, data.encode(), b"")) is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("message_start", PREAMBLE),
        ("ping", PREAMBLE),
        ("content_block_start", CONTENT),
        ("content_block_delta", CONTENT),
        ("content_block_stop", CONTENT),
        ("message_delta", CONTENT),
        ("message_stop", DONE),
        ("error", ERROR),
        ("something_new", CONTENT),
    ],
)
def test_anthropic_events(name: str, kind: ContentKind) -> None:
    data = f'{{"type":"{name}"}}'.encode()
    assert content_kind(Dialect.ANTHROPIC, Event(name, data, b"")) is kind
    assert content_kind(Dialect.ANTHROPIC, Event(None, data, b"")) is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("response.created", PREAMBLE),
        ("response.in_progress", PREAMBLE),
        ("response.output_item.added", PREAMBLE),
        ("response.output_text.delta", CONTENT),
        ("response.reasoning_summary_text.delta", CONTENT),
        ("response.output_item.done", CONTENT),
        ("response.completed", DONE),
        ("response.incomplete", DONE),
        ("response.failed", ERROR),
        ("error", ERROR),
        ("response.brand_new", CONTENT),
    ],
)
def test_events_of_responses(name: str, kind: ContentKind) -> None:
    data = f'{{"type":"{name}"}}'.encode()
    assert content_kind(Dialect.RESPONSES, Event(name, data, b"")) is kind
    assert content_kind(Dialect.RESPONSES, Event(None, data, b"")) is kind


@pytest.mark.parametrize("data", [b"garbage", b"{}", b'{"type":null}', b'{"type":3}', b"[]"])
def test_anthropic_events_of_no_known_type_are_content(data: bytes) -> None:
    assert content_kind(Dialect.ANTHROPIC, Event(None, data, b"")) is CONTENT


@pytest.mark.parametrize("dialect", Dialect)
def test_a_named_error_is_one_with_and_without_data(dialect: Dialect) -> None:
    for data in (b"", b"{}", b"rubbish"):
        assert content_kind(dialect, Event("error", data, b"")) is ERROR


@pytest.mark.parametrize("dialect", Dialect)
def test_a_comment_is_no_content(dialect: Dialect) -> None:
    assert content_kind(dialect, Event(None, b"", b": hello\n\n")) is PREAMBLE


@pytest.mark.parametrize("signal", [s for s in load_all() if s.stream_event], ids=lambda signal: signal.name)
def test_recorded_streams_break_before_their_first_content(signal: object) -> None:
    name, before, event = signal.provider_type, signal.body, signal.stream_event  # type: ignore[attr-defined]
    dialect = Dialect.ANTHROPIC if name == "anthropic" else Dialect.OPENAI
    kinds = [content_kind(dialect, item) for item in SSEParser().feed((before + event).encode())]
    assert kinds[-1] is ERROR
    assert set(kinds[:-1]) == {PREAMBLE}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ('{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}', CONTENT),
        ('{"candidates":[{"finishReason":"STOP"}]}', CONTENT),
        ('{"promptFeedback":{"blockReason":"SAFETY"}}', CONTENT),
        ('{"usageMetadata":{"promptTokenCount":3}}', PREAMBLE),
        ('{"candidates":[],"usageMetadata":{"promptTokenCount":3}}', PREAMBLE),
        ('{"error":{"code":503,"status":"UNAVAILABLE"}}', ERROR),
        ('[{"error":{"code":503,"status":"UNAVAILABLE"}}]', ERROR),
        ('{"brandNew":1}', CONTENT),
        ("garbage", CONTENT),
    ],
)
def test_chunks_of_gemini(data: str, kind: ContentKind) -> None:
    assert content_kind(Dialect.GEMINI, Event(None, data.encode(), b"")) is kind


@pytest.mark.parametrize(
    ("dialect", "data", "does"),
    [
        (Dialect.OPENAI, '{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}', True),
        (Dialect.OPENAI, '{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}', True),
        (Dialect.OPENAI, '{"choices":[{"text":"a"}]}', True),
        (Dialect.OPENAI, '{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}', False),
        (Dialect.OPENAI, '{"choices":[{"finish_reason":"stop"},{"index":1,"delta":{"content":"a"}}]}', True),
        (Dialect.OPENAI, '{"choices":[{"delta":{"role":"assistant","content":""}}],"usage":{}}', False),
        (Dialect.OPENAI, '{"choices":[{"content_filter_results":{"hate":{}},"finish_reason":null}]}', False),
        (Dialect.OPENAI, '{"choices":[],"usage":{"total_tokens":3}}', False),
        (Dialect.OPENAI, "[DONE]", False),
        (Dialect.OPENAI, "", False),
        (Dialect.GEMINI, '{"candidates":[{"index":1,"content":{"parts":[{"text":"a"}]}}]}', True),
        (Dialect.GEMINI, '{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}', True),
        (
            Dialect.GEMINI,
            '{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}',
            False,
        ),
        (Dialect.GEMINI, '{"candidates":[{"content":{"parts":[{"text":""}]}}]}', False),
        (Dialect.GEMINI, '{"candidates":[{"content":{"role":"model"}}]}', False),
        (
            Dialect.GEMINI,
            '{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"c2ln"}]}}]}',
            False,
        ),
        (Dialect.GEMINI, '{"usageMetadata":{"promptTokenCount":3}}', False),
        (Dialect.GEMINI, "garbage", False),
        (Dialect.ANTHROPIC, '{"type":"content_block_delta","delta":{"text":"a"}}', True),
        (Dialect.ANTHROPIC, '{"type":"ping"}', False),
        (Dialect.RESPONSES, '{"type":"response.output_text.delta","delta":"a"}', False),
    ],
)
def test_what_goes_on(dialect: Dialect, data: str, *, does: bool) -> None:
    assert goes_on(dialect, Event(None, data.encode(), b"")) is does
