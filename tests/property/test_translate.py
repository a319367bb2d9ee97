"""Streams joined are the whole answer, cut anywhere; a conversation comes back as it was."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.conversing import (
    ARGUMENTS,
    CALLS,
    CUTS,
    NAME,
    TEXT,
    TOKENS,
    chunk,
    conversations,
    cut,
    pieces_of,
)
from support.translating import (
    encoded,
    frames,
    joined_completion,
    joined_message,
    stream_of,
    translation,
)

STOP = TEXT.filter(lambda text: not text.isspace())
"""Anthropic takes no others."""


@given(
    st.none() | TEXT,
    st.none() | TEXT,
    CALLS,
    st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    st.tuples(TOKENS, TOKENS, TOKENS),
    st.integers(1, 7),
    CUTS,
)
def test_chat_chunks_joined_are_the_whole_answer(  # noqa: PLR0917 -- drawn values
    thought: str | None,
    said: str | None,
    calls: list[tuple[str, dict[str, Any]]],
    finish: str,
    tokens: tuple[int, int, int],
    size: int,
    cuts: list[int],
) -> None:
    prompt, cached, completion = tokens
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    message: dict[str, Any] = {"role": "assistant", "content": said}
    chunks = [chunk({"role": "assistant", "content": ""})]
    if thought is not None:
        message["reasoning_content"] = thought
        chunks += [chunk({"reasoning_content": piece}) for piece in pieces_of(thought, size)]
    chunks += [chunk({"content": piece}) for piece in pieces_of(said or "", size)]
    if calls:
        message["tool_calls"] = []
    for index, (name, arguments) in enumerate(calls):
        text, call_id = json.dumps(arguments), f"call_{index}"
        function = {"name": name, "arguments": text}
        message["tool_calls"].append({"id": call_id, "type": "function", "function": function})
        head = {"index": index, "id": call_id, "function": {"name": name, "arguments": ""}}
        chunks.append(chunk({"tool_calls": [head]}))
        for piece in pieces_of(text, size):
            chunks.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    chunks += [chunk({}, finish), {**chunk({}), "choices": [], "usage": usage}]
    whole = {
        "id": "chatcmpl-1",
        "model": "gpt",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }
    stream = encoded([*chunks, "data: [DONE]\n\n"])
    expected = json.loads(translation("messages", {}).answer(json.dumps(whole).encode()))
    out = stream_of("messages", {}, cut(stream, cuts))
    assert out == stream_of("messages", {}, [stream])
    assert joined_message(frames(out)) == expected
    assert_the_response_is_the_same("responses-chat", cut(stream, cuts), whole)


def assert_the_response_is_the_same(caller: str, pieces: list[bytes], whole: dict[str, Any]) -> None:
    """The last event of a response's stream holds what the whole answer would be, its pieces add up to it."""
    request = {"stream": True, "tools": [{"type": "custom", "name": "f"}]}
    events = [frame for frame in frames(stream_of(caller, request, pieces)) if isinstance(frame, dict)]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    found = events[-1]["response"]
    expected = json.loads(translation(caller, request).answer(json.dumps(whole).encode()))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == found["output"]
    for place, item in enumerate(done):
        deltas = [
            event["delta"] for event in events if event.get("output_index") == place and "delta" in event
        ]
        said = item.get("arguments", item.get("input"))
        parts = item.get("content") or item.get("summary") or [{"text": ""}]
        assert "".join(deltas) == (parts[0]["text"] if said is None else said)
    for one in (found, expected):
        for item in one["output"]:
            if "arguments" in item:
                item["arguments"] = json.loads(item["arguments"])
    assert found == expected


BLOCK = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}, TEXT),
    st.builds(lambda name, given: {"type": "tool_use", "name": name, "input": given}, NAME, ARGUMENTS),
)


def deltas(block: dict[str, Any], size: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block["type"]:
        case "text":
            pieces = [{"type": "text_delta", "text": piece} for piece in pieces_of(block["text"], size)]
            return {"type": "text", "text": ""}, pieces
        case "thinking":
            pieces = [
                {"type": "thinking_delta", "thinking": piece} for piece in pieces_of(block["thinking"], size)
            ]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*pieces, signed]
        case _:
            text = json.dumps(block["input"]) if block["input"] else ""
            pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces_of(text, size)]
            return block | {"input": {}}, pieces


@given(
    st.lists(BLOCK, max_size=4),
    st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "brand_new"]),
    st.tuples(TOKENS, TOKENS, TOKENS, TOKENS),
    st.integers(1, 7),
    CUTS,
)
def test_anthropic_events_joined_are_the_whole_answer(
    blocks: list[dict[str, Any]],
    reason: str,
    tokens: tuple[int, int, int, int],
    size: int,
    cuts: list[int],
) -> None:
    blocks = [
        block | {"id": f"toolu_{place}"} if block["type"] == "tool_use" else block
        for place, block in enumerate(blocks)
    ]
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    usage = dict(zip(names, tokens, strict=True))
    whole = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }
    start = whole | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    events: list[Any] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        opened, pieces = deltas(block, size)
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        events += [{"type": "content_block_delta", "index": index, "delta": piece} for piece in pieces]
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": reason, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": tokens[3]}})
    stream = encoded([*events, {"type": "message_stop"}])
    request = {"stream": True, "stream_options": {"include_usage": True}}
    out = stream_of("chat", request, cut(stream, cuts))
    assert out == stream_of("chat", request, [stream])
    found = joined_completion([frame for frame in frames(out) if frame != ": keep-alive"])
    expected = json.loads(translation("chat", request).answer(json.dumps(whole).encode()))
    (choice,) = expected["choices"]
    for call, same in zip(
        found["message"].get("tool_calls", []), choice["message"].get("tool_calls", []), strict=True
    ):
        assert json.loads(call["function"].pop("arguments")) == json.loads(same["function"].pop("arguments"))
    assert found["message"] | {"content": found["message"]["content"] or None} == choice["message"]
    assert (found["finish_reason"], found["usage"], found["id"]) == (
        choice["finish_reason"],
        expected["usage"],
        expected["id"],
    )
    assert_the_response_is_the_same("responses", cut(stream, cuts), whole)


@given(
    conversations(),
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.floats(0, 1),
            "top_p": st.floats(0, 1),
            "stop": st.lists(STOP, min_size=1, max_size=4),
            "user": NAME,
            "max_completion_tokens": st.integers(1, 9999),
        },
    ),
    st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "f"}}]),
)
def test_a_conversation_comes_back_as_it_was(
    messages: list[dict[str, Any]], fields: dict[str, Any], choice: object
) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    request = {"messages": messages, "tools": [tool], "tool_choice": choice, **fields}
    there = translation("chat", request)
    back = translation("messages", json.loads(there.body))
    expected = {"max_completion_tokens": 4096, **request, "model": "gpt-4o"}
    if "top_p" in fields and "temperature" in fields:
        # Claude takes one of them; one that says nothing is left away.
        neutral = next((name for name in ("temperature", "top_p") if fields[name] == 1), None)
        expected.pop(neutral, None)  # type: ignore[arg-type]
    assert json.loads(back.body) == expected
    assert there.left_out == back.left_out == ()
