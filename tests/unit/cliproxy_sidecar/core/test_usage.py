"""Every token in exactly one bucket, whatever the provider's way of counting."""

import pytest

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.sse import SSEParser
from cliproxy_sidecar.core.usage import TAIL_BYTES, Usage, UsageMeter


def of_body(dialect: Dialect, *pieces: bytes) -> Usage:
    meter = UsageMeter(dialect)
    for piece in pieces:
        meter.feed(piece)
    return meter.result()


def of_stream(dialect: Dialect, stream: bytes, *, request_bytes: int = 0) -> Usage:
    meter = UsageMeter(dialect)
    for event in SSEParser().feed(stream):
        meter.feed_event(event)
    return meter.result(request_bytes=request_bytes)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ('{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}', Usage(input=9, output=2)),
        (
            (
                '{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,'
                '"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":30}}'
            ),
            Usage(input=36, cached_input=64, output=20, reasoning=30),
        ),
        (
            '{"prompt_tokens":20,"completion_tokens":198,"total_tokens":623}',
            Usage(input=20, output=198, reasoning=405),
        ),
        (
            (
                '{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,'
                '"completion_tokens_details":{"reasoning_tokens":20}}'
            ),
            Usage(input=10, output=5, reasoning=20),
        ),
        (
            (
                '{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_cache_hit_tokens":4,'
                '"prompt_cache_miss_tokens":6,"prompt_tokens_details":null}'
            ),
            Usage(input=6, cached_input=4, output=5),
        ),
        ('{"prompt_tokens":8,"total_tokens":8}', Usage(input=8)),
        (
            (
                '{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,'
                '"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30}}'
            ),
            Usage(input=10, cached_input=60, cache_write=30, output=5),
        ),
        (
            '{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":30}}',
            Usage(cached_input=8, cache_write=2),
        ),
        ('{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":50}}', Usage(cached_input=5)),
        (
            '{"completion_tokens":5,"total_tokens":5,"completion_tokens_details":{"reasoning_tokens":50}}',
            Usage(reasoning=5),
        ),
    ],
)
def test_openai_bodies(usage: str, expected: Usage) -> None:
    body = f'{{"choices":[],"usage":{usage},"system_fingerprint":"f"}}'.encode()
    assert of_body(Dialect.OPENAI, body) == expected
    buckets = (expected.input, expected.cached_input, expected.cache_write, expected.output)
    assert expected.total == sum((*buckets, expected.reasoning))


def test_anthropic_bodies() -> None:
    body = (
        b'{"content":[],"usage":{"input_tokens":9,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,'
        b'"output_tokens":5,"service_tier":"standard"}}'
    )
    expected = Usage(input=9, cache_write=3, cached_input=4, output=5)
    assert of_body(Dialect.ANTHROPIC, body) == expected
    assert expected.total == 21


def test_anthropics_thinking_is_part_of_its_output() -> None:
    usage = b'{"input_tokens":7,"output_tokens":50,"output_tokens_details":{"thinking_tokens":30}}'
    found = of_body(Dialect.ANTHROPIC, b'{"usage":' + usage + b"}")
    assert found == Usage(input=7, output=20, reasoning=30)


def test_an_openai_stream_tells_its_usage_in_the_last_chunk() -> None:
    stream = (
        b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\n'
        b"data: [DONE]\n\n"
    )
    assert of_stream(Dialect.OPENAI, stream) == Usage(input=9, output=2)


ANTHROPIC_START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":9,'
    b'"cache_read_input_tokens":2,"output_tokens":1}}}\n\n'
)
ANTHROPIC_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n'


def test_an_anthropic_stream_counts_up() -> None:
    stream = (
        ANTHROPIC_START
        + ANTHROPIC_DELTA * 3
        + b'event: message_delta\ndata: {"usage":{"output_tokens":7,"input_tokens":null}}\n\n'
        + b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":15}}\n\n'
    )
    assert of_stream(Dialect.ANTHROPIC, stream) == Usage(input=9, cached_input=2, output=15)


RESPONSE = (
    b'{"id":"r","output":[],"usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":8},'
    b'"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":29}}'
)
RESPONSE_USAGE = Usage(input=12, cached_input=8, output=5, reasoning=4)


def test_a_response_tells_its_usage_whole_and_in_its_last_event() -> None:
    assert of_body(Dialect.RESPONSES, RESPONSE) == RESPONSE_USAGE
    stream = (
        b'event: response.created\ndata: {"type":"response.created","response":{"usage":null}}\n\n'
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n'
    )
    assert of_stream(Dialect.RESPONSES, stream) == Usage(output=2, estimated=True)
    last = b'event: response.completed\ndata: {"type":"response.completed","response":' + RESPONSE + b"}\n\n"
    assert of_stream(Dialect.RESPONSES, stream + last) == RESPONSE_USAGE


def test_a_cut_anthropic_stream_is_estimated_from_what_came() -> None:
    usage = of_stream(Dialect.ANTHROPIC, ANTHROPIC_START + ANTHROPIC_DELTA * 30)
    assert usage == Usage(input=9, cached_input=2, output=31, estimated=True)


def test_a_stream_without_usage_is_estimated() -> None:
    stream = b": hi\n\n" + b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n' * 5 + b"data: [DONE]\n\n"
    assert of_stream(Dialect.OPENAI, stream, request_bytes=40) == Usage(input=10, output=5, estimated=True)


def test_a_body_without_usage_is_estimated() -> None:
    assert of_body(Dialect.OPENAI, b"x" * 400) == Usage(output=100, estimated=True)
    assert of_body(Dialect.OPENAI) == Usage(estimated=True)


def test_the_size_of_embeddings_says_nothing() -> None:
    meter = UsageMeter(Dialect.OPENAI, generates=False)
    meter.feed(b"x" * 400)
    assert meter.result(request_bytes=40) == Usage(input=10, estimated=True)


USAGE = (
    b'"usage":{"prompt_tokens":8,"completion_tokens":1,"total_tokens":9,'
    b'"prompt_tokens_details":{"cached_tokens":3}}'
)


@pytest.mark.parametrize("size", [1000, 65_536, 200_000])
def test_a_large_body_is_read_from_its_end_in_bounded_memory(size: int) -> None:
    body = b'{"data":["' + b"x" * (3 * TAIL_BYTES) + b'"],' + USAGE + b', "end":"}{"}'
    meter = UsageMeter(Dialect.OPENAI)
    for at in range(0, len(body), size):
        meter.feed(body[at : at + size])
        assert len(meter._tail) <= 2 * TAIL_BYTES + size
    assert meter.result() == Usage(input=5, cached_input=3, output=1)


def test_usage_is_found_when_the_bodys_start_is_rubbish() -> None:
    assert of_body(Dialect.OPENAI, b"\xff{" + USAGE + b"}") == Usage(input=5, cached_input=3, output=1)


def test_usage_that_the_model_quotes_is_not_taken() -> None:
    body = rb'{"text":"\"usage\": {\"prompt_tokens\": 77}"' + b" " * 10 + b"\xff," + USAGE + b"}"
    assert of_body(Dialect.OPENAI, body) == Usage(input=5, cached_input=3, output=1)


def test_an_unreadable_last_usage_gives_way_to_the_one_before() -> None:
    body = b"\xff{" + USAGE + b',"usage":{"prompt_tokens":01},"usage":{"prompt'
    assert of_body(Dialect.OPENAI, body) == Usage(input=5, cached_input=3, output=1)


@pytest.mark.parametrize(
    "usage",
    [
        '{"prompt_tokens":-5,"completion_tokens":1.5,"total_tokens":true}',
        '{"prompt_tokens":"9","prompt_tokens_details":[1],"completion_tokens_details":"x"}',
        '{"prompt_tokens":1e400}',
        f'{{"prompt_tokens":{10**30}}}',
        '{"input_tokens":null,"output_tokens":{}}',
    ],
)
@pytest.mark.parametrize("dialect", Dialect)
def test_figures_that_are_none_count_nothing(dialect: Dialect, usage: str) -> None:
    assert of_body(dialect, f'{{"usage":{usage}}}'.encode()).total in {
        0,
        len(usage) // 4 + 2,
        len(usage) // 4 + 3,
    }


@pytest.mark.parametrize(
    "data", [b'{"usage":', b'{"usage":7}', b'{"usage":{}}', b'{"message":{"usage":null},"usage":{}}']
)
@pytest.mark.parametrize("dialect", Dialect)
def test_unreadable_events_are_passed_over(dialect: Dialect, data: bytes) -> None:
    assert of_stream(dialect, b"data: " + data + b"\n\n") == Usage(output=1, estimated=True)


GEMINI_USAGE = (
    b'"usageMetadata":{"promptTokenCount":20,"cachedContentTokenCount":8,"candidatesTokenCount":7,'
    b'"thoughtsTokenCount":12,"toolUsePromptTokenCount":3,"totalTokenCount":42}'
)


def test_geminis_figures_stand_beside_each_other() -> None:
    expected = Usage(input=15, cached_input=8, output=7, reasoning=12)
    assert of_body(Dialect.GEMINI, b'{"candidates":[],' + GEMINI_USAGE + b"}") == expected
    assert of_body(Dialect.GEMINI, b'[{"candidates":[]},{' + GEMINI_USAGE + b"}]") == expected
    assert of_body(Dialect.GEMINI, b'{"candidates":[]}') == Usage(output=4, estimated=True)


def test_a_gemini_stream_repeats_its_usage() -> None:
    first = (
        b'data: {"candidates":[{}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":1}}\r\n\r\n'
    )
    last = b'data: {"candidates":[{"finishReason":"STOP"}],' + GEMINI_USAGE + b"}\r\n\r\n"
    assert of_stream(Dialect.GEMINI, first + last) == Usage(input=15, cached_input=8, output=7, reasoning=12)
    assert of_stream(Dialect.GEMINI, first * 5) == Usage(input=9, output=5, estimated=True)
    assert of_stream(Dialect.GEMINI, first + b'data: "usageMetadata"\n\n').estimated


def test_groq_tells_its_usage_aside() -> None:
    usage = b'"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}'
    stream = b'data: {"choices":[],"x_groq":{"id":"req_1",' + usage + b"}}\n\ndata: [DONE]\n\n"
    assert of_stream(Dialect.OPENAI, stream) == Usage(input=9, output=2)
