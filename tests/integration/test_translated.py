"""The official SDKs, unchanged, against providers of the other format: what works natively must work here.

`test_sdks` is the same for providers of the SDK's own format.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest

from cliproxy_api.scope import Scope
from cliproxy_api.vocabulary import ProviderType
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail, HalfStream, Normal
from support import build
from support.sidecar import RunningSidecar, eventually, running_sidecar

MESSAGES: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OPENAI_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
ANTHROPIC_TOOL: Any = {"name": "get_weather", "input_schema": SCHEMA}
JSON = {"content-type": "application/json"}


@pytest.fixture
async def sidecar(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> AsyncIterator[RunningSidecar]:
    """Two models, each served by one provider; "both" is Claude's first and OpenAI's if that fails."""
    parts = (
        build.built(scripted_openai, models={"fast": "gpt-4o-mini", "both": "gpt-4o"}, priority=2),
        build.built(
            scripted_anthropic, models={"smart": "claude-sonnet-4-5", "both": "claude-sonnet-4-5"}, priority=1
        ),
    )
    async with running_sidecar(build.push(*parts)) as running:
        yield running


@pytest.fixture
async def chatting(sidecar: RunningSidecar) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{sidecar.proxy_url}/v1", api_key="unused", max_retries=0
    ) as client:
        yield client


@pytest.fixture
async def messaging(sidecar: RunningSidecar) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=sidecar.proxy_url, api_key="unused", max_retries=0
    ) as client:
        yield client


# --------------------------------------------------------- OpenAI's SDK at Anthropic
async def test_chat_at_anthropic(
    chatting: openai.AsyncOpenAI, scripted_anthropic: ScriptedProvider, sidecar: RunningSidecar
) -> None:
    scripted_anthropic.script(Normal(cached_tokens=4))
    raw = await chatting.chat.completions.with_raw_response.create(
        model="smart", messages=[{"role": "system", "content": "Be brief."}, *MESSAGES], user="u-1", seed=1
    )
    answer = raw.parse()
    assert "What is the weather in Oslo?" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert raw.headers["x-cliproxy-provider"] == "claude"
    assert raw.headers["x-cliproxy-model"] == "claude-sonnet-4-5"
    assert raw.headers["x-cliproxy-left-out"] == "seed"
    assert raw.headers["content-type"].startswith("application/json")
    (sent,) = scripted_anthropic.requests
    body = json.loads(sent.body)
    assert sent.path == "/v1/messages"
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert (body["model"], body["metadata"]) == ("claude-sonnet-4-5", {"user_id": "u-1"})
    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    (line,) = sidecar.log_lines("request_success")
    assert line["tokens"] == {"input": answer.usage.prompt_tokens, "output": answer.usage.completion_tokens}


async def test_chat_streams_from_anthropic(chatting: openai.AsyncOpenAI, sidecar: RunningSidecar) -> None:
    stream = await chatting.chat.completions.create(
        model="smart", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "What is the weather in Oslo?" in text
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == [
        "stop"
    ]
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    await eventually(lambda: sidecar.log_lines("request_success"))
    (line,) = sidecar.log_lines("request_success")
    assert line["tokens"]["output"] == chunks[-1].usage.completion_tokens


async def test_chat_tools_at_anthropic(
    chatting: openai.AsyncOpenAI, scripted_anthropic: ScriptedProvider
) -> None:
    common: Any = {"model": "smart", "tools": [OPENAI_TOOL], "extra_body": {"thinking": {"type": "adaptive"}}}
    asked = await chatting.chat.completions.create(messages=MESSAGES, **common)
    message = asked.choices[0].message
    (call,) = message.tool_calls
    assert asked.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, "city" in json.loads(call.function.arguments)) == ("get_weather", True)
    result = {"role": "tool", "tool_call_id": call.id, "content": "4 degrees"}
    history = [*MESSAGES, message.model_dump(exclude_none=True), result]
    told = await chatting.chat.completions.create(messages=history, **common)
    assert told.choices[0].finish_reason == "stop"
    turn = json.loads(scripted_anthropic.requests[-1].body)["messages"][1]["content"]
    assert [block["type"] for block in turn] == ["thinking", "tool_use"]
    assert turn[0]["signature"]
    async with chatting.chat.completions.stream(messages=MESSAGES, **common) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"
    assert final.choices[0].message.model_extra["thinking_blocks"][0]["signature"] == turn[0]["signature"]


AT_ANTHROPIC = {
    "anthropic.invalid_request": (openai.BadRequestError, None),
    "anthropic.prompt_too_long": (openai.BadRequestError, "context_length_exceeded"),
    "anthropic.rate_limit": (openai.RateLimitError, "rate_limit_exceeded"),
    "anthropic.overloaded": (openai.InternalServerError, None),
    "anthropic.authentication": (openai.InternalServerError, None),
}


@pytest.mark.parametrize("name", AT_ANTHROPIC)
async def test_errors_of_anthropic_reach_openais_sdk(
    name: str, chatting: openai.AsyncOpenAI, scripted_anthropic: ScriptedProvider
) -> None:
    expected, code = AT_ANTHROPIC[name]
    for stream in (False, True):
        scripted_anthropic.script(scripted_anthropic.preset(name))
        with pytest.raises(expected) as caught:
            await chatting.chat.completions.create(model="smart", messages=MESSAGES, stream=stream)
        assert caught.value.body["message"]
        assert code is None or caught.value.code == code


async def test_errors_inside_anthropics_stream(
    chatting: openai.AsyncOpenAI, scripted_anthropic: ScriptedProvider
) -> None:
    for fault in (
        scripted_anthropic.preset("anthropic.stream_overloaded"),
        HalfStream(events=5, ending="reset"),
    ):
        scripted_anthropic.script(fault)
        with pytest.raises(openai.APIError):
            async for _ in await chatting.chat.completions.create(
                model="smart", messages=MESSAGES, stream=True
            ):
                pass


# --------------------------------------------------------- Anthropic's SDK at OpenAI
async def test_messages_at_openai(
    messaging: anthropic.AsyncAnthropic, scripted_openai: ScriptedProvider, sidecar: RunningSidecar
) -> None:
    scripted_openai.script(Normal(cached_tokens=4, reasoning_tokens=3))
    raw = await messaging.messages.with_raw_response.create(
        model="fast", max_tokens=100, messages=MESSAGES, system="Be brief.", metadata={"user_id": "u-1"}
    )
    answer = await raw.parse()
    assert "What is the weather in Oslo?" in answer.content[0].text
    assert answer.stop_reason == "end_turn"
    assert answer.usage.cache_read_input_tokens == 4
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    (sent,) = scripted_openai.requests
    body = json.loads(sent.body)
    assert sent.path == "/v1/chat/completions"
    assert not [name for name in sent.headers if name.startswith("anthropic-")]
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["model"], body["user"], body["max_completion_tokens"]) == ("gpt-4o-mini", "u-1", 100)
    (line,) = sidecar.log_lines("request_success")
    assert line["tokens"]["input"] == answer.usage.input_tokens + 4


async def test_messages_stream_from_openai(
    messaging: anthropic.AsyncAnthropic, sidecar: RunningSidecar
) -> None:
    async with messaging.messages.stream(model="fast", max_tokens=100, messages=MESSAGES) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert "What is the weather in Oslo?" in text
    assert (final.stop_reason, final.content[0].text) == ("end_turn", text)
    assert final.usage.output_tokens > 0
    assert final.usage.input_tokens > 0
    await eventually(lambda: sidecar.log_lines("request_success"))
    (line,) = sidecar.log_lines("request_success")
    assert line["tokens"] == {"input": final.usage.input_tokens, "output": final.usage.output_tokens}


async def test_messages_tools_at_openai(messaging: anthropic.AsyncAnthropic) -> None:
    common: Any = {"model": "fast", "max_tokens": 100, "tools": [ANTHROPIC_TOOL]}
    asked = await messaging.messages.create(messages=MESSAGES, tool_choice={"type": "any"}, **common)
    (use,) = [block for block in asked.content if block.type == "tool_use"]
    assert (use.name, asked.stop_reason, "city" in use.input) == ("get_weather", "tool_use", True)
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "4 degrees"}
    history = [
        *MESSAGES,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in asked.content]},
        {"role": "user", "content": [result]},
    ]
    told = await messaging.messages.create(messages=history, **common)
    assert told.stop_reason == "end_turn"
    async with messaging.messages.stream(messages=MESSAGES, tool_choice={"type": "any"}, **common) as stream:
        final = await stream.get_final_message()
    assert (final.stop_reason, final.content[-1].input) == ("tool_use", use.input)


async def test_tokens_are_counted_roughly_for_models_of_openai(
    messaging: anthropic.AsyncAnthropic, scripted_openai: ScriptedProvider
) -> None:
    raw = await messaging.messages.with_raw_response.count_tokens(model="fast", messages=MESSAGES)
    assert (await raw.parse()).input_tokens > 5
    assert raw.headers["x-cliproxy-estimated"] == "input_tokens"
    assert scripted_openai.requests == []
    exact = await messaging.messages.with_raw_response.count_tokens(model="both", messages=MESSAGES)
    assert "x-cliproxy-estimated" not in exact.headers
    with pytest.raises(anthropic.BadRequestError):
        await messaging.messages.count_tokens(model="fast", messages="nothing")  # type: ignore[arg-type]


AT_OPENAI = {
    "openai.bad_request": anthropic.BadRequestError,
    "openai.context_length": anthropic.BadRequestError,
    "openai.rate_limit": anthropic.RateLimitError,
    "openai.server_error": anthropic.InternalServerError,
    "openai.invalid_api_key": anthropic.InternalServerError,
}


@pytest.mark.parametrize("name", AT_OPENAI)
async def test_errors_of_openai_reach_anthropics_sdk(
    name: str, messaging: anthropic.AsyncAnthropic, scripted_openai: ScriptedProvider
) -> None:
    scripted_openai.script(scripted_openai.preset(name), scripted_openai.preset(name))
    with pytest.raises(AT_OPENAI[name]) as caught:
        await messaging.messages.create(model="fast", max_tokens=10, messages=MESSAGES)
    assert caught.value.body["type"] == "error"
    told = caught.value.body["error"]["message"]
    assert told.startswith("prompt is too long") == (name == "openai.context_length")


async def test_a_cut_stream_of_openai(
    messaging: anthropic.AsyncAnthropic, scripted_openai: ScriptedProvider
) -> None:
    scripted_openai.script(HalfStream(events=3, ending="reset"))
    with pytest.raises(anthropic.APIStatusError, match="broke off"):
        async with messaging.messages.stream(model="fast", max_tokens=10, messages=MESSAGES) as stream:
            await stream.get_final_message()


# ----------------------------------------------------------------- choosing, refusing
async def test_a_request_moves_on_to_a_provider_of_the_other_format(
    chatting: openai.AsyncOpenAI, scripted_anthropic: ScriptedProvider, scripted_openai: ScriptedProvider
) -> None:
    scripted_anthropic.script(scripted_anthropic.preset("anthropic.overloaded"))
    raw = await chatting.chat.completions.with_raw_response.create(model="both", messages=MESSAGES, seed=1)
    assert raw.parse().choices[0].message.content
    assert (raw.headers["x-cliproxy-provider"], raw.headers["x-cliproxy-attempts"]) == ("gpt", "2")
    assert "x-cliproxy-left-out" not in raw.headers
    assert json.loads(scripted_openai.requests[0].body)["seed"] == 1


async def test_what_has_no_equal_goes_to_who_understands_it(
    chatting: openai.AsyncOpenAI, scripted_anthropic: ScriptedProvider
) -> None:
    raw = await chatting.chat.completions.with_raw_response.create(model="both", messages=MESSAGES, n=2)
    assert len(raw.parse().choices) == 2
    assert (raw.headers["x-cliproxy-provider"], raw.headers["x-cliproxy-attempts"]) == ("gpt", "1")
    assert scripted_anthropic.requests == []


async def test_what_has_no_equal_anywhere_is_refused_by_name(
    chatting: openai.AsyncOpenAI, messaging: anthropic.AsyncAnthropic, sidecar: RunningSidecar
) -> None:
    with pytest.raises(openai.BadRequestError) as chat:
        await chatting.chat.completions.create(model="smart", messages=MESSAGES, n=2)
    assert (chat.value.param, chat.value.code) == ("n", "unsupported_parameter")
    assert "anthropic" in chat.value.body["message"]
    with pytest.raises(anthropic.BadRequestError, match=r"`top_k` cannot be translated .* openai"):
        await messaging.messages.create(
            model="fast", max_tokens=10, messages=MESSAGES, extra_body={"top_k": 3}
        )
    # Nothing was sent, so nothing is learned about a provider.
    assert (await chatting.chat.completions.create(model="smart", messages=MESSAGES)).choices
    lines = [line for line in sidecar.log_lines("request_failed") if line["error_class"] == "untranslatable"]
    assert [line["attempts"] for line in lines] == [0, 0]


async def test_what_cools_is_told_when_the_rest_has_no_equal(
    chatting: openai.AsyncOpenAI, sidecar: RunningSidecar
) -> None:
    await sidecar.push_next(build.state_push(build.cooling(Scope(provider="team-a/gpt"))))
    with pytest.raises(openai.RateLimitError):
        await chatting.chat.completions.create(model="both", messages=MESSAGES, n=2)


async def test_thoughts_of_another_provider_do_not_reach_anthropic(
    messaging: anthropic.AsyncAnthropic,
    scripted_openai: ScriptedProvider,
    scripted_anthropic: ScriptedProvider,
) -> None:
    message = {"role": "assistant", "content": "4.", "reasoning_content": "2 + 2"}
    body = {"id": "x", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    scripted_openai.script(Fail(status=200, body=json.dumps(body), headers=JSON))
    thought = await messaging.messages.create(model="fast", max_tokens=10, messages=MESSAGES)
    assert [block.type for block in thought.content] == ["thinking", "text"]
    said = {"role": "assistant", "content": [block.model_dump() for block in thought.content]}
    await messaging.messages.create(model="smart", max_tokens=10, messages=[*MESSAGES, said, *MESSAGES])
    sent = json.loads(scripted_anthropic.requests[0].body)["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["text"]


@pytest.mark.parametrize(
    "fault",
    [
        Fail(status=200, body='{"id":"x","choices":[]}', headers=JSON),
        Fail(status=200, body='{"id":"x"}', headers={**JSON, "content-encoding": "gzip"}),
        Fail(status=200, body='"' + "x" * 2_000_000 + '"', headers=JSON),
    ],
    ids=["no-choices", "compressed", "no-object"],
)
async def test_answers_that_make_no_sense_fail_over(
    fault: Fail, scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    scripted_openai.script(fault)
    parts = (
        build.built(scripted_openai, models=("m",), priority=1),
        build.built(scripted_anthropic, models=("m",), priority=2),
    )
    async with running_sidecar(build.push(*parts)) as sidecar:
        response = await sidecar.message("m")
    assert (response.status_code, response.headers["x-cliproxy-provider"]) == (200, "claude")
    assert len(scripted_openai.requests) == 1


async def test_large_answers_are_translated_whole(
    messaging: anthropic.AsyncAnthropic, scripted_openai: ScriptedProvider
) -> None:
    message = {"role": "assistant", "content": "x" * 3_000_000}
    body = {"id": "x", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    scripted_openai.script(Fail(status=200, body=json.dumps(body), headers=JSON))
    answer = await messaging.messages.create(model="fast", max_tokens=50, messages=MESSAGES)
    assert len(answer.content[0].text) == 3_000_000


async def test_a_stream_that_makes_no_sense_ends_with_an_error(
    messaging: anthropic.AsyncAnthropic, scripted_openai: ScriptedProvider
) -> None:
    body = 'data: {"id":"x","model":"m","choices":[{"delta":{"content":"Hi"}}]}\n\ndata: {"choices": 7}\n\n'
    huge = body.partition("\n\n")[0] + "\n\n: " + "x" * 9_000_000 + "\n\n"
    for said in (body, huge):
        scripted_openai.script(Fail(status=200, body=said, headers={"content-type": "text/event-stream"}))
        with pytest.raises(anthropic.APIStatusError, match="broke off"):
            async with messaging.messages.stream(model="fast", max_tokens=10, messages=MESSAGES) as stream:
                await stream.get_final_message()


async def test_other_types_are_spoken_to_as_they_understand(scripted_openai: ScriptedProvider) -> None:
    part = build.built(scripted_openai, type_=ProviderType.OPENAI_COMPATIBLE, models=("local",))
    async with running_sidecar(build.push(part)) as sidecar:
        response = await sidecar.message("local", top_k=5)
    assert response.status_code == 200
    body = json.loads(scripted_openai.requests[0].body)
    assert (body["max_tokens"], body["top_k"]) == (64, 5)
