"""Usage does not depend on how a body is cut, and no token is counted twice."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.usage import MAX_TOKENS, UsageMeter

COUNTS = st.integers(0, 10**6)
RUBBISH: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False), st.text(max_size=3)
)
FIELDS = [
    *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens", "input_tokens"),
    *("output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
]
WITH_USAGE = [one for one in Dialect if one is not Dialect.GEMINI]
"""Gemini tells it by other names."""
DETAILS = st.fixed_dictionaries({}, optional={"cached_tokens": RUBBISH, "reasoning_tokens": RUBBISH})


@given(st.sampled_from(WITH_USAGE), st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_cuts_do_not_matter(dialect: Dialect, noise: bytes, cuts: list[int]) -> None:
    body = b'{"a":"' + noise.hex().encode() + b'","usage":{"prompt_tokens":5,"input_tokens":6}}'
    whole, cut = UsageMeter(dialect), UsageMeter(dialect)
    whole.feed(body)
    at = 0
    for stop in [*sorted(min(cut, len(body)) for cut in cuts), len(body)]:
        cut.feed(body[at:stop])
        at = stop
    assert cut.result() == whole.result()
    assert whole.result().input == (5 if dialect is Dialect.OPENAI else 6)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_openais_buckets_sum_up_to_its_total(
    prompt: int, completion: int, cached: int, reasoning: int
) -> None:
    cached, reasoning = min(cached, prompt), min(reasoning, completion)
    meter = UsageMeter(Dialect.OPENAI)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    meter.feed(msgspec.json.encode({"usage": usage}))
    result = meter.result()
    assert result.total == prompt + completion
    assert (result.cached_input, result.reasoning) == (cached, reasoning)


@given(
    st.sampled_from(Dialect),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(FIELDS, RUBBISH)
        | dict.fromkeys(("prompt_tokens_details", "completion_tokens_details"), DETAILS | RUBBISH),
    ),
)
def test_rubbish_never_gives_a_figure_that_cannot_be(dialect: Dialect, usage: dict[str, Any]) -> None:
    meter = UsageMeter(dialect)
    meter.feed(msgspec.json.encode({"usage": usage}))
    result = meter.result()
    for count in (result.input, result.cached_input, result.cache_write, result.output, result.reasoning):
        assert 0 <= count <= 2 * MAX_TOKENS
