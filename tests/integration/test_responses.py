"""OpenAI's Responses API through the sidecar: as it is at OpenAI, translated at all others.

The shape of Codex's requests is a golden case of the translation; here its way through the whole is tried.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from cliproxy_api.vocabulary import ProviderType
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail, HalfStream, Normal
from support import build
from support.sidecar import RunningSidecar, eventually, running_sidecar

CODEX = Path(__file__).parents[1] / "translate_golden" / "responses_request" / "codex" / "in.json"
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
QUESTION = "What is the weather in Oslo?"
MODELS = ("local", "smart")
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5.5",
    "status": "completed",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 29,
    },
}


@pytest.fixture
async def sidecar(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> AsyncIterator[RunningSidecar]:
    """A chat server without the Responses API, an Anthropic, and an OpenAI (the same scripted one)."""
    parts = (
        build.built(scripted_openai, name="local", type_=ProviderType.OPENAI_COMPATIBLE, models=("local",)),
        build.built(scripted_openai, name="gpt", models=("gpt-5.5",)),
        build.built(scripted_anthropic, models={"smart": "claude-sonnet-4-5"}),
    )
    async with running_sidecar(build.push(*parts)) as running:
        yield running


@pytest.fixture
async def client(sidecar: RunningSidecar) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{sidecar.proxy_url}/v1", api_key="unused", max_retries=0
    ) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
async def test_a_response(model: str, client: openai.AsyncOpenAI, sidecar: RunningSidecar) -> None:
    raw = await client.responses.with_raw_response.create(
        model=model, input=QUESTION, instructions="Be brief.", store=False
    )
    answer = raw.parse()
    assert QUESTION in answer.output_text
    assert (answer.status, answer.instructions, answer.error) == ("completed", "Be brief.", None)
    assert "x-cliproxy-left-out" not in raw.headers
    (line,) = sidecar.log_lines("request_success")
    assert line["tokens"] == {"input": answer.usage.input_tokens, "output": answer.usage.output_tokens}


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream(model: str, client: openai.AsyncOpenAI, sidecar: RunningSidecar) -> None:
    async with client.responses.stream(model=model, input=QUESTION) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert QUESTION in text
    assert final.output_text == text
    assert final.usage.output_tokens > 0
    await eventually(lambda: sidecar.log_lines("request_success"))
    (line,) = sidecar.log_lines("request_success")
    assert line["tokens"] == {"input": final.usage.input_tokens, "output": final.usage.output_tokens}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
async def test_tools(model: str, streaming: bool, client: openai.AsyncOpenAI) -> None:  # noqa: FBT001 -- a case
    common: Any = {"model": model, "tools": [TOOL], "store": False}
    if streaming:
        async with client.responses.stream(input=QUESTION, **common) as stream:
            asked: Any = await stream.get_final_response()
    else:
        asked = await client.responses.create(input=QUESTION, **common)
    call = asked.output[-1]
    assert (call.type, call.name, "city" in json.loads(call.arguments)) == (
        "function_call",
        "get_weather",
        True,
    )
    history: Any = [
        {"role": "user", "content": QUESTION},
        *(item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in asked.output),
        {"type": "function_call_output", "call_id": call.call_id, "output": "4 degrees"},
    ]
    told = await client.responses.create(input=history, **common)
    assert told.output_text


async def test_anthropics_thoughts_come_back_with_their_signature(
    client: openai.AsyncOpenAI, scripted_anthropic: ScriptedProvider
) -> None:
    common: Any = {"model": "smart", "tools": [TOOL], "reasoning": {"effort": "low"}, "store": False}
    asked = await client.responses.create(input=QUESTION, **common)
    assert [item.type for item in asked.output] == ["reasoning", "function_call"]
    history: Any = [
        {"role": "user", "content": QUESTION},
        *(item.model_dump(exclude_none=True) for item in asked.output),
        {"type": "function_call_output", "call_id": asked.output[1].call_id, "output": "4 degrees"},
    ]
    await client.responses.create(input=history, **common)
    turn = json.loads(scripted_anthropic.requests[-1].body)["messages"][1]["content"]
    assert [block["type"] for block in turn] == ["thinking", "tool_use"]
    assert turn[0]["signature"]


@pytest.mark.parametrize("model", MODELS)
async def test_codex(model: str, sidecar: RunningSidecar) -> None:
    request = {**json.loads(CODEX.read_text())["body"], "model": model}
    async with sidecar.client.stream("POST", f"{sidecar.proxy_url}/v1/responses", json=request) as response:
        assert response.status_code == 200
        told = (await response.aread()).decode()
    kinds = [line.removeprefix("event: ") for line in told.splitlines() if line.startswith("event: ")]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert "response.output_item.done" in kinds
    assert "web_search" in response.headers["x-cliproxy-left-out"]


async def test_errors(
    client: openai.AsyncOpenAI, scripted_anthropic: ScriptedProvider, scripted_openai: ScriptedProvider
) -> None:
    with pytest.raises(openai.BadRequestError) as stored:
        await client.responses.create(model="smart", input="x", previous_response_id="resp_0")
    assert (stored.value.param, stored.value.code) == ("previous_response_id", "unsupported_parameter")
    scripted_anthropic.script(scripted_anthropic.preset("anthropic.prompt_too_long"))
    with pytest.raises(openai.BadRequestError) as long:
        await client.responses.create(model="smart", input="x")
    assert long.value.code == "context_length_exceeded"
    scripted_openai.script(HalfStream(events=3, ending="reset"))
    with pytest.raises(openai.APIError, match="broke off"):
        async for _ in await client.responses.create(model="local", input="x", stream=True):
            pass


async def test_an_answer_at_its_limit_is_incomplete(
    client: openai.AsyncOpenAI, scripted_anthropic: ScriptedProvider
) -> None:
    scripted_anthropic.script(Normal(finish_reason="max_tokens"))
    answer = await client.responses.create(model="smart", input="x", max_output_tokens=16)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


# ------------------------------------------------------------------------- at OpenAI
async def test_openai_gets_the_callers_bytes(
    sidecar: RunningSidecar, scripted_openai: ScriptedProvider
) -> None:
    whole = json.dumps(RESPONSE)
    scripted_openai.script(Fail(status=200, body=whole, headers={"content-type": "application/json"}))
    sent = b'{ "model": "gpt-5.5", "input": "Hi", "previous_response_id": "resp_0", "brand_new": 1 }'
    response = await sidecar.post("/v1/responses", sent)
    assert response.text == whole
    (request,) = scripted_openai.requests
    assert (request.path, request.body) == ("/v1/responses", sent)
    (line,) = sidecar.log_lines("request_success")
    assert line["tokens"] == {"input": 20, "output": 9}


def native_stream(*events: dict[str, Any]) -> Fail:
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return Fail(status=200, body=body, headers={"content-type": "text/event-stream"})


CREATED = {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "usage": None}}
DELTA = {"type": "response.output_text.delta", "delta": "Hi"}


async def test_openais_stream_passes_and_is_counted(
    sidecar: RunningSidecar, scripted_openai: ScriptedProvider
) -> None:
    stream = native_stream(CREATED, DELTA, {"type": "response.completed", "response": RESPONSE})
    scripted_openai.script(stream)
    response = await sidecar.post("/v1/responses", {"model": "gpt-5.5", "input": "Hi", "stream": True})
    assert response.text == stream.body
    await eventually(lambda: sidecar.log_lines("request_success"))
    (line,) = sidecar.log_lines("request_success")
    assert line["tokens"] == {"input": 20, "output": 9}


async def test_a_failure_before_the_first_content_is_no_stream(
    sidecar: RunningSidecar, scripted_openai: ScriptedProvider
) -> None:
    error = {"code": "server_error", "message": "The server had an error"}
    failed = {"type": "response.failed", "response": {**RESPONSE, "status": "failed", "error": error}}
    scripted_openai.script(native_stream(CREATED, failed))
    response = await sidecar.post("/v1/responses", {"model": "gpt-5.5", "input": "Hi", "stream": True})
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "upstream_failed"


async def test_a_cut_of_openais_stream_is_told_as_its_sdk_reads_it(
    client: openai.AsyncOpenAI, scripted_openai: ScriptedProvider
) -> None:
    scripted_openai.script(native_stream(CREATED, DELTA))
    with pytest.raises(openai.APIError, match="broke off"):
        async for _ in await client.responses.create(model="gpt-5.5", input="x", stream=True):
            pass


async def test_stored_responses_are_not_served(sidecar: RunningSidecar) -> None:
    response: httpx.Response = await sidecar.get("/v1/responses/resp_1")
    assert response.status_code == 404
