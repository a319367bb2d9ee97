"""Who is asked for a stream's usage, with which bytes, and which chunk is the answer."""

import json

import pytest

from cliproxy_api.snapshot import Azure
from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.asked_usage import asking, is_answer_to_us, may_ask
from cliproxy_sidecar.core.dialect import CHAT, COMPLETIONS, RESPONSES, Operation
from cliproxy_sidecar.core.sse import SSEParser
from support.build import bare_provider


@pytest.mark.parametrize(
    ("type_", "version", "expected"),
    [
        (ProviderType.OPENAI, None, True),
        (ProviderType.OPENAI_COMPATIBLE, None, False),
        (ProviderType.GEMINI, None, False),
        (ProviderType.ANTHROPIC, None, False),
        (ProviderType.AZURE_OPENAI, None, True),
        (ProviderType.AZURE_OPENAI, "2024-06-01", False),
        (ProviderType.AZURE_OPENAI, "2024-09-01-preview", True),
        (ProviderType.AZURE_OPENAI, "preview", True),
    ],
)
def test_types(type_: ProviderType, version: str | None, *, expected: bool) -> None:
    azure = Azure(api_version=version) if version is not None else None
    assert may_ask(bare_provider(type_, "http://x", azure), CHAT) is expected


@pytest.mark.parametrize("operation", [COMPLETIONS, RESPONSES])
def test_only_chat(operation: Operation) -> None:
    assert not may_ask(bare_provider(ProviderType.OPENAI), operation)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","stream":true}',
        b' \n{ "model":"m"}',
        b'{"model":"m","tools":[{"parameters":{"stream_options":{}}}]}',
        b'{"model":"m","messages":[{"content":"\\"stream_options\\""}]}',
    ],
)
def test_the_question_is_all_that_is_new(body: bytes) -> None:
    told = asking(body)
    assert told is not None
    assert json.loads(told) == json.loads(body) | {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","stream_options":null}',
        b'{"model":"m","stream_options":{"include_usage":false}}',
        b'{"model":"m","stream_options":{"include_obfuscation":false}}',
        b'{"model":"m","data_sources":[]}',
    ],
)
def test_bodies_with_a_will_of_their_own(body: bytes) -> None:
    assert asking(body) is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"choices":[],"usage":{"prompt_tokens":1}}', True),
        (b'{"choices": [], "usage": {"prompt_tokens": 1}}', True),
        (b'{"choices":[],"usage":null}', False),
        (b'{"choices":[],"usage": null}', False),
        (b'{"choices":[],"usage":{}}', False),
        (b'{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}', False),
        (b'{"usage":{"prompt_tokens":1}}', False),
        (b'{"choices":[],"usage":', False),
        (b"[DONE]", False),
    ],
)
def test_which_chunk_is_the_answer(data: bytes, *, expected: bool) -> None:
    (event,) = SSEParser().feed(b"data: " + data + b"\n\n")
    assert is_answer_to_us(event) is expected
