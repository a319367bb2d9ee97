"""One look at a whole body says what the closer look says, or leaves the body to it."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.answer import Answer, read_answer
from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.glance import glance
from cliproxy_sidecar.core.usage import UsageMeter

counts = st.integers(-5, 2**41) | st.none() | st.booleans() | st.floats(0, 9) | st.text(max_size=2)
names = st.sampled_from(
    [
        *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens"),
        *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
    ]
)
details = st.dictionaries(
    st.sampled_from(["cached_tokens", "reasoning_tokens", "cache_write_tokens", "thinking_tokens"]), counts
)
detail_names = st.sampled_from(
    [f"{kind}_tokens_details" for kind in ("prompt", "completion", "input", "output")]
)
usages = st.builds(
    lambda flat, deep: {**flat, **deep},
    st.dictionaries(names, counts, max_size=4),
    st.dictionaries(detail_names, details | counts, max_size=2),
)
ends = st.sampled_from(["stop", "content_filter", "refusal", "SAFETY", None, 7])
errors = st.sampled_from([None, {}, "", "x", {"message": "m", "code": 429}, 0, False])
choices = st.lists(st.fixed_dictionaries({}, optional={"finish_reason": ends, "text": st.text()}), max_size=2)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "choices": choices | st.none(),
        "usage": usages | st.none() | st.integers(),
        "stop_reason": ends,
        "error": errors,
        "promptFeedback": st.sampled_from([None, {"blockReason": "SAFETY"}]),
        "candidates": st.sampled_from([None, [], [{"finishReason": "SAFETY"}]]),
        "content": st.text(max_size=5),
    },
)


@given(bodies, st.sampled_from(Dialect))
def test_a_glance_never_contradicts_the_closer_look(body: dict[str, object], dialect: Dialect) -> None:
    raw = json.dumps(body).encode()
    seen = glance(dialect, raw)
    if seen is None:
        return
    assert read_answer(raw, {}) is Answer.GOOD
    meter = UsageMeter(dialect)
    meter.feed(raw)
    assert meter.result() == seen


@given(st.binary(max_size=60), st.sampled_from(Dialect))
def test_what_is_not_json_is_left_to_the_closer_look(raw: bytes, dialect: Dialect) -> None:
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        assert glance(dialect, raw) is None


def test_usual_answers_need_one_look_only() -> None:
    chat = {"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    message = {"stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 2}}
    for dialect, body in ((Dialect.OPENAI, chat), (Dialect.ANTHROPIC, message), (Dialect.RESPONSES, message)):
        seen = glance(dialect, json.dumps(body).encode())
        assert seen is not None
        assert (seen.input, seen.output) == (3, 2)
