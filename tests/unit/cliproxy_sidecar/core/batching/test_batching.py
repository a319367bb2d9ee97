"""Embedding requests as inputs, joined, and the answer told apart."""

import json
from typing import Any

import pytest

from cliproxy_sidecar.core.batching.inputs import Inputs, inputs_of, joined_body
from cliproxy_sidecar.core.batching.split import apportion, apportion_usage, split
from cliproxy_sidecar.core.usage import Usage


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a text of 20 letters", Inputs("text", ["a text of 20 letters"], 5)),
        (["a", "b"], Inputs("text", ["a", "b"], 1)),
        ([1, 2, 3], Inputs("tokens", [[1, 2, 3]], 3)),
        ([[1], [2, 3]], Inputs("tokens", [[1], [2, 3]], 3)),
    ],
)
def test_inputs(given: Any, expected: Inputs) -> None:
    assert inputs_of({"input": given}) == expected


@pytest.mark.parametrize(
    "given", [None, "", [], [""], ["a", 1], [[1], "a"], [[]], [True], [[True]], {"a": 1}, 5]
)
def test_what_is_not_known_is_the_providers_to_judge(given: Any) -> None:
    assert inputs_of({"input": given}) is None


def test_a_joined_body_asks_for_all_in_order_and_else_the_same() -> None:
    parts = [Inputs("text", ["a", "b"], 1), Inputs("text", ["c"], 1)]
    body = joined_body({"model": "m", "input": "x", "dimensions": 8}, parts)
    assert body is not None
    assert json.loads(body) == {"model": "m", "input": ["a", "b", "c"], "dimensions": 8}


def answer(*indexes: int, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": [at + 0.5]} for at in indexes]
    usage = {"prompt_tokens": 10, "total_tokens": 10, "cost": 0.5}
    return json.dumps({"object": "list", "data": data, "model": "m-1", "usage": usage, **more}).encode()


def test_each_gets_its_own_in_its_own_order_and_its_share() -> None:
    parts = split(answer(2, 0, 1), [1, 2], [1, 4])
    assert parts is not None
    first, second = map(json.loads, parts)
    assert first["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    assert [(item["index"], item["embedding"]) for item in second["data"]] == [(0, [1.5]), (1, [2.5])]
    assert first["usage"] == {"prompt_tokens": 2, "total_tokens": 2, "cost": 0.5}
    assert second["usage"]["prompt_tokens"] == 8
    assert (first["model"], second["object"]) == ("m-1", "list")


def test_embeddings_pass_byte_for_byte() -> None:
    raw = b'{"data":[{"index":0,"embedding":[1.50, -0.0,1e-7]},{"index":1,"embedding":"AAA="}]}'
    parts = split(raw, [1, 1], [1, 1])
    assert parts is not None
    assert b'"embedding":[1.50, -0.0,1e-7]' in parts[0]
    assert b'"embedding":"AAA="' in parts[1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        answer(0),
        answer(0, 0),
        answer(0, 2),
        answer(0, 1, 2),
        b'{"data":[{"embedding":[]}]}',
    ],
)
def test_an_answer_that_does_not_fit_is_not_told_apart(body: bytes) -> None:
    assert split(body, [1, 1], [1, 1]) is None


def test_what_division_leaves_goes_to_the_largest_remainders() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]
    assert apportion(10, [5, 3, 3]) == [4, 3, 3]
    assert apportion(7, [0, 0]) == [4, 3]
    assert apportion(0, [3, 1]) == [0, 0]


def test_a_usage_keeps_its_sum_and_its_doubt() -> None:
    shares = apportion_usage(Usage(input=7, cached_input=3, estimated=True), [1, 1])
    assert [share.input for share in shares] == [4, 3]
    assert sum(share.total for share in shares) == 10
    assert all(share.estimated for share in shares)
