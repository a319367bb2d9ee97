"""Whatever body a caller sends, a scripted provider answers it as a provider would: never by breaking."""

from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_dev.providers.provider import Kind, ScriptedProvider
from cliproxy_dev.providers.server import Connection, Request

WORDS = st.sampled_from(["text", "function", "tool", "any", "user", "object", "array", "a", ""])
SCALARS = st.none() | st.booleans() | st.integers(-2, 200) | WORDS
KEYS = st.sampled_from(
    [
        "type",
        "name",
        "content",
        "role",
        "function",
        "parameters",
        "input_schema",
        "properties",
        "items",
        "text",
        "$ref",
        "enum",
        "anyOf",
        "json_schema",
        "schema",
        "include_usage",
        "tool_result",
    ]
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=4), max_leaves=12
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "messages": st.lists(OBJECTS, max_size=3),
    "tools": st.lists(OBJECTS, max_size=2),
    "tool_choice": VALUES,
    "response_format": OBJECTS,
    "stream_options": OBJECTS,
    "stream": st.booleans(),
    "n": st.integers(-1, 3),
    "max_tokens": st.integers(-1, 50),
    "input": VALUES,
    "prompt": VALUES,
    "system": VALUES,
    "instructions": VALUES,
    "dimensions": st.integers(-1, 10**9),
    "encoding_format": WORDS,
    "stop_sequences": st.lists(WORDS, max_size=2),
    "thinking": OBJECTS,
}
BODIES = st.fixed_dictionaries({"model": st.just("m")}, optional=FIELDS)


class Paper:
    """Stands in for a connection: keeps what is written."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    async def send(self, data: bytes) -> None:
        self.data += data


def answer(kind: Kind, path: str, body: bytes) -> int:
    """Return the status of the answer to a POST of this body."""
    paper = Paper()
    headers = {"authorization": "Bearer sk-test", "anthropic-version": "2023-06-01"}
    request = Request(method="POST", path=path, query="api-version=1", headers=headers, body=body)
    work = ScriptedProvider(kind=kind)._app(request, cast("Connection", paper))
    if work is not None:  # a large answer: written in pieces, none of which waits here
        with pytest.raises(StopIteration):
            work.send(None)
    return int(paper.data.split(b" ", 2)[1])


ENDPOINTS: list[tuple[Kind, str]] = [
    ("openai", "/v1/chat/completions"),
    ("openai", "/v1/completions"),
    ("openai", "/v1/embeddings"),
    ("openai", "/v1/responses"),
    ("azure", "/openai/deployments/m/chat/completions"),
    ("gemini", "/v1beta/openai/chat/completions"),
    ("anthropic", "/v1/messages"),
    ("anthropic", "/v1/messages/count_tokens"),
]


@pytest.mark.parametrize(("kind", "path"), ENDPOINTS)
@given(body=BODIES | OBJECTS)
def test_any_object(kind: Kind, path: str, body: dict[str, Any]) -> None:
    assert answer(kind, path, msgspec.json.encode(body)) in (200, 400)


@pytest.mark.parametrize(("kind", "path"), ENDPOINTS)
@given(body=st.binary(max_size=40))
def test_any_bytes(kind: Kind, path: str, body: bytes) -> None:
    assert answer(kind, path, body) == 400
