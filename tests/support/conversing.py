"""What conversations and answers may hold, as strategies, and streams in pieces."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
NAME = st.text("abcdefgh_", min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(NAME, JSON, max_size=3)
CALLS = st.lists(st.tuples(NAME, ARGUMENTS), max_size=3)
CUTS = st.lists(st.integers(0, 5000), max_size=12)
TOKENS = st.integers(0, 10_000)


def pieces_of(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(min(place, len(stream)) for place in cuts), len(stream)]
    return [stream[start:stop] for start, stop in pairwise(bounds)]


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt", "choices": [choice]}


USER_PARTS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, TEXT),
        st.sampled_from(
            [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            ]
        ),
    ),
    min_size=2,
    max_size=3,
)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    if draw(st.booleans()):
        turns.append({"role": "system", "content": draw(TEXT)})
    for turn in range(draw(st.integers(0, 3))):
        turns.append({"role": "user", "content": draw(TEXT | USER_PARTS)})
        calls = draw(CALLS)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": draw(TEXT if not calls else st.none() | TEXT),
        }
        ids = [f"call_{turn}_{place}" for place in range(len(calls))]
        if calls:
            message["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": name, "arguments": _compact(given)}}
                for call_id, (name, given) in zip(ids, calls, strict=True)
            ]
        turns.append(message)
        turns += [{"role": "tool", "tool_call_id": call_id, "content": draw(TEXT)} for call_id in ids]
    return [*turns, {"role": "user", "content": draw(TEXT)}]


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
