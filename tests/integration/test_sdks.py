"""The OpenAI and Anthropic SDKs, unchanged, pointed at a sidecar: everything they do must just work."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Limits, Profile
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail, HalfStream
from support import build
from support.sidecar import RunningSidecar, running_sidecar

MESSAGES: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
OPENAI_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ANTHROPIC_TOOL: Any = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
async def sidecar(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> AsyncIterator[RunningSidecar]:
    parts = (
        build.built(scripted_openai, models={"fast": "gpt-4o-mini", "embed": "text-embedding-3-small"}),
        build.built(scripted_anthropic, models={"smart": "claude-sonnet-4-5"}),
    )
    profile = Profile(limits=Limits(max_body_bytes=200_000))
    async with running_sidecar(build.push(*parts, profile=profile)) as running:
        yield running


@pytest.fixture
async def openai_client(sidecar: RunningSidecar) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{sidecar.proxy_url}/v1", api_key="unused", max_retries=0
    ) as client:
        yield client


@pytest.fixture
async def anthropic_client(sidecar: RunningSidecar) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=sidecar.proxy_url, api_key="unused", max_retries=0
    ) as client:
        yield client


# ------------------------------------------------------------------------- OpenAI
async def test_openai_chat(openai_client: openai.AsyncOpenAI) -> None:
    raw = await openai_client.chat.completions.with_raw_response.create(model="fast", messages=MESSAGES)
    answer = raw.parse()
    assert "What is the weather in Oslo?" in answer.choices[0].message.content
    assert answer.usage.total_tokens > 0
    assert raw.headers["x-cliproxy-provider"] == "gpt"
    assert raw.headers["x-cliproxy-model"] == "gpt-4o-mini"
    assert answer._request_id == raw.headers["x-request-id"]


async def test_openai_streaming(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.chat.completions.create(
        model="fast", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    text, usage = "", None
    async for chunk in stream:
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    assert "What is the weather in Oslo?" in text
    assert usage.total_tokens > 0


async def test_openai_tools(openai_client: openai.AsyncOpenAI) -> None:
    asked = await openai_client.chat.completions.create(
        model="fast", messages=MESSAGES, tools=[OPENAI_TOOL], tool_choice="required"
    )
    (call,) = asked.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    history = [
        *MESSAGES,
        asked.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "4 degrees, rain"},
    ]
    told = await openai_client.chat.completions.create(model="fast", messages=history, tools=[OPENAI_TOOL])
    assert told.choices[0].finish_reason == "stop"
    async with openai_client.chat.completions.stream(
        model="fast", messages=MESSAGES, tools=[OPENAI_TOOL], tool_choice="required"
    ) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"


async def test_openai_embeddings_and_models(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.embeddings.create(model="embed", input=["one", "two"])
    assert len(answer.data) == 2
    assert len(answer.data[0].embedding) > 0
    listed = [model.id async for model in openai_client.models.list()]
    assert listed == ["embed", "fast", "smart"]
    assert (await openai_client.models.retrieve("fast")).owned_by == "gpt"


async def test_openai_completions(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.completions.create(model="fast", prompt="Once")
    assert answer.choices[0].text


OPENAI_REFUSALS = {
    "openai.bad_request": openai.BadRequestError,
    "openai.context_length": openai.BadRequestError,
    "openai.unprocessable": openai.UnprocessableEntityError,
    "openai.rate_limit": openai.RateLimitError,
    "openai.server_error": openai.InternalServerError,
    "openai.overloaded": openai.InternalServerError,
    "openai.invalid_api_key": openai.InternalServerError,
    "openai.insufficient_quota": openai.InternalServerError,
}


@pytest.mark.parametrize("name", OPENAI_REFUSALS)
async def test_openai_errors_of_the_provider(
    name: str, openai_client: openai.AsyncOpenAI, scripted_openai: ScriptedProvider
) -> None:
    scripted_openai.script(scripted_openai.preset(name))
    with pytest.raises(OPENAI_REFUSALS[name]) as caught:
        await openai_client.chat.completions.create(model="fast", messages=MESSAGES)
    assert caught.value.message
    assert caught.value.body["message"]
    assert caught.value.request_id


async def test_openai_errors_of_the_sidecar(openai_client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await openai_client.chat.completions.create(model="nobody", messages=MESSAGES)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as unserved:
        await openai_client.embeddings.create(model="smart", input="one")
    assert unserved.value.code == "wrong_format"
    with pytest.raises(openai.NotFoundError):
        await openai_client.models.retrieve("nobody")
    big = [{"role": "user", "content": "x" * 500_000}]
    with pytest.raises(openai.APIStatusError) as refused:
        await openai_client.chat.completions.create(model="fast", messages=big)
    assert refused.value.status_code == 413


async def test_openai_a_cut_stream_raises(
    openai_client: openai.AsyncOpenAI, scripted_openai: ScriptedProvider
) -> None:
    scripted_openai.script(HalfStream(events=3, ending="reset"))
    stream = await openai_client.chat.completions.create(model="fast", messages=MESSAGES, stream=True)
    seen = []
    with pytest.raises(openai.APIError) as caught:
        seen.extend([chunk async for chunk in stream])
    assert "broke off" in caught.value.message


async def test_openai_waits_as_long_as_it_is_told(
    sidecar: RunningSidecar, scripted_openai: ScriptedProvider
) -> None:
    """The SDK's own retries: it honours our Retry-After and succeeds once the provider is back."""
    scope = Scope(provider="team-a/gpt")
    await sidecar.push_next(build.state_push(build.cooling(scope, lasts_s=0.6)))
    async with openai.AsyncOpenAI(
        base_url=f"{sidecar.proxy_url}/v1", api_key="unused", max_retries=4
    ) as client:
        answer = await client.chat.completions.create(model="fast", messages=MESSAGES)
    assert answer.choices[0].message.content


# ---------------------------------------------------------------------- Anthropic
async def test_anthropic_messages(anthropic_client: anthropic.AsyncAnthropic) -> None:
    raw = await anthropic_client.messages.with_raw_response.create(
        model="smart", max_tokens=100, messages=MESSAGES
    )
    answer = await raw.parse()
    assert "What is the weather in Oslo?" in answer.content[0].text
    assert answer.usage.output_tokens > 0
    assert raw.headers["x-cliproxy-provider"] == "claude"
    assert raw.headers["request-id"]


async def test_anthropic_streaming(anthropic_client: anthropic.AsyncAnthropic) -> None:
    async with anthropic_client.messages.stream(model="smart", max_tokens=100, messages=MESSAGES) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert "What is the weather in Oslo?" in text
    assert final.usage.output_tokens > 0
    assert final.stop_reason == "end_turn"


async def test_anthropic_tools(anthropic_client: anthropic.AsyncAnthropic) -> None:
    common: Any = {"model": "smart", "max_tokens": 100, "tools": [ANTHROPIC_TOOL]}
    asked = await anthropic_client.messages.create(messages=MESSAGES, tool_choice={"type": "any"}, **common)
    (use,) = [block for block in asked.content if block.type == "tool_use"]
    assert (use.name, asked.stop_reason) == ("get_weather", "tool_use")
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "4 degrees, rain"}
    history = [
        *MESSAGES,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in asked.content]},
        {"role": "user", "content": [result]},
    ]
    told = await anthropic_client.messages.create(messages=history, **common)
    assert told.stop_reason == "end_turn"
    async with anthropic_client.messages.stream(
        messages=MESSAGES, tool_choice={"type": "any"}, **common
    ) as stream:
        final = await stream.get_final_message()
    assert [block.type for block in final.content][-1] == "tool_use"


async def test_anthropic_counts_tokens_and_lists_models(anthropic_client: anthropic.AsyncAnthropic) -> None:
    counted = await anthropic_client.messages.count_tokens(model="smart", messages=MESSAGES)
    assert counted.input_tokens > 0
    listed = [model.id async for model in anthropic_client.models.list()]
    assert listed == ["embed", "fast", "smart"]
    assert (await anthropic_client.models.retrieve("smart")).display_name == "smart"


ANTHROPIC_REFUSALS = {
    "anthropic.invalid_request": anthropic.BadRequestError,
    "anthropic.prompt_too_long": anthropic.BadRequestError,
    "anthropic.request_too_large": anthropic.RequestTooLargeError,
    "anthropic.rate_limit": anthropic.RateLimitError,
    "anthropic.overloaded": anthropic.InternalServerError,
    "anthropic.api_error": anthropic.InternalServerError,
    "anthropic.authentication": anthropic.InternalServerError,
    "anthropic.credit_balance": anthropic.InternalServerError,
}


@pytest.mark.parametrize("name", ANTHROPIC_REFUSALS)
async def test_anthropic_errors_of_the_provider(
    name: str, anthropic_client: anthropic.AsyncAnthropic, scripted_anthropic: ScriptedProvider
) -> None:
    scripted_anthropic.script(scripted_anthropic.preset(name))
    with pytest.raises(ANTHROPIC_REFUSALS[name]) as caught:
        await anthropic_client.messages.create(model="smart", max_tokens=10, messages=MESSAGES)
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["message"]


async def test_anthropic_errors_of_the_sidecar(anthropic_client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        await anthropic_client.messages.create(model="nobody", max_tokens=10, messages=MESSAGES)
    big = [{"role": "user", "content": "x" * 500_000}]
    with pytest.raises(anthropic.RequestTooLargeError):
        await anthropic_client.messages.create(model="smart", max_tokens=10, messages=big)


async def test_anthropic_errors_inside_a_stream(
    anthropic_client: anthropic.AsyncAnthropic, scripted_anthropic: ScriptedProvider
) -> None:
    scripted_anthropic.script(scripted_anthropic.preset("anthropic.stream_overloaded"), HalfStream(events=4))
    for _ in range(2):
        with pytest.raises(anthropic.APIStatusError):
            async with anthropic_client.messages.stream(
                model="smart", max_tokens=10, messages=MESSAGES
            ) as stream:
                await stream.get_final_message()


async def test_unknown_fields_pass(
    openai_client: openai.AsyncOpenAI, scripted_openai: ScriptedProvider
) -> None:
    body = '{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[],"brand_new":{"a":1}}'
    scripted_openai.script(Fail(status=200, body=body, headers={"content-type": "application/json"}))
    answer = await openai_client.chat.completions.create(
        model="fast", messages=MESSAGES, extra_body={"brand_new": [1]}
    )
    assert answer.model_extra == {"brand_new": {"a": 1}}
    assert json.loads(scripted_openai.requests[0].body)["brand_new"] == [1]
