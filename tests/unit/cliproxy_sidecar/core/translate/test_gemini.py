"""Single fields of Gemini's form, and what has no equal; whole requests and answers are golden cases."""

import json
from typing import Any

import pytest

from cliproxy_sidecar.core.dialect import GENERATE_LIST, Form
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.pairs import pair_for
from support.translating import events_of, frames, request_outcome, translation


def contents(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"contents": [{"role": role, "parts": list(parts)}]}


def config(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": fields}


def chat(**message: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hi"}, message]}


CALL = {"functionCall": {"name": "f", "args": {}}}
TOOL = {"functionDeclarations": [{"name": "f"}]}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("gemini", {"contents": []}, "contents"),
    ("gemini", {"contents": 3}, "contents"),
    ("gemini", contents({"text": "x"}, role="narrator"), "contents[0].role"),
    ("gemini", contents({"brandNew": 1}), "contents[0].parts[0].brandNew"),
    ("gemini", contents({"functionResponse": {"name": "f"}}), "contents[0].parts[0].functionResponse.id"),
    (
        "gemini",
        contents({"inlineData": {"mimeType": "video/mp4", "data": "eA=="}}),
        "contents[0].parts[0].inlineData.mimeType",
    ),
    ("gemini", contents({"fileData": {"fileUri": "gs://b/x"}}), "contents[0].parts[0].fileData.fileUri"),
    (
        "gemini",
        contents({"fileData": {"fileUri": "https://h/x.pdf", "mimeType": "application/pdf"}}),
        "contents[0].parts[0].fileData.mimeType",
    ),
    (
        "gemini",
        contents({"inlineData": {"mimeType": "image/png", "data": "eA=="}}, role="model"),
        "contents[0].parts[0]",
    ),
    ("gemini", config(temperature="hot"), "generationConfig.temperature"),
    ("gemini", config(responseMimeType="text/x.enum"), "generationConfig.responseMimeType"),
    ("gemini", config(responseModalities=["TEXT", "IMAGE"]), "generationConfig.responseModalities[1]"),
    ("gemini", config(speechConfig={"voice": 1}), "generationConfig.speechConfig"),
    (
        "gemini",
        {"tools": [TOOL], "toolConfig": {"functionCallingConfig": {"mode": "ODD"}}},
        "toolConfig.functionCallingConfig.mode",
    ),
    ("gemini-messages", config(responseLogprobs=True), "generationConfig.responseLogprobs"),
    ("gemini-messages", config(temperature=1.5), "generationConfig.temperature"),
    ("chat-gemini", {"messages": [{"role": "system", "content": "x"}]}, "messages"),
    ("chat-gemini", chat(role="narrator", content="x"), "messages[1].role"),
    ("chat-gemini", chat(role="assistant", audio={"id": "a"}), "messages[1].audio"),
    ("chat-gemini", chat(role="user", content=[{"type": "x"}]), "messages[1].content[0].type"),
    (
        "chat-gemini",
        chat(role="user", content=[{"type": "file", "file": {"file_id": "f"}}]),
        "messages[1].content[0].file.file_id",
    ),
    (
        "chat-gemini",
        chat(role="assistant", tool_calls=[{"id": "c", "type": "custom"}]),
        "messages[1].tool_calls[0].type",
    ),
    ("chat-gemini", {"response_format": {"type": "grammar"}}, "response_format.type"),
    ("chat-gemini", {"tool_choice": "sometimes", "tools": [{}]}, "tool_choice"),
    ("chat-gemini", {"tools": [{}]}, "tools[0].type"),
    ("responses-gemini", {"tools": 3}, "tools"),
    ("embeddings", {"encoding_format": "hex"}, "encoding_format"),
    ("embed", {"content": {"parts": [{"inlineData": {}}]}}, "content.parts[0].text"),
    ("batch-embed", {"requests": [{"outputDimensionality": "x"}]}, "requests[0].outputDimensionality"),
]


@pytest.mark.parametrize(("caller", "request_", "field"), REFUSED)
def test_what_has_no_equal_is_named(caller: str, request_: dict[str, Any], field: str) -> None:
    outcome = request_outcome(caller, request_)
    assert outcome.get("error", {}).get("field") == field, outcome


@pytest.mark.parametrize(
    ("caller", "request_", "type_", "left_out"),
    [
        ("gemini", config(topK=40), "openai", ["generationConfig.topK"]),
        ("gemini", config(topK=40), "openai_compatible", []),
        (
            "gemini",
            config(mediaResolution="LOW", candidateCount=1),
            "openai",
            ["generationConfig.mediaResolution"],
        ),
        ("gemini", {"toolConfig": {"retrievalConfig": {}}}, "openai", ["toolConfig.retrievalConfig"]),
        ("gemini", config(thinkingConfig={"thinkingBudget": -1}), "openai", []),
        (
            "gemini",
            config(thinkingConfig={"thinkingLevel": "HIGH"}),
            "azure_openai",
            ["generationConfig.thinkingConfig"],
        ),
        (
            "gemini",
            contents({"text": "x"}, {"executableCode": {"code": "1"}}),
            "openai",
            ["contents[].parts[].executableCode"],
        ),
        ("chat-gemini", {"tools": [], "tool_choice": "auto", "logprobs": False, "top_logprobs": 0}, "", []),
        ("chat-gemini", {"response_format": {"type": "text"}, "parallel_tool_calls": True}, "", []),
    ],
)
def test_what_says_how_to_serve_is_left_out(
    caller: str, request_: dict[str, Any], type_: str, left_out: list[str]
) -> None:
    outcome = request_outcome(caller, request_, type=type_, model="gpt-4o" if type_ else "")
    assert outcome.get("left_out") == left_out, outcome


def test_media_become_parts() -> None:
    given = [
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "SUQz"}},
        {"fileData": {"fileUri": "https://h/a.png", "mimeType": "image/png"}},
    ]
    (message,) = request_outcome("gemini", contents(*given))["body"]["messages"]
    assert [part["type"] for part in message["content"]] == ["file", "input_audio", "image_url"]


def test_a_results_media_follow_in_the_users_message() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "eA=="}}
    result = {"functionResponse": {"name": "f", "response": {"output": "see"}, "parts": [image]}}
    turns = [{"role": "model", "parts": [CALL]}, {"role": "user", "parts": [result]}]
    _, tool, user = request_outcome("gemini", {"contents": turns})["body"]["messages"]
    assert (tool["role"], tool["content"]) == ("tool", "see")
    assert user["content"][0]["type"] == "image_url"


def test_only_allowed_functions_are_offered() -> None:
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}, {"name": "h"}]}]
    calling = {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}
    body = request_outcome("gemini", {"tools": tools, "toolConfig": {"functionCallingConfig": calling}})[
        "body"
    ]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f", "g"]
    assert body["tool_choice"] == "required"


def test_older_schemas_are_read() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"a": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER", "nullable": True}]}},
        "maxProperties": "3",
    }
    body = request_outcome("gemini", config(responseSchema=schema))["body"]
    assert body["response_format"]["json_schema"]["schema"] == {
        "type": "object",
        "properties": {"a": {"anyOf": [{"type": "string"}, {"type": ["number", "null"]}]}},
        "maxProperties": 3,
    }


def test_system_instructions_may_be_texts() -> None:
    for given in ("Be brief.", {"parts": {"text": "Be brief."}}):
        body = request_outcome("gemini", {"systemInstruction": given})["body"]
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_tokens_probabilities_come_along() -> None:
    top = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.0}]
    logprobs = {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": top}]}
    message = {"role": "assistant", "content": "A"}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": logprobs}
    answer = json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()
    (candidate,) = json.loads(translation("gemini", {}).answer(answer))["candidates"]
    found = candidate["logprobsResult"]
    assert found["chosenCandidates"] == [{"token": "A", "logProbability": -0.1}]
    assert [one["token"] for one in found["topCandidates"][0]["candidates"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("caller", "body"),
    [
        ("chat-gemini", {}),
        ("chat-gemini", {"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]}),
        ("gemini", {"id": "c", "model": "m", "choices": []}),
        ("embeddings", {"embeddings": [{"values": ["x"]}]}),
        ("embed", {"data": []}),
        ("batch-embed", {"data": [{"embedding": "?"}]}),
        ("count", {"totalTokens": "many"}),
    ],
)
def test_what_is_no_answer(caller: str, body: dict[str, Any]) -> None:
    with pytest.raises(TranslationError):
        translation(caller, {}).answer(json.dumps(body).encode())


def test_numbers_beyond_32_bits_cannot_be_packed() -> None:
    made = translation("embeddings", {"encoding_format": "base64"})
    with pytest.raises(TranslationError):
        made.answer(b'{"embeddings":[{"values":[1e300]}]}')


@pytest.mark.parametrize("caller", ["chat-gemini", "gemini"])
def test_a_stream_without_an_answer(caller: str) -> None:
    with pytest.raises(TranslationError):
        translation(caller, {}, stream=True).stream().finish()


def test_calls_without_an_index_are_told_apart() -> None:
    first = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    second = {"id": "b", "function": {"name": "g", "arguments": '{"x":'}}
    more = {"function": {"arguments": "1}"}}
    chunks = [
        {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
        for call in (first, second, more)
    ]
    translator = translation("gemini", {}, stream=True).stream()
    (last,) = frames(translator.feed(events_of(chunks)) + translator.finish())
    calls = [part["functionCall"] for part in last["candidates"][0]["content"]["parts"]]
    assert [(call["name"], call["args"]) for call in calls] == [("f", {}), ("g", {"x": 1})]


def test_calls_with_the_same_index_and_other_ids_are_others() -> None:
    calls = [{"index": 0, "id": name, "function": {"name": name, "arguments": "{}"}} for name in ("f", "g")]
    chunk = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"tool_calls": calls}}]}
    translator = translation("gemini", {}, stream=True).stream()
    (last,) = frames(translator.feed(events_of([chunk])) + translator.finish())
    parts = last["candidates"][0]["content"]["parts"]
    assert [part["functionCall"]["name"] for part in parts] == ["f", "g"]


def test_a_stream_that_a_filter_withholds_says_so() -> None:
    chunk = {"candidates": [{"finishReason": "SAFETY", "index": 0}], "responseId": "r", "modelVersion": "g"}
    translator = translation("messages-gemini", {}, stream=True).stream()
    told = frames(translator.feed(events_of([chunk])) + translator.finish())
    assert "SAFETY" in json.dumps(told)
    assert told[-2]["delta"]["stop_reason"] == "refusal"


def test_a_list_of_chunks_holds_the_whole_answer() -> None:
    pair = pair_for(GENERATE_LIST, Form.CHAT, stream=False)
    assert pair is not None
    message = {"role": "assistant", "content": "Hi"}
    answer = {"id": "c", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    (only,) = pair.answer(answer, {}, 1)  # type: ignore[misc]
    assert only["candidates"][0]["content"]["parts"] == [{"text": "Hi"}]


def test_what_is_never_streamed_has_no_events() -> None:
    translator = translation("embeddings", {}).stream()
    assert translator.feed(events_of([{"x": 1}])) + translator.finish() == b"data: [DONE]\n\n"
