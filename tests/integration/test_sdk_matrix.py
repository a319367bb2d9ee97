"""What each official SDK can do at each type of provider: works, works as an estimate, or is refused by name.

One cell is one SDK's operation at one provider. `docs/formats.md` holds the same table for users; the last
test proves that they agree.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from cliproxy_api.snapshot import Azure
from cliproxy_api.vocabulary import ProviderType
from cliproxy_dev.providers.provider import Kind, ScriptedProvider
from cliproxy_dev.providers.script import Normal
from support import build
from support.sidecar import RunningSidecar, running_sidecar

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"
PROVIDERS: dict[str, tuple[Kind, ProviderType, str]] = {
    "openai": ("openai", ProviderType.OPENAI, "gpt-4o"),
    "azure_openai": ("azure", ProviderType.AZURE_OPENAI, "gpt-4o"),
    "openai_compatible": ("groq", ProviderType.OPENAI_COMPATIBLE, "llama-3.3-70b-versatile"),
    "gemini (compatible)": ("gemini", ProviderType.GEMINI, "gemini-2.5-flash"),
    "gemini": ("gemini_native", ProviderType.GEMINI, "gemini-3-flash"),
    "anthropic": ("anthropic", ProviderType.ANTHROPIC, "claude-sonnet-4-5"),
}
QUESTION = "What is the weather in Oslo?"
MESSAGES: Any = [{"role": "user", "content": QUESTION}]
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
RESPONSES_TOOL: Any = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}
ANTHROPIC_TOOL: Any = {"name": "get_weather", "input_schema": SCHEMA}
WORKS, ESTIMATE = "yes", "estimate"


class Clients:
    """The three SDKs, unchanged, at one sidecar."""

    def __init__(self, url: str) -> None:
        self.openai = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
        self.anthropic = anthropic.AsyncAnthropic(base_url=url, api_key="unused", max_retries=0)
        # Its other transport, aiohttp, is extended in a way that aiohttp warns of.
        self._http = httpx.AsyncClient(timeout=10, verify=False)  # noqa: S501 -- plain HTTP; loads no CAs
        options = genai_types.HttpOptions(base_url=url, httpx_async_client=self._http)
        self.genai = genai.Client(api_key="unused", http_options=options)

    async def aclose(self) -> None:
        await self.openai.close()
        await self.anthropic.close()
        self.genai.close()
        await self._http.aclose()


@pytest_asyncio.fixture
async def world() -> AsyncIterator[tuple[RunningSidecar, dict[str, ScriptedProvider], Clients]]:
    """One provider of each type, each serving the model of its own name."""
    async with AsyncExitStack() as stack:
        scripted: dict[str, ScriptedProvider] = {}
        parts = []
        for name, (kind, type_, upstream) in PROVIDERS.items():
            plain = re.sub(r"[^a-z]+", "-", name).strip("-")
            provider = ScriptedProvider(kind=kind, name=plain, keys={"main": "sk-test"})
            scripted[name] = await stack.enter_async_context(provider)
            more = {"azure": Azure(api_version="2024-10-21")} if kind == "azure" else {}
            parts.append(build.built(provider, type_=type_, models={plain: upstream}, **more))
        sidecar = await stack.enter_async_context(running_sidecar(build.push(*parts)))
        clients = Clients(sidecar.proxy_url)
        stack.push_async_callback(clients.aclose)
        yield sidecar, scripted, clients


Cell = Callable[[Clients, str], Awaitable[Any]]


# ------------------------------------------------------------------------- OpenAI
async def openai_chat(clients: Clients, model: str) -> None:
    answer = await clients.openai.chat.completions.create(model=model, messages=MESSAGES)
    assert QUESTION in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens < answer.usage.total_tokens


async def openai_chat_stream(clients: Clients, model: str) -> None:
    stream = await clients.openai.chat.completions.create(
        model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    said, usage, finish = "", None, None
    async for chunk in stream:
        said += "".join(choice.delta.content or "" for choice in chunk.choices)
        finish = next((choice.finish_reason for choice in chunk.choices if choice.finish_reason), finish)
        usage = chunk.usage or usage
    assert QUESTION in said
    assert finish == "stop"
    assert usage is not None
    assert usage.total_tokens > usage.completion_tokens > 0


async def openai_chat_tools(clients: Clients, model: str) -> None:
    asked = await clients.openai.chat.completions.create(
        model=model, messages=MESSAGES, tools=[CHAT_TOOL], tool_choice="required"
    )
    (call,) = asked.choices[0].message.tool_calls or []
    assert (call.function.name, asked.choices[0].finish_reason) == ("get_weather", "tool_calls")
    history = [
        *MESSAGES,
        asked.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "4 degrees, rain"},
    ]
    told = await clients.openai.chat.completions.create(model=model, messages=history, tools=[CHAT_TOOL])
    assert told.choices[0].message.content
    async with clients.openai.chat.completions.stream(
        model=model, messages=MESSAGES, tools=[CHAT_TOOL], tool_choice="required"
    ) as stream:
        final = await stream.get_final_completion()
    (again,) = final.choices[0].message.tool_calls or []
    assert again.function.name == "get_weather"


async def openai_responses(clients: Clients, model: str) -> None:
    answer = await clients.openai.responses.create(model=model, input=QUESTION, instructions="Be brief.")
    assert QUESTION in answer.output_text
    assert answer.status == "completed"
    async with clients.openai.responses.stream(model=model, input=QUESTION) as stream:
        final = await stream.get_final_response()
    assert QUESTION in final.output_text
    assert final.usage is not None
    assert final.usage.total_tokens > 0


async def openai_responses_tools(clients: Clients, model: str) -> None:
    asked = await clients.openai.responses.create(
        model=model, input=MESSAGES, tools=[RESPONSES_TOOL], tool_choice="required", store=False
    )
    (call,) = [item for item in asked.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "4 degrees, rain"}
    history = [*MESSAGES, *[item.model_dump(exclude_none=True) for item in asked.output], result]
    told = await clients.openai.responses.create(
        model=model, input=history, tools=[RESPONSES_TOOL], store=False
    )
    assert told.output_text


async def openai_completions(clients: Clients, model: str) -> None:
    answer = await clients.openai.completions.create(model=model, prompt="Once")
    assert answer.choices[0].text


async def openai_embeddings(clients: Clients, model: str) -> None:
    answer = await clients.openai.embeddings.create(model=model, input=["one", "two"], dimensions=8)
    assert [len(item.embedding) for item in answer.data] == [8, 8]
    assert answer.data[0].embedding != answer.data[1].embedding


# ---------------------------------------------------------------------- Anthropic
async def anthropic_messages(clients: Clients, model: str) -> None:
    answer = await clients.anthropic.messages.create(model=model, max_tokens=100, messages=MESSAGES)
    assert QUESTION in answer.content[0].text
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens > 0


async def anthropic_messages_stream(clients: Clients, model: str) -> None:
    async with clients.anthropic.messages.stream(model=model, max_tokens=100, messages=MESSAGES) as stream:
        said = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert QUESTION in said
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0


async def anthropic_tools(clients: Clients, model: str) -> None:
    common: Any = {"model": model, "max_tokens": 100, "tools": [ANTHROPIC_TOOL]}
    asked = await clients.anthropic.messages.create(messages=MESSAGES, tool_choice={"type": "any"}, **common)
    (use,) = [block for block in asked.content if block.type == "tool_use"]
    assert (use.name, asked.stop_reason) == ("get_weather", "tool_use")
    history = [
        *MESSAGES,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in asked.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "4 degrees"}]},
    ]
    told = await clients.anthropic.messages.create(messages=history, **common)
    assert told.stop_reason == "end_turn"
    async with clients.anthropic.messages.stream(
        messages=MESSAGES, tool_choice={"type": "any"}, **common
    ) as stream:
        final = await stream.get_final_message()
    assert final.content[-1].type == "tool_use"


async def anthropic_count_tokens(clients: Clients, model: str) -> str:
    raw = await clients.anthropic.messages.with_raw_response.count_tokens(
        model=model, messages=MESSAGES, tools=[ANTHROPIC_TOOL]
    )
    assert (await raw.parse()).input_tokens > 0
    return ESTIMATE if "x-cliproxy-estimated" in raw.headers else WORKS


# ------------------------------------------------------------------------- Google
def functions() -> genai_types.GenerateContentConfig:
    declared = genai_types.FunctionDeclaration(name="get_weather", parameters_json_schema=SCHEMA)
    calling = genai_types.FunctionCallingConfig(mode=genai_types.FunctionCallingConfigMode.ANY)
    return genai_types.GenerateContentConfig(
        tools=[genai_types.Tool(function_declarations=[declared])],
        tool_config=genai_types.ToolConfig(function_calling_config=calling),
        automatic_function_calling=genai_types.AutomaticFunctionCallingConfig(disable=True),
    )


async def genai_generate(clients: Clients, model: str) -> None:
    config = genai_types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=500)
    answer = await clients.genai.aio.models.generate_content(model=model, contents=QUESTION, config=config)
    assert QUESTION in (answer.text or "")
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == genai_types.FinishReason.STOP
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata.total_token_count or 0) > 0


async def genai_stream(clients: Clients, model: str) -> None:
    stream = await clients.genai.aio.models.generate_content_stream(model=model, contents=QUESTION)
    chunks = [chunk async for chunk in stream]
    assert QUESTION in "".join([chunk.text or "" for chunk in chunks])
    assert len(chunks) > 2
    assert chunks[-1].usage_metadata is not None
    assert (chunks[-1].usage_metadata.candidates_token_count or 0) > 0


async def genai_tools(clients: Clients, model: str) -> None:
    config = functions()
    asked = await clients.genai.aio.models.generate_content(model=model, contents=QUESTION, config=config)
    (call,) = asked.function_calls or []
    assert call.name == "get_weather"
    assert asked.candidates is not None
    assert asked.candidates[0].content is not None
    response = genai_types.FunctionResponse(id=call.id, name=call.name, response={"output": "4 degrees"})
    history = [
        genai_types.Content(role="user", parts=[genai_types.Part(text=QUESTION)]),
        asked.candidates[0].content,
        genai_types.Content(role="user", parts=[genai_types.Part(function_response=response)]),
    ]
    config.tool_config = None
    told = await clients.genai.aio.models.generate_content(model=model, contents=history, config=config)
    assert told.text
    stream = await clients.genai.aio.models.generate_content_stream(
        model=model, contents=QUESTION, config=functions()
    )
    calls = [call async for chunk in stream for call in chunk.function_calls or ()]
    assert [call.name for call in calls] == ["get_weather"]


async def genai_embed(clients: Clients, model: str) -> None:
    config = genai_types.EmbedContentConfig(output_dimensionality=8)
    answer = await clients.genai.aio.models.embed_content(model=model, contents=["one", "two"], config=config)
    assert [len(item.values or ()) for item in answer.embeddings or ()] == [8, 8]


async def genai_count_tokens(clients: Clients, model: str) -> str:
    answer = await clients.genai.aio.models.count_tokens(model=model, contents=QUESTION)
    assert (answer.total_tokens or 0) > 0
    headers = answer.sdk_http_response.headers if answer.sdk_http_response else {}
    return ESTIMATE if "x-cliproxy-estimated" in (headers or {}) else WORKS


ROWS: dict[str, Cell] = {
    "openai: chat": openai_chat,
    "openai: chat, streamed": openai_chat_stream,
    "openai: chat with tools": openai_chat_tools,
    "openai: responses": openai_responses,
    "openai: responses with tools": openai_responses_tools,
    "openai: completions": openai_completions,
    "openai: embeddings": openai_embeddings,
    "anthropic: messages": anthropic_messages,
    "anthropic: messages, streamed": anthropic_messages_stream,
    "anthropic: messages with tools": anthropic_tools,
    "anthropic: count_tokens": anthropic_count_tokens,
    "google-genai: generate_content": genai_generate,
    "google-genai: generate_content, streamed": genai_stream,
    "google-genai: generate_content with tools": genai_tools,
    "google-genai: embed_content": genai_embed,
    "google-genai: count_tokens": genai_count_tokens,
}
REFUSED = "`wrong_format`"
ANTHROPIC_REFUSES = {"openai: completions", "openai: embeddings", "google-genai: embed_content"}
COUNTS = {"anthropic: count_tokens", "google-genai: count_tokens"}


def expected(row: str, provider: str) -> str:
    """The table, as it is to be."""
    if provider == "anthropic" and row in ANTHROPIC_REFUSES:
        return REFUSED
    if provider == "gemini" and row == "openai: completions":
        return REFUSED
    return ESTIMATE if row in COUNTS and provider not in {"anthropic", "gemini"} else WORKS


async def outcome(cell: Cell, clients: Clients, model: str) -> str:
    """What a cell comes to: what it returns, or the name of its refusal."""
    try:
        return await cell(clients, model) or WORKS
    except openai.BadRequestError as error:
        return f"`{error.code}`"
    except genai_errors.ClientError as error:
        (info,) = [one for one in error.details["error"]["details"] if one["@type"].endswith("ErrorInfo")]
        return f"`{info['reason'].lower()}`"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_cells(
    provider: str, world: tuple[RunningSidecar, dict[str, ScriptedProvider], Clients]
) -> None:
    _, scripted, clients = world
    model = scripted[provider].name
    found = {row: await outcome(cell, clients, model) for row, cell in ROWS.items()}
    assert found == {row: expected(row, provider) for row in ROWS}


def test_the_documentation_shows_the_same_table() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("| SDK: operation"))
    head = [cell.strip().strip("`") for cell in lines[start].strip("|").split("|")]
    assert head[1:] == list(PROVIDERS)
    shown = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        shown[cells[0]] = cells[1:]
    assert shown == {row: [expected(row, provider) for provider in PROVIDERS] for row in ROWS}


# ------------------------------------------------------------------ errors, models
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_rate_limit_is_one_in_every_sdk(
    provider: str, world: tuple[RunningSidecar, dict[str, ScriptedProvider], Clients]
) -> None:
    _, scripted, clients = world
    upstream = scripted[provider]
    limits = {
        "openai": "openai.rate_limit",
        "azure": "azure.rate_limit",
        "groq": "groq.rate_limit",
        "gemini": "gemini.per_minute",
        "gemini_native": "gemini.per_minute_native",
        "anthropic": "anthropic.rate_limit",
    }
    upstream.always(upstream.preset(limits[upstream.kind], retry_after_s=30))
    with pytest.raises(openai.RateLimitError) as by_openai:
        await clients.openai.chat.completions.create(model=upstream.name, messages=MESSAGES)
    assert by_openai.value.code == "rate_limit_exceeded"
    with pytest.raises(anthropic.RateLimitError) as by_anthropic:
        await clients.anthropic.messages.create(model=upstream.name, max_tokens=9, messages=MESSAGES)
    assert by_anthropic.value.body["error"]["type"] == "rate_limit_error"
    with pytest.raises(genai_errors.ClientError) as by_google:
        await clients.genai.aio.models.generate_content(model=upstream.name, contents=QUESTION)
    assert (by_google.value.code, by_google.value.status) == (429, "RESOURCE_EXHAUSTED")
    waits = [one for one in by_google.value.details["error"]["details"] if "retryDelay" in one]
    assert 0 < int(waits[0]["retryDelay"].removesuffix("s")) <= 31
    assert len(upstream.requests) == 1  # The others were told by the sidecar.


BAD = {
    "openai": "openai.bad_request",
    "azure": "azure.bad_request",
    "groq": "openai.bad_request",
    "gemini": "gemini.invalid_argument",
    "gemini_native": "gemini.invalid_argument",
    "anthropic": "anthropic.invalid_request",
}


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_caller_fault_comes_in_the_callers_shape(
    provider: str, world: tuple[RunningSidecar, dict[str, ScriptedProvider], Clients]
) -> None:
    _, scripted, clients = world
    upstream = scripted[provider]
    upstream.always(upstream.preset(BAD[upstream.kind]))
    with pytest.raises(openai.BadRequestError) as by_openai:
        await clients.openai.chat.completions.create(model=upstream.name, messages=MESSAGES)
    with pytest.raises(anthropic.BadRequestError) as by_anthropic:
        await clients.anthropic.messages.create(model=upstream.name, max_tokens=9, messages=MESSAGES)
    with pytest.raises(genai_errors.ClientError) as by_google:
        await clients.genai.aio.models.generate_content(model=upstream.name, contents=QUESTION)
    assert by_anthropic.value.body["type"] == "error"
    assert by_google.value.status == "INVALID_ARGUMENT"
    said = {by_anthropic.value.body["error"]["message"], by_google.value.message}
    assert len(said) == 1
    if provider != "gemini (compatible)":  # Its own errors are wrapped in a list, and pass as they are.
        assert by_openai.value.body["message"] in said


async def test_models_in_every_sdk(
    world: tuple[RunningSidecar, dict[str, ScriptedProvider], Clients],
) -> None:
    _, scripted, clients = world
    names = sorted(provider.name for provider in scripted.values())
    assert [model.id async for model in clients.openai.models.list()] == names
    assert [model.id async for model in clients.anthropic.models.list()] == names
    listed = [model.name async for model in await clients.genai.aio.models.list(config={"query_base": True})]
    assert listed == [f"models/{name}" for name in names]
    assert (await clients.genai.aio.models.get(model="openai")).display_name == "openai"
    with pytest.raises(genai_errors.ClientError) as unknown:
        await clients.genai.aio.models.get(model="nobody")
    assert unknown.value.code == 404
    with pytest.raises(genai_errors.ClientError) as unserved:
        await clients.genai.aio.models.generate_content(model="nobody", contents=QUESTION)
    assert (unserved.value.code, unserved.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_usage_is_counted_alike(
    provider: str, world: tuple[RunningSidecar, dict[str, ScriptedProvider], Clients]
) -> None:
    sidecar, scripted, clients = world
    upstream = scripted[provider]
    upstream.always(Normal(cached_tokens=4, reasoning_tokens=7))
    await genai_generate(clients, upstream.name)
    await openai_chat_stream(clients, upstream.name)
    metrics = await sidecar.metrics()
    tokens = {
        kind: sum(
            value
            for name, value in metrics.items()
            if name.startswith("cliproxy_tokens_total{") and f'"{kind}"' in name
        )
        for kind in ("input", "cached_input", "output", "reasoning")
    }
    assert tokens["cached_input"] == 2 * 4
    assert min(tokens["input"], tokens["output"]) > 0
    # Anthropic does not tell thoughts apart from the rest.
    assert tokens["reasoning"] == (0 if upstream.kind == "anthropic" else 2 * 7)
