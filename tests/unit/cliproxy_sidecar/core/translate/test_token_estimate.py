"""The estimate grows with what is said and does not count images by their bytes."""

import contextlib
import json
from typing import Any

import pytest

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.token_estimate import estimate_tokens, estimated_count


def user(content: Any, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], **fields}


def test_text_counts_by_its_size_in_every_place() -> None:
    words = "word " * 400
    alone = estimate_tokens(user(words))
    assert 400 <= alone <= 700
    assert estimate_tokens(user([{"type": "text", "text": words}])) == alone
    assert estimate_tokens(user(words, system=words)) > 2 * alone - 10
    tools = [{"name": "f", "description": words, "input_schema": {"type": "object"}}]
    assert estimate_tokens(user(words, tools=tools)) > 2 * alone - 10
    result = [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": words}]}]
    assert alone < estimate_tokens(user(result)) < alone + 40


def test_images_cost_the_same_whatever_their_size() -> None:
    def image(size: int) -> list[Any]:
        source = {"type": "base64", "media_type": "image/png", "data": "A" * size}
        return [{"type": "image", "source": source}]

    small, large = estimate_tokens(user(image(10))), estimate_tokens(user(image(1_000_000)))
    assert small == large < 2000
    nested = [{"type": "tool_result", "tool_use_id": "t", "content": image(1_000_000)}]
    assert estimate_tokens(user(nested)) < 2000


@pytest.mark.parametrize("request_", [None, [], {}, {"messages": "x"}, {"messages": ["x"]}])
def test_what_is_no_request_is_named(request_: object) -> None:
    with pytest.raises(TranslationError):
        estimate_tokens(request_)


def test_the_answer_to_a_count() -> None:
    assert (
        estimated_count(Dialect.ANTHROPIC, b'{"messages":[{"role":"user","content":"Hi"}]}')
        == b'{"input_tokens":5}'
    )
    with pytest.raises(TranslationError, match="JSON"):
        estimated_count(Dialect.GEMINI, b"{")


def test_what_cannot_be_measured_is_named() -> None:
    deep: list[Any] = []
    for _ in range(100_000):  # beyond what C code walks, which later Pythons count by itself
        deep = [deep]
    with pytest.raises(TranslationError, match="measured"):
        estimate_tokens(user("x", tools=deep))


def test_gemini_requests_are_measured_alike() -> None:
    def told(request: object) -> int:
        body = estimated_count(Dialect.GEMINI, json.dumps(request).encode())
        return int(json.loads(body)["totalTokens"])

    words = "word " * 400
    contents = [{"role": "user", "parts": [{"text": words}]}]
    alone = told({"contents": contents})
    assert alone == estimate_tokens(user(words))
    assert told({"generateContentRequest": {"model": "models/m", "contents": contents}}) == alone
    instruction = {"parts": [{"text": words}]}
    assert told({"contents": contents, "systemInstruction": instruction}) > 2 * alone - 10
    image = {"inlineData": {"mimeType": "image/png", "data": "x" * 1_000_000}}
    assert told({"contents": [{"parts": [image]}]}) < 2000


@pytest.mark.parametrize("levels", [450, 3000])
def test_content_in_content_without_end_is_counted_or_the_callers_fault(levels: int) -> None:
    """How deep is too deep is the interpreter's to say, and Hypothesis moves its limit: but no other error.

    Decoded by Python 3.11 up to some 1,000 levels, by 3.13 up to 10,000: deeper than our own code goes.
    """
    content = b'[{"type":"tool_result","content":' * levels + b'"x"' + b"}]" * levels
    body = b'{"messages":[{"role":"user","content":%s}]}' % content
    with contextlib.suppress(TranslationError):
        assert estimated_count(Dialect.ANTHROPIC, body).startswith(b'{"input_tokens":')
