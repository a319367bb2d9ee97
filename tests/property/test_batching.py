"""Shares sum up to the whole and are fair; nobody's embedding goes to another."""

import json
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.batching.split import apportion, split

WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=20)


@given(st.integers(0, 10**15), WEIGHTS)
def test_shares_sum_up_and_none_is_a_whole_one_off(total: int, weights: list[int]) -> None:
    shares = apportion(total, weights)
    assert sum(shares) == total
    whole = sum(weights)
    for share, weight in zip(shares, weights, strict=True):
        if whole:
            assert abs(share * whole - total * weight) < whole
        assert share >= 0


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
    st.integers(0, 1000),
)
def test_everybody_gets_their_own(counts: list[int], order: Random, tokens: int) -> None:
    data = [{"index": at, "embedding": [at]} for at in range(sum(counts))]
    order.shuffle(data)
    body = json.dumps({"data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}).encode()
    parts = split(body, counts, counts)
    assert parts is not None
    told = [json.loads(part) for part in parts]
    given_back = [item["embedding"][0] for part in told for item in part["data"]]
    assert given_back == list(range(sum(counts)))
    assert [[item["index"] for item in part["data"]] for part in told] == [list(range(n)) for n in counts]
    assert sum(part["usage"]["prompt_tokens"] for part in told) == tokens
