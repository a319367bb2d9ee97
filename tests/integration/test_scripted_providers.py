"""The real SDKs against the scripted providers: they must read what a real provider would have sent."""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import anthropic
import openai
import pydantic
import pytest
import pytest_asyncio

from cliproxy_dev.providers.provider import Kind, ScriptedProvider
from cliproxy_dev.providers.script import Normal
from support.providers import KEY

Client: TypeAlias = Any
"""The SDKs' clients: their parameter types would want a cast around every plain dict."""
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest_asyncio.fixture
async def gpt(scripted_openai: ScriptedProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=scripted_openai.base_url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest_asyncio.fixture
async def claude(scripted_anthropic: ScriptedProvider) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=scripted_anthropic.base_url, api_key=KEY, max_retries=0
    ) as client:
        yield client


# --------------------------------------------------------------------------------- OpenAI
async def test_openai_chat(gpt: Client) -> None:
    first = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO)
    again = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO)
    other = await gpt.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Bye"}])
    assert first.choices[0].message.content == again.choices[0].message.content
    assert first.choices[0].message.content != other.choices[0].message.content
    assert first.id != again.id
    assert first.choices[0].finish_reason == "stop"
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens
    assert first.usage == again.usage


async def test_openai_stream_says_the_same_as_the_whole(gpt: Client) -> None:
    whole = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO)
    chunks = [
        chunk
        async for chunk in await gpt.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    ]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({c.id for c in chunks}) == 1
    assert len(chunks) > 5


async def test_openai_stream_without_usage_option_has_none(gpt: Client) -> None:
    stream = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    assert [chunk.usage async for chunk in stream if chunk.usage is not None] == []


async def test_openai_calls_a_tool_and_then_uses_its_result(gpt: Client) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    asked = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO, tools=tools)
    call = asked.choices[0].message.tool_calls[0]
    assert asked.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Hello"}')

    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    told = await gpt.chat.completions.create(
        model="gpt-4o", messages=[*HELLO, asked.choices[0].message.model_dump(), result], tools=tools
    )
    assert "sunny" in told.choices[0].message.content

    stream = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO, tools=tools, stream=True)
    deltas = [c.choices[0].delta.tool_calls[0] async for c in stream if c.choices[0].delta.tool_calls]
    assert deltas[0].function.name == "weather"
    assert "".join(d.function.arguments for d in deltas) == call.function.arguments


async def test_openai_several_choices_limits_and_knobs(
    gpt: Client, scripted_openai: ScriptedProvider
) -> None:
    many = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO, n=3)
    assert [choice.index for choice in many.choices] == [0, 1, 2]
    short = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=2)
    assert short.choices[0].finish_reason == "length"
    assert short.usage.completion_tokens == 2
    scripted_openai.script(
        Normal(text="Hi!", cached_tokens=3, reasoning_tokens=7, finish_reason="content_filter")
    )
    told = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert told.choices[0].message.content == "Hi!"
    assert told.choices[0].finish_reason == "content_filter"
    assert told.usage.prompt_tokens_details.cached_tokens == 3
    assert told.usage.completion_tokens_details.reasoning_tokens == 7


async def test_openai_structured_output(gpt: Client) -> None:
    class City(pydantic.BaseModel):
        name: str
        people: int
        tags: list[str]

    parsed = await gpt.chat.completions.parse(model="gpt-4o", messages=HELLO, response_format=City)
    assert parsed.choices[0].message.parsed == City(name="Hello", people=1, tags=["Hello"])


async def test_openai_embeddings_as_numbers_and_base64(gpt: Client) -> None:
    name = "text-embedding-3-small"
    numbers = await gpt.embeddings.create(model=name, input=["a", "b"], encoding_format="float")
    packed = await gpt.embeddings.create(model=name, input=["a", "b"])  # the SDK asks for base64 by itself
    assert len(numbers.data[0].embedding) == 1536
    assert numbers.data[0].embedding != numbers.data[1].embedding
    assert packed.data[1].embedding == pytest.approx(numbers.data[1].embedding, abs=1e-6)
    small = await gpt.embeddings.create(model=name, input="a", dimensions=8)
    assert len(small.data[0].embedding) == 8


async def test_openai_models_completions_responses(gpt: Client) -> None:
    assert "gpt-4o" in [model.id async for model in gpt.models.list()]
    assert (await gpt.models.retrieve("gpt-4o")).object == "model"
    legacy = await gpt.completions.create(model="gpt-3.5-turbo-instruct", prompt="Hello")
    assert "Hello" in legacy.choices[0].text
    stream = await gpt.completions.create(model="gpt-3.5-turbo-instruct", prompt="Hello", stream=True)
    assert "".join([c.choices[0].text async for c in stream]) == legacy.choices[0].text
    answer = await gpt.responses.create(model="gpt-4o", input="Hello")
    events = [event async for event in await gpt.responses.create(model="gpt-4o", input="Hello", stream=True)]
    assert "Hello" in answer.output_text
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == answer.output_text
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens == answer.usage.output_tokens


async def test_openai_headers_are_the_real_ones(gpt: Client) -> None:
    raw = await gpt.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-processing-ms"].isdigit()
    for bucket in ("requests", "tokens"):
        for part in ("limit", "remaining", "reset"):
            assert raw.headers[f"x-ratelimit-{part}-{bucket}"]


@pytest.mark.parametrize(
    ("preset", "error"),
    [
        ("openai.rate_limit", openai.RateLimitError),
        ("openai.insufficient_quota", openai.RateLimitError),
        ("openai.overloaded", openai.InternalServerError),
        ("openai.unsupported_region", openai.PermissionDeniedError),
        ("openai.model_not_found", openai.NotFoundError),
        ("openai.context_length", openai.BadRequestError),
        ("openai.conflict", openai.ConflictError),
        ("openai.unprocessable", openai.UnprocessableEntityError),
    ],
)
async def test_openai_errors(
    gpt: Client,
    scripted_openai: ScriptedProvider,
    preset: str,
    error: type[openai.APIStatusError],
) -> None:
    scripted_openai.script(scripted_openai.preset(preset))
    with pytest.raises(error):
        await gpt.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert (await gpt.chat.completions.create(model="gpt-4o", messages=HELLO)).choices  # once means once


async def test_openai_error_inside_a_stream(gpt: Client, scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(scripted_openai.preset("openai.stream_server_error"))
    stream = await gpt.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="server had an error"):
        [chunk async for chunk in stream]


async def test_openai_wrong_key_is_refused_and_uses_up_no_step(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(scripted_openai.preset("openai.rate_limit"))
    async with openai.AsyncOpenAI(
        base_url=scripted_openai.base_url, api_key="sk-wrong-1234567890", max_retries=0
    ) as wrong:
        with pytest.raises(openai.AuthenticationError, match=r"sk-wrong\*+7890") as refused:
            await wrong.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert refused.value.code == "invalid_api_key"
    assert len(scripted_openai.queue.pending) == 1
    assert scripted_openai.requests[0].credential == "unknown"


@pytest.mark.parametrize(
    ("kind", "model"), [("gemini", "gemini-2.5-flash"), ("groq", "llama-3.3-70b-versatile")]
)
async def test_compatible_flavours(kind: Kind, model: str) -> None:
    async with (
        ScriptedProvider(kind=kind, models=[model]) as provider,
        openai.AsyncOpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0) as client,
    ):
        answer: Any = await client.chat.completions.create(model=model, messages=HELLO)
        assert "Hello" in answer.choices[0].message.content
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="nonesuch", messages=HELLO)


async def test_azure_by_deployment() -> None:
    async with (
        ScriptedProvider(kind="azure", models=["my-gpt"]) as provider,
        openai.AsyncAzureOpenAI(
            azure_endpoint=provider.base_url, api_key=KEY, api_version="2024-10-21", max_retries=0
        ) as client,
    ):
        answer = await client.chat.completions.create(model="my-gpt", messages=HELLO)
        assert answer.model == "my-gpt"
        stream = await client.chat.completions.create(model="my-gpt", messages=HELLO, stream=True)
        chunks = [chunk async for chunk in stream]
        assert chunks[0].choices == []  # the content filter's verdict comes first, without a choice
        with pytest.raises(openai.NotFoundError) as missing:
            await client.chat.completions.create(model="other", messages=HELLO)
        assert missing.value.code == "DeploymentNotFound"
        assert provider.requests[0].model == "my-gpt"
        assert provider.requests[0].path == "/openai/deployments/my-gpt/chat/completions"


# ------------------------------------------------------------------------------ Anthropic
async def test_anthropic_message_and_stream_agree(claude: Client) -> None:
    whole = await claude.messages.create(
        model="claude-sonnet-5", max_tokens=99, messages=HELLO, system="Be kind"
    )
    async with claude.messages.stream(
        model="claude-sonnet-5", max_tokens=99, messages=HELLO, system="Be kind"
    ) as stream:
        kinds = [event.type async for event in stream]
        told = await stream.get_final_message()
    assert told.content[0].text == whole.content[0].text
    assert told.stop_reason == whole.stop_reason == "end_turn"
    assert told.usage.output_tokens == whole.usage.output_tokens
    assert told.usage.input_tokens == whole.usage.input_tokens
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    counted = await claude.messages.count_tokens(model="claude-sonnet-5", messages=HELLO, system="Be kind")
    assert counted.input_tokens == whole.usage.input_tokens


async def test_anthropic_tools_thinking_and_stop_reasons(
    claude: Client, scripted_anthropic: ScriptedProvider
) -> None:
    tools = [{"name": "weather", "input_schema": WEATHER}]
    common = {"model": "claude-sonnet-5", "max_tokens": 2048, "messages": HELLO}
    asked = await claude.messages.create(**common, tools=tools)
    assert asked.stop_reason == "tool_use"
    assert asked.content[0].input == {"city": "Hello"}
    async with claude.messages.stream(**common, tools=tools) as stream:
        assert (await stream.get_final_message()).content[0].input == {"city": "Hello"}
    result = {"type": "tool_result", "tool_use_id": asked.content[0].id, "content": "sunny"}
    turns = [*HELLO, {"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    told = await claude.messages.create(**common | {"messages": turns}, tools=tools)
    assert "sunny" in told.content[0].text

    async with claude.messages.stream(
        **common, thinking={"type": "enabled", "budget_tokens": 1024}
    ) as stream:
        thought = await stream.get_final_message()
    assert [block.type for block in thought.content] == ["thinking", "text"]
    assert thought.content[0].signature

    short = await claude.messages.create(**common | {"max_tokens": 2})
    assert short.stop_reason == "max_tokens"
    stopped = await claude.messages.create(**common, stop_sequences=["Hello"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "Hello")
    scripted_anthropic.script(Normal(cached_tokens=4))
    cached = await claude.messages.create(**common)
    assert cached.usage.cache_read_input_tokens == 4
    assert cached.usage.input_tokens + 4 == short.usage.input_tokens


async def test_anthropic_models_and_headers(claude: Client) -> None:
    assert "claude-sonnet-5" in [model.id async for model in claude.models.list()]
    raw = await claude.messages.with_raw_response.create(
        model="claude-sonnet-5", max_tokens=9, messages=HELLO
    )
    assert raw.headers["request-id"].startswith("req_011C")
    for bucket in ("requests", "tokens", "input-tokens", "output-tokens"):
        assert raw.headers[f"anthropic-ratelimit-{bucket}-reset"].endswith("Z")


@pytest.mark.parametrize(
    ("preset", "error"),
    [
        ("anthropic.rate_limit", anthropic.RateLimitError),
        ("anthropic.overloaded", anthropic.InternalServerError),
        ("anthropic.permission", anthropic.PermissionDeniedError),
        ("anthropic.not_found", anthropic.NotFoundError),
        ("anthropic.credit_balance", anthropic.BadRequestError),
        ("anthropic.request_too_large", anthropic.APIStatusError),
    ],
)
async def test_anthropic_errors(
    claude: Client,
    scripted_anthropic: ScriptedProvider,
    preset: str,
    error: type[anthropic.APIStatusError],
) -> None:
    scripted_anthropic.script(scripted_anthropic.preset(preset))
    with pytest.raises(error):
        await claude.messages.create(model="claude-sonnet-5", max_tokens=9, messages=HELLO)


async def test_anthropic_error_inside_a_stream(claude: Client, scripted_anthropic: ScriptedProvider) -> None:
    scripted_anthropic.script(scripted_anthropic.preset("anthropic.stream_overloaded"))
    stream = await claude.messages.create(model="claude-sonnet-5", max_tokens=9, messages=HELLO, stream=True)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        [event async for event in stream]


async def test_anthropic_faults_of_the_caller(claude: Client) -> None:
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: Field required"):
        await claude.post(
            "/v1/messages", cast_to=object, body={"model": "claude-sonnet-5", "messages": HELLO}
        )
    with pytest.raises(anthropic.NotFoundError):
        await claude.post("/v1/nonesuch", cast_to=object, body={})
    wrong = claude.with_options(api_key="nonesuch")
    with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
        await wrong.messages.create(model="claude-sonnet-5", max_tokens=9, messages=HELLO)
