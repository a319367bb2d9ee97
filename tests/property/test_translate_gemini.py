"""Gemini's form: streams joined are the whole answer, cut anywhere; a conversation comes back as it was."""

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
    joined_gemini,
    joined_message,
    stream_of,
    translation,
)

SIGNATURE = st.sampled_from([None, "c2lnbmVk"])
REASON = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BRAND_NEW"])


@st.composite
def gemini_parts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Thoughts, then text, then calls, as Gemini orders them; the first call may be signed."""
    parts: list[dict[str, Any]] = []
    if draw(st.booleans()):
        parts.append({"text": draw(TEXT), "thought": True})
    if draw(st.booleans()):
        parts.append({"text": draw(TEXT)})
    signature = draw(SIGNATURE)
    for place, (name, args) in enumerate(draw(CALLS)):
        part: dict[str, Any] = {"functionCall": {"name": name, "args": args}}
        if draw(st.booleans()):
            part["functionCall"]["id"] = f"fc_{place}"
        if signature and place == 0:
            part["thoughtSignature"] = signature
        parts.append(part)
    return parts


def split(parts: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """Texts in pieces, calls whole: a chunk each."""
    found: list[list[dict[str, Any]]] = []
    for part in parts:
        if "text" in part:
            found += [[part | {"text": piece}] for piece in pieces_of(part["text"], size)]
        else:
            found.append([part])
    return found


@given(gemini_parts(), REASON, st.tuples(TOKENS, TOKENS, TOKENS, TOKENS), st.integers(1, 7), CUTS)
def test_gemini_chunks_joined_are_the_whole_answer(
    parts: list[dict[str, Any]],
    reason: str,
    tokens: tuple[int, int, int, int],
    size: int,
    cuts: list[int],
) -> None:
    prompt, cached, said, thought = tokens
    usage = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": min(cached, prompt),
        "candidatesTokenCount": said,
        "thoughtsTokenCount": thought,
        "totalTokenCount": prompt + said + thought,
    }
    tail = {"modelVersion": "gemini", "responseId": "r1"}
    content = {"parts": parts, "role": "model"}
    whole = {"candidates": [{"content": content, "finishReason": reason, "index": 0}], "usageMetadata": usage}
    events: list[Any] = [
        {"candidates": [{"content": {"parts": some, "role": "model"}, "index": 0}], **tail}
        for some in split(parts, size)
    ]
    end = {"content": {"parts": [], "role": "model"}, "finishReason": reason, "index": 0}
    events.append({"candidates": [end], "usageMetadata": usage, **tail})
    stream = encoded(events)
    body = json.dumps(whole | tail).encode()

    request = {"stream": True, "stream_options": {"include_usage": True}}
    out = stream_of("chat-gemini", request, cut(stream, cuts))
    assert out == stream_of("chat-gemini", request, [stream])
    found = joined_completion(frames(out))
    expected = json.loads(translation("chat-gemini", request).answer(body))
    (choice,) = expected["choices"]
    message = found["message"]
    assert message | {"content": message["content"] or None} == choice["message"]
    assert (found["finish_reason"], found["usage"]) == (choice["finish_reason"], expected["usage"])

    out = stream_of("messages-gemini", {"stream": True}, cut(stream, cuts))
    told = json.loads(translation("messages-gemini", {}).answer(body))
    assert joined_message(frames(out)) == told


@given(
    st.none() | TEXT,
    st.none() | TEXT,
    CALLS,
    st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    st.tuples(TOKENS, TOKENS, TOKENS),
    st.integers(1, 7),
    CUTS,
)
def test_chat_chunks_joined_are_geminis_whole_answer(  # noqa: PLR0917 -- drawn values
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
    made = []
    for index, (name, arguments) in enumerate(calls):
        text, call_id = json.dumps(arguments), f"call_{index}"
        made.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": text}})
        head = {"index": index, "id": call_id, "function": {"name": name, "arguments": ""}}
        chunks.append(chunk({"tool_calls": [head]}))
        for piece in pieces_of(text, size):
            chunks.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    if made:
        message["tool_calls"] = made
    chunks += [chunk({}, finish), {**chunk({}), "choices": [], "usage": usage}]
    choice = {"index": 0, "message": message, "finish_reason": finish}
    whole = {"id": "chatcmpl-1", "model": "gpt", "choices": [choice], "usage": usage}
    stream = encoded([*chunks, "data: [DONE]\n\n"])
    out = stream_of("gemini", {}, cut(stream, cuts))
    assert out == stream_of("gemini", {}, [stream])
    assert joined_gemini(frames(out)) == json.loads(
        translation("gemini", {}).answer(json.dumps(whole).encode())
    )


@given(
    conversations(),
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.floats(0, 2),
            "top_p": st.floats(0, 1),
            "top_k": st.integers(1, 99),
            "n": st.integers(2, 4),
            "seed": st.integers(0, 99),
            "presence_penalty": st.floats(-2, 2),
            "stop": st.lists(TEXT, min_size=1, max_size=4),
            "max_tokens": st.integers(1, 9999),
            "logprobs": st.just(value=True),
            "top_logprobs": st.integers(1, 5),
        },
    ),
    st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "f"}}]),
    NAME,
)
def test_a_conversation_comes_back_from_gemini(
    messages: list[dict[str, Any]], fields: dict[str, Any], choice: object, name: str
) -> None:
    parameters = {"type": "object", "properties": {name: {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    request = {"messages": messages, "tools": [tool], "tool_choice": choice, **fields}
    there = translation("chat-gemini", request)
    back = json.loads(translation("gemini", json.loads(there.body)).body)
    expected = {**request, "model": "qwen3-32b", "messages": _merged(messages)}
    if choice == "auto":
        del expected["tool_choice"]
    assert back | {"messages": _merged(back["messages"])} == expected
    assert there.left_out == ()


def _merged(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An address of a picture keeps no more than itself; empty words are no words."""
    return [
        {name: value for name, value in message.items() if value not in (None, "")} for message in messages
    ]


@given(ARGUMENTS, SIGNATURE)
def test_a_signature_finds_its_way_back(args: dict[str, Any], signature: str | None) -> None:
    """By way of each format's own room for it: what Gemini signed is what it gets again."""
    part: dict[str, Any] = {"functionCall": {"id": "fc_1", "name": "f", "args": args}}
    if signature:
        part["thoughtSignature"] = signature
    content = {"parts": [part], "role": "model"}
    answer = json.dumps(
        {"candidates": [{"content": content}], "responseId": "r", "modelVersion": "g"}
    ).encode()
    user = {"role": "user", "content": "Hi"}
    made = json.loads(translation("chat-gemini", {}).answer(answer))["choices"][0]["message"]
    history: list[Any] = [user, made, {"role": "tool", "tool_call_id": "fc_1", "content": "x"}]
    _assert_is_in(part, "chat-gemini", {"messages": history})
    made = json.loads(translation("messages-gemini", {}).answer(answer))
    result = {"type": "tool_result", "tool_use_id": "fc_1", "content": "x"}
    history = [user, {"role": "assistant", "content": made["content"]}, {"role": "user", "content": [result]}]
    _assert_is_in(part, "messages-gemini", {"messages": history})
    made = json.loads(translation("responses-gemini", {}).answer(answer))
    output = {"type": "function_call_output", "call_id": "fc_1", "output": "x"}
    _assert_is_in(part, "responses-gemini", {"input": [user, *made["output"], output]})


def _assert_is_in(part: dict[str, Any], caller: str, request: dict[str, Any]) -> None:
    body = json.loads(translation(caller, request).body)
    assert body["contents"][1] == {"role": "model", "parts": [part]}
