"""Changing the model changes the model, and not one other byte."""

import json
from typing import Any

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from cliproxy_sidecar.core.body import Peek, peek, with_model

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
KEYS = st.sampled_from(["a", "stream2", 'q"', "mod\u00e9l", "model ", "Model"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.one_of(KEYS, st.sampled_from(["model", "}", "]"])), inner, max_size=3)
    ),
    max_leaves=8,
)
SPACES = st.sampled_from([b"", b" ", b"\n\t", b"\r\n  "])
MODEL_KEYS = st.sampled_from([b'"model"', b'"mod\\u0065l"', b'"\\u006Dodel"'])


@st.composite
def members(draw: st.DrawFn, old: str) -> tuple[bytes, bytes]:
    """Draw one member of an object, cut where the model's value stands (b"" after the cut: another key's)."""
    colon = draw(SPACES) + b":" + draw(SPACES)
    if draw(st.booleans()):
        return draw(SPACES) + draw(MODEL_KEYS) + colon, written(old, ascii_only=draw(st.booleans()))
    value = written(draw(VALUES), ascii_only=draw(st.booleans()))
    return draw(SPACES) + written(draw(KEYS), ascii_only=draw(st.booleans())) + colon + value, b""


def written(value: Any, *, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode()


@given(st.data(), NAMES, NAMES)
def test_every_top_level_model_changes_and_nothing_else(data: st.DataObject, old: str, new: str) -> None:
    assume(old != new)
    drawn = data.draw(st.lists(members(old), min_size=1, max_size=6))
    assume(any(value for _, value in drawn))
    ends = [data.draw(SPACES) for _ in drawn]

    def joined(model: bytes | None) -> bytes:
        parts = (
            before + (value and (model or value)) + end
            for (before, value), end in zip(drawn, ends, strict=True)
        )
        return b" {" + b",".join(parts) + b"}\n"

    body = joined(None)
    assert peek(body) == Peek(old, stream=False)
    assert with_model(body, old, new) == joined(msgspec.json.encode(new))
