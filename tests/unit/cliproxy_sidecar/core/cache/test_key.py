"""Which requests have one key, and which must not."""

import json
from typing import Any

import pytest

from cliproxy_sidecar.core.cache.key import fields_of, request_key
from cliproxy_sidecar.core.dialect import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Operation

CHAT_BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "é"}], "temperature": 0.5}


def key(body: dict[str, Any] | bytes = CHAT_BODY, operation: Operation = CHAT, **more: Any) -> bytes | None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = fields_of(raw)
    if fields is None:
        return None
    given: dict[str, Any] = {
        "consumer": "",
        "model": "m",
        "served": b"p",
        "query": b"",
        "headers": (),
        **more,
    }
    return request_key(fields, operation, **given)


@pytest.mark.parametrize(
    "same",
    [
        b'{"temperature": 5e-1,\n "messages":[{"content":"\\u00e9","role":"user"}], "model":"m"}',
        json.dumps({**CHAT_BODY, "stream": False}).encode(),
        json.dumps({**CHAT_BODY, "stream": None}).encode(),
        json.dumps({**CHAT_BODY, "user": "anna", "metadata": {"a": "b"}, "safety_identifier": "x"}).encode(),
        json.dumps({**CHAT_BODY, "prompt_cache_key": "p"}).encode(),
    ],
)
def test_what_does_not_change_the_answer_does_not_change_the_key(same: bytes) -> None:
    assert key(same) == key()


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.6},
        {"model": "n"},
        {"stream": True},
        {"seed": 1},
        {"messages": [{"role": "user", "content": "e"}]},
        {"messages": [{"role": "system", "content": "é"}]},
        {"stream_options": {"include_usage": True}},
        {"service_tier": "flex"},
        {"something_new": None},
    ],
)
def test_what_changes_the_answer_or_is_not_known_changes_the_key(change: dict[str, Any]) -> None:
    assert key({**CHAT_BODY, **change}) not in (None, key())


@pytest.mark.parametrize(
    "change",
    [
        {"consumer": "anna"},
        {"served": b"q"},
        {"model": "n"},
        {"query": b"beta=true"},
        {"headers": [(b"openai-beta", b"x")]},
        {"operation": RESPONSES},
    ],
)
def test_consumer_provider_query_and_headers_are_in_the_key(change: dict[str, Any]) -> None:
    assert key(**change) not in (None, key())


def test_keys_in_a_query_are_not() -> None:
    assert key(query=b"key=secret") == key(query=b"key=other&access_token=x") == key()
    assert key(query=b"alt=sse&key=secret") == key(query=b"key=other&alt=sse") != key()


def test_credentials_and_unrelated_headers_are_not() -> None:
    headers = [(b"authorization", b"x"), (b"openai-organization", b"o"), (b"user-agent", b"a")]
    assert key(headers=headers) == key()


def test_betas_are_a_set_and_the_version_has_a_default() -> None:
    body = {"model": "m", "max_tokens": 5, "messages": []}
    one = key(body, MESSAGES, headers=[(b"anthropic-beta", b"a, b"), (b"anthropic-version", b"2023-06-01")])
    other = key(body, MESSAGES, headers=[(b"anthropic-beta", b"b,a")])
    assert one == other
    assert one != key(body, MESSAGES, headers=[(b"anthropic-beta", b"a")])
    assert one != key(
        body, MESSAGES, headers=[(b"anthropic-beta", b"a,b"), (b"anthropic-version", b"2030-01-01")]
    )


def test_the_responses_api_repeats_labels_so_they_count_there() -> None:
    body = {"model": "m", "input": "x"}
    assert key({**body, "user": "anna"}, RESPONSES) != key(body, RESPONSES)
    assert key({**body, "user": "anna"}, EMBEDDINGS) == key(body, EMBEDDINGS)


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        ({"store": True}, CHAT),
        ({"background": True}, RESPONSES),
        ({"conversation": "conv_1"}, RESPONSES),
    ],
)
def test_what_leaves_something_at_the_provider_has_no_key(
    change: dict[str, Any], operation: Operation
) -> None:
    assert key({**CHAT_BODY, **change}, operation) is None


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a":1e999}', b'{"a":"\\ud800"}', b'{"a":NaN}', b"{" * 9999])
def test_what_has_no_canonical_form_has_no_key(body: bytes) -> None:
    assert key(body) is None


def test_integers_too_large_for_anyone_do_not_meet() -> None:
    assert key(b'{"a":123456789012345678901234567890}') != key(b'{"a":123456789012345678901234567891}')


def test_what_cannot_be_written_has_no_key() -> None:
    given: dict[str, Any] = {"consumer": "", "model": "m", "served": b"", "query": b"", "headers": ()}
    assert request_key({"model": "m", "input": "\ud800"}, CHAT, **given) is None
