"""A conversation that is too long: what may go, and which model is larger."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cliproxy_sidecar.core.condense import without_oldest
from cliproxy_sidecar.core.dialect import Dialect

SYSTEM = {"role": "system", "content": "Be brief."}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def shortened(dialect: Dialect, field: str, turns: list[Any], keep: int) -> list[Any] | None:
    body = json.dumps({"model": "m", field: turns, "temperature": 0.25}).encode()
    found = without_oldest(dialect, body, keep)
    if found is None:
        return None
    left = json.loads(found[0])
    assert (left["model"], left["temperature"]) == ("m", 0.25)
    assert found[1] == len(turns) - len(left[field])
    return list(left[field])


def test_the_older_half_goes_and_instructions_stay() -> None:
    turns = [
        SYSTEM,
        user("1"),
        assistant("1"),
        user("2"),
        assistant("2"),
        user("3"),
        assistant("3"),
        user("4"),
    ]

    assert shortened(Dialect.OPENAI, "messages", turns, 1) == [SYSTEM, user("3"), assistant("3"), user("4")]


@pytest.mark.parametrize(
    ("dialect", "field", "call", "result"),
    [
        (
            Dialect.OPENAI,
            "messages",
            {"role": "assistant", "tool_calls": [{"id": "c"}]},
            {"role": "tool", "tool_call_id": "c", "content": "42"},
        ),
        (
            Dialect.ANTHROPIC,
            "messages",
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c"}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
        ),
        (
            Dialect.RESPONSES,
            "input",
            {"type": "function_call", "call_id": "c"},
            {"type": "function_call_output", "call_id": "c", "output": "42"},
        ),
        (
            Dialect.GEMINI,
            "contents",
            {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f"}}]},
        ),
    ],
    ids=["chat", "messages", "responses", "gemini"],
)
def test_a_tools_result_never_loses_its_call(
    dialect: Dialect, field: str, call: dict[str, Any], result: dict[str, Any]
) -> None:
    said = {"role": "user", "parts": [{"text": "x"}]} if dialect is Dialect.GEMINI else user("x")
    turns = [said, call, result, said, call, result]

    assert shortened(dialect, field, turns, 2) == [said, call, result]
    assert shortened(dialect, field, turns, 3) == [said, call, result]
    assert shortened(dialect, field, turns, 4) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"messages": 5}',
        b'{"messages": []}',
        b'{"messages": [1, null, "x"]}',
        b'{"messages": "text"}',
        b"\xff",
    ],
)
def test_what_is_no_conversation_stays_as_it_is(body: bytes) -> None:
    assert without_oldest(Dialect.OPENAI, body, 1) is None


def test_the_newest_are_kept_whatever_happens() -> None:
    turns = [user("1"), user("2"), user("3")]

    assert shortened(Dialect.OPENAI, "messages", turns, 3) is None
    assert shortened(Dialect.OPENAI, "messages", turns, 2) == [user("2"), user("3")]
