"""The door: who is translated, and what single fields and odd events come to; the rest are golden cases."""

import json
from typing import Any

import pytest

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import (
    BATCH_EMBED,
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBED,
    EMBEDDINGS,
    GEMINI_COUNT,
    GENERATE,
    GENERATE_LIST,
    MESSAGES,
    RESPONSES,
    STREAM_GENERATE,
    Dialect,
    Form,
    Operation,
    is_native,
    serves,
)
from cliproxy_sidecar.core.sse import SSEParser
from cliproxy_sidecar.core.translate import to_messages_stream
from cliproxy_sidecar.core.translate.draft import Destination, Draft
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.pairs import pair_for
from cliproxy_sidecar.core.translate.to_messages_stream import MessagesStream
from cliproxy_sidecar.core.translate.translation import Pair, Translation
from cliproxy_sidecar.core.translate.untouched import renamed, untouched
from support.translating import encoded, events_of, frames, request_outcome, translation

OPENAI = ProviderType.OPENAI


def user(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def refusal(caller: str, request: dict[str, Any]) -> tuple[str, str]:
    outcome = request_outcome(caller, request)
    assert "error" in outcome, outcome
    return outcome["error"]["field"], outcome["error"]["message"]


@pytest.mark.parametrize(
    ("operation", "upstreams"),
    [
        # In the order of forms: openai, chat, anthropic, gemini, gemini's streams.
        (CHAT, [None, None, MESSAGES, GENERATE, STREAM_GENERATE]),
        (MESSAGES, [CHAT, CHAT, None, GENERATE, STREAM_GENERATE]),
        (RESPONSES, [None, CHAT, MESSAGES, GENERATE, STREAM_GENERATE]),
        (GENERATE, [CHAT, CHAT, MESSAGES, None, None]),
        (STREAM_GENERATE, [CHAT, CHAT, MESSAGES, None, None]),
        (GENERATE_LIST, [CHAT, CHAT, MESSAGES, None, None]),
        (EMBEDDINGS, [None, None, None, BATCH_EMBED, BATCH_EMBED]),
        (EMBED, [EMBEDDINGS, EMBEDDINGS, None, None, None]),
        (BATCH_EMBED, [EMBEDDINGS, EMBEDDINGS, None, None, None]),
        (COUNT_TOKENS, [None, None, None, GEMINI_COUNT, GEMINI_COUNT]),
        (GEMINI_COUNT, [None, None, COUNT_TOKENS, None, None]),
        (COMPLETIONS, [None, None, None, None, None]),
    ],
)
def test_who_is_translated(operation: Operation, upstreams: list[Operation | None]) -> None:
    pairs = [pair_for(operation, form, stream=False) for form in Form]
    pairs.append(pair_for(operation, Form.GEMINI, stream=True))
    assert [pair.upstream if pair is not None else None for pair in pairs] == upstreams


def test_gemini_signatures_go_to_gemini_only() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    extra = {"google": {"thought_signature": "c2ln"}}
    calls = [{**call, "extra_content": extra}, {**call, "extra_content": {**extra, "other": 1}}]
    body = json.dumps({"model": "m", "messages": [{"role": "assistant", "tool_calls": calls}]}).encode()
    assert untouched(CHAT, body, ProviderType.GEMINI) is body
    kept = json.loads(untouched(CHAT, body, OPENAI))["messages"][0]["tool_calls"]
    assert kept == [call, {**call, "extra_content": {"other": 1}}]
    for odd in (b'"thought_signature"', b'["thought_signature"]', b'{"messages":["thought_signature",{}]}'):
        assert json.loads(untouched(CHAT, odd, OPENAI)) == json.loads(odd)


def test_gemini_bodies_name_the_model_once_more() -> None:
    batch = b'{"requests":[{"model":"models/public","content":{"parts":[{"text":"model"}]},"n":1.50}]}'
    renamed_batch = renamed(BATCH_EMBED, batch, "public", "upstream")
    assert renamed_batch == batch.replace(b"public", b"upstream")
    counted = b'{"generateContentRequest":{"model":"models/public","contents":[]}}'
    assert renamed(GEMINI_COUNT, counted, "public", "models/up") == counted.replace(b"public", b"up")
    args = b'{"contents":[{"parts":[{"functionCall":{"name":"f","args":{"model":"public"}}}]}]}'
    assert renamed(GENERATE, args, "public", "upstream") == args
    for same in (b'{"contents":[]}', b'{"model":', b'{"model":1,"requests":{}}'):
        assert renamed(GENERATE, same, "public", "upstream") is same
    assert renamed(BATCH_EMBED, batch, "public", "public") is batch


def test_what_is_needed_is_native_or_translated() -> None:
    for operation in OPERATIONS:
        for form in Form:
            can = is_native(operation, form) or pair_for(operation, form, stream=False) is not None
            assert can == serves(form, operation.need), (operation.name, form)


OPERATIONS = [CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, MESSAGES, COUNT_TOKENS]
OPERATIONS += [GENERATE, STREAM_GENERATE, GENERATE_LIST, GEMINI_COUNT, EMBED, BATCH_EMBED]


def test_a_provider_of_the_callers_format_gets_the_callers_bytes() -> None:
    foreign = b'{"cliproxy-unsigned": "cliproxy-thoughts-" }'
    assert untouched(CHAT, foreign, OPENAI) is foreign
    body = b'{"messages":[ ],"input":[ ]}'
    for operation in (CHAT, MESSAGES, RESPONSES):
        assert untouched(operation, body, OPENAI) is body


def test_reasoning_of_others_does_not_reach_openai() -> None:
    answered = json.loads(translation("responses-chat", {}).answer(json.dumps(REASONED).encode()))
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    items = [{"role": "user", "content": "Hi"}, *answered["output"], own]
    kept = json.loads(untouched(RESPONSES, json.dumps({"model": "m", "input": items}).encode(), OPENAI))
    assert [item.get("type") for item in kept["input"]] == [None, "message", "reasoning"]
    assert kept["input"][-1] == own


@pytest.mark.parametrize(
    "body", [b'"cliproxy-thoughts-', b'["cliproxy-thoughts-"]', b'{"input":"cliproxy-thoughts-"}']
)
def test_what_only_looks_like_reasoning_of_others_passes(body: bytes) -> None:
    assert untouched(RESPONSES, body, OPENAI) is body


REASONED = {
    "id": "c",
    "model": "m",
    "choices": [{"message": {"reasoning": "2 + 2", "content": "4"}, "finish_reason": "stop"}],
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,eA=="}}
AUDIO = {"type": "file", "file": {"file_data": "data:audio/wav;base64,eA=="}}
FILE = {"type": "file", "file": {"file_id": "file-1"}}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (user(IMAGE), "messages[0].content[0].image_url.url"),
        (user({"type": "image_url", "image_url": "ftp://x"}), "messages[0].content[0].image_url.url"),
        (user(AUDIO), "messages[0].content[0].file.file_data"),
        (user(FILE), "messages[0].content[0].file.file_id"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "function_call": {}}]}, "messages[0].function_call"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"type": "custom"}]}]},
            "messages[0].tool_calls[0].type",
        ),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "x"}, "tool_choice"),
        (
            {
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "tool_choice": {"type": "allowed_tools"},
            },
            "tool_choice.type",
        ),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"n": True}, "n"),
        ({"stop": [1]}, "stop[0]"),
        ({"stop": ["END", " \n"]}, "stop[1]"),
    ],
)
def test_a_chat_request_is_refused_by_the_fields_name(request_: dict[str, Any], field: str) -> None:
    assert refusal("chat", request_)[0] == field


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (
            user({"type": "image", "source": {"type": "file", "file_id": "f"}}),
            "messages[0].content[0].source.type",
        ),
        (user({"type": "document", "source": {"type": "url"}}), "messages[0].content[0].source.type"),
        (
            user(
                {
                    "type": "document",
                    "source": {"type": "text", "data": "x"},
                    "citations": {"enabled": True},
                }
            ),
            "messages[].content[].citations",
        ),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]},
            "messages[0].content[0].type",
        ),
        ({"tool_choice": {"type": "odd"}}, "tool_choice.type"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"container": "c"}, "container"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_messages_request_is_refused_by_the_fields_name(request_: dict[str, Any], field: str) -> None:
    assert refusal("messages", request_)[0] == field


def test_small_equals() -> None:
    jpg = user(
        {
            "type": "image_url",
            "image_url": {"url": "data:image/jpg;base64,eA=="},
            "cache_control": {"type": "x"},
        },
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,eA=="}},
    )
    (turn,) = request_outcome("chat", jpg)["body"]["messages"]
    assert turn["content"][0]["source"]["media_type"] == "image/jpeg"
    assert turn["content"][0]["cache_control"] == {"type": "x"}
    assert "title" not in turn["content"][1]
    given = {"output_config": {"effort": "low"}, "response_format": {"type": "text"}}
    assert request_outcome("chat", given)["body"]["output_config"] == {"effort": "low"}
    system = {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "stop_sequences": [],
        "stream": False,
        "tools": [],
        "tool_choice": {"type": "none"},
        "metadata": {},
        "output_config": {},
    }
    assert request_outcome("messages", system) == {
        "body": {
            "max_completion_tokens": 100,
            "stream": False,
            "model": "gpt-4o",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        },
        "left_out": [],
    }


def test_an_empty_stop_is_none() -> None:
    for stop, expected in (("", []), (["", "END"], ["END"])):
        body = request_outcome("chat", {"messages": [{"role": "user", "content": "Hi"}], "stop": stop})[
            "body"
        ]
        assert body["stop_sequences"] == expected


def test_turns_of_the_assistant_are_joined() -> None:
    turns = [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    (turn,) = request_outcome("chat", {"messages": turns})["body"]["messages"]
    assert [block["text"] for block in turn["content"]] == ["a", "b"]


START = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}


def call(index: int, **call: Any) -> dict[str, Any]:
    return {**START, "choices": [{"index": 0, "delta": {"tool_calls": [{"index": index, **call}]}}]}


def test_arguments_for_a_call_that_had_ended_are_the_providers_fault() -> None:
    said = {**START, "choices": [{"index": 0, "delta": {"content": "Well"}}]}
    begun = [call(0, id="a", function={"name": "f", "arguments": "{"}), said]
    translator = translation("messages", {}).stream()
    translator.feed(events_of([*begun, call(0, function={"arguments": ""})]))
    with pytest.raises(TranslationError, match="had ended"):
        translator.feed(events_of([call(0, function={"arguments": "}"})]))


def begin(index: int, arguments: str = "") -> dict[str, Any]:
    return call(index, id=f"id{index}", function={"name": f"f{index}", "arguments": arguments})


def more(index: int, arguments: str) -> dict[str, Any]:
    return call(index, function={"arguments": arguments})


@pytest.mark.parametrize(
    ("pieces", "inputs"),
    [
        ([begin(0), begin(1), more(0, '{"a":1}'), more(1, '{"b":2}')], [{"a": 1}, {"b": 2}]),
        ([begin(0, '{"a":'), begin(1, '{"b":'), more(1, "2}"), more(0, "1}")], [{"a": 1}, {"b": 2}]),
        ([begin(0), begin(1), begin(2), more(2, '{"c":3}'), more(0, '{"a":1}')], [{"a": 1}, {}, {"c": 3}]),
        ([begin(0), begin(1), more(0, '{"a":{}}'), begin(2, "{}"), more(1, "{}")], [{"a": {}}, {}, {}]),
        ([begin(0), begin(1, '{"b":2}')], [{}, {"b": 2}]),
    ],
)
@pytest.mark.parametrize("caller", ["messages", "responses-chat"])
def test_parallel_calls_may_be_written_in_turns(
    caller: str, pieces: list[dict[str, Any]], inputs: list[dict[str, Any]]
) -> None:
    translator = translation(caller, {}).stream()
    out = translator.feed(events_of([START, *pieces, "data: [DONE]\n\n"]))
    events = [json.loads(event.data) for event in SSEParser().feed(out)]
    if caller == "messages":
        opened = [event for event in events if event["type"] == "content_block_start"]
        assert [event["content_block"]["id"] for event in opened] == [f"id{n}" for n in range(len(inputs))]
        written = {event["index"]: "" for event in opened}
        for event in events:
            if event["type"] == "content_block_delta":
                written[event["index"]] += event["delta"]["partial_json"]
        found = [json.loads(text or "{}") for text in written.values()]
    else:
        found = [json.loads(item["arguments"]) for item in events[-1]["response"]["output"]]
    assert found == inputs


def test_what_waits_for_a_call_is_bounded() -> None:
    room = "x" * (to_messages_stream.MAX_HELD_CHARS // 4)
    many = to_messages_stream.MAX_HELD_CALLS
    for pieces in (
        [begin(0), begin(1), *(more(1, room) for _ in range(3))],
        [begin(0), *(begin(1 + number) for number in range(many))],
    ):
        translator = translation("messages", {}).stream()
        translator.feed(events_of([START, *pieces]))
        with pytest.raises(TranslationError, match="too much of other calls"):
            translator.feed(events_of([more(1, room), begin(many + 1)]))
        # What has been let go weighs no more.
        translator = translation("messages", {}).stream()
        translator.feed(events_of([START, *pieces, more(0, "{}")]))
        translator.feed(events_of([more(1, "}"), begin(many + 1)]))


def test_a_long_call_is_not_read_anew_at_every_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    is_whole = MessagesStream._is_whole

    def look(stream: MessagesStream) -> bool:
        nonlocal looks
        looks += 1
        return is_whole(stream)

    monkeypatch.setattr(MessagesStream, "_is_whole", look)
    pieces = [more(0, f"{number},") for number in range(1000)]
    translator = translation("messages", {}).stream()
    translator.feed(events_of([START, begin(0, '{"a":['), begin(1), *pieces, more(0, '"}"'), more(0, "]}")]))
    assert looks == 2  # At the second call's begin, and at the end.


def test_another_call_of_the_same_number_ends_the_one_before() -> None:
    first, second = begin(0), call(0, id="other", function={"name": "g", "arguments": ""})
    translator = translation("messages", {}).stream()
    events = frames(translator.feed(events_of([START, first, second])))
    opened = [event["content_block"]["id"] for event in events if event["type"] == "content_block_start"]
    assert opened == ["id0", "other"]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}},
        {"type": "content_block_delta", "index": None, "delta": {}},
        {"type": "message_start"},
    ],
)
def test_events_that_make_no_sense_are_the_providers_fault(event: dict[str, Any]) -> None:
    with pytest.raises(TranslationError):
        translation("chat", {}).stream().feed(events_of([event]))


@pytest.mark.parametrize("answer", [{}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": None}]}])
def test_answers_that_make_no_sense_are_the_providers_fault(answer: dict[str, Any]) -> None:
    with pytest.raises(TranslationError):
        translation("messages", {}).answer(json.dumps(answer).encode())


def test_an_empty_stream_has_no_end() -> None:
    with pytest.raises(TranslationError, match="empty"):
        translation("messages", {}).stream().finish()


def test_nothing_follows_an_end_or_an_error() -> None:
    translator = translation("messages", {}).stream()
    ended = translator.feed(events_of([START, "data: [DONE]\n\n", START]))
    assert frames(ended)[-1] == {"type": "message_stop"}
    assert translator.feed(events_of([START])) == translator.finish() == b""
    named = translation("messages", {}).stream()
    raw = encoded([START]) + b'event: error\ndata: {"message":"m"}\n\n' + encoded([START])
    assert frames(named.feed(events_of([raw.decode()])))[-1]["error"]["message"] == "m"
    assert named.finish() == b""


class TooDeep:
    """Stands for a step that meets the interpreter's bound; its place differs between Pythons."""

    def __call__(self, *_: Any) -> Any:
        raise RecursionError

    feed = finish = __call__


def test_what_is_nested_too_deeply_to_be_written_is_named() -> None:
    def begin(request: Any) -> Translation:
        pair = Pair(MESSAGES, request, answer=TooDeep(), steps=lambda _, __: TooDeep())
        return Translation(pair, Dialect.OPENAI, b"{}", Destination(ProviderType.OPENAI, "m"), created_s=1)

    with pytest.raises(TranslationError, match="deeply"):
        begin(TooDeep())
    begun = begin(Draft)
    with pytest.raises(TranslationError, match="deeply"):
        begun.answer(b"{}")
    with pytest.raises(TranslationError, match="deeply"):
        begun.stream().feed(events_of([{}]))


def test_no_choice_forbids_parallel_calls_as_well() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    request = {"tools": tools, "tool_choice": "none", "parallel_tool_calls": False}
    assert request_outcome("chat", request)["body"]["tool_choice"] == {"type": "none"}


def test_what_is_asked_for_at_the_provider() -> None:
    assert translation("chat", {}).upstream is MESSAGES
