import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_dev.providers import text
from cliproxy_dev.providers.openai_api import masked


@given(st.text(), st.none() | st.integers(1, 50))
def test_pieces_join_to_the_text(said: str, count: int | None) -> None:
    pieces = text.pieces(said, count)
    assert "".join(pieces) == said
    assert all(pieces)
    assert count is None or len(pieces) <= count


@given(st.text(max_size=400), st.integers(0, 50))
def test_cut_keeps_to_the_limit(said: str, limit: int) -> None:
    kept, was_cut = text.cut(said, limit)
    assert text.count_tokens(kept) <= limit
    assert said.startswith(kept)
    assert was_cut == (kept != said)


@pytest.mark.parametrize(("said", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_tokens(said: str, tokens: int) -> None:
    assert text.count_tokens(said) == tokens


def test_plain_text_of_every_form_of_content() -> None:
    assert text.plain_text("a") == "a"
    assert text.plain_text([{"type": "text", "text": "a"}, {"type": "image"}, "b"]) == "a b"
    assert text.plain_text([{"type": "tool_result", "content": [{"type": "text", "text": "c"}]}]) == "c"
    assert text.plain_text(None) == ""


def test_example_follows_references_and_stops_at_loops() -> None:
    schema = {
        "type": "object",
        "properties": {
            "next": {"$ref": "#"},
            "kind": {"enum": ["x", "y"]},
            "some": {"anyOf": [{"type": "integer"}]},
        },
    }
    made = text.example(schema, "Hello")
    assert (made["kind"], made["some"]) == ("x", 1)
    depth = 0
    while made is not None:
        made, depth = made["next"], depth + 1
    assert depth <= text.SCHEMA_DEPTH


def test_vector_is_of_length_one_and_of_the_text_only() -> None:
    assert text.vector("a", 64) == text.vector("a", 64) != text.vector("b", 64)
    assert math.isclose(sum(v * v for v in text.vector("a", 64)), 1.0)


def test_masked_key_shows_its_ends_only() -> None:
    assert masked("sk-wrong-and-secret-1234") == "sk-wrong************1234"
    assert masked("short") == "*****"
