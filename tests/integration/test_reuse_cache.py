"""Kept answers over real HTTP: given again whole, never a bad one, and said to be so."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import msgspec
import openai
import pytest

from cliproxy_api.reuse import Cache
from cliproxy_api.snapshot import Consumer, Pricing, Profile
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail, HalfStream, HugeBody, Normal, StreamError
from support import build
from support.consumers import priced
from support.sidecar import RunningSidecar, running_sidecar

CACHED = Profile(name="gold", cache=Cache())
MESSAGES: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def sidecar(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> AsyncIterator[RunningSidecar]:
    parts = (
        build.built(scripted_openai, models={"gpt-4o": "gpt-4o-mini", "embed": "text-embedding-3-small"}),
        build.built(scripted_anthropic, models={"claude": "claude-sonnet-4-5"}),
    )
    async with running_sidecar(build.push(*parts, profile=CACHED)) as running:
        yield running


async def test_the_same_question_is_asked_once(
    sidecar: RunningSidecar, scripted_openai: ScriptedProvider
) -> None:
    first = await sidecar.chat(temperature=1)
    again = await sidecar.chat(temperature=1.0, user="anna")
    other = await sidecar.chat(temperature=0.5)

    assert [answer.headers["x-cliproxy-cache"] for answer in (first, again, other)] == ["miss", "hit", "miss"]
    assert scripted_openai.recorder.total == 2
    assert again.content == first.content
    assert again.headers["x-cliproxy-provider"] == "gpt"
    assert again.headers["x-cliproxy-attempts"] == "0"
    assert int(again.headers["age"]) >= 0
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert not [name for name in again.headers if name.startswith("x-ratelimit")]
    assert [name for name in first.headers if name.startswith("x-ratelimit")]


async def test_a_hit_costs_nothing_and_the_log_and_the_figures_say_so(sidecar: RunningSidecar) -> None:
    await sidecar.chat()
    before = await sidecar.metrics()
    await sidecar.chat()
    after = await sidecar.metrics()

    lines = sidecar.log_lines("request_success")
    assert "cache" not in lines[0]
    assert (lines[1]["cache"], lines[1]["provider"]) == ("hit", "gpt")
    assert lines[1]["tokens"] == {"input": 0, "output": 0}
    assert lines[1]["attempts"] == 0
    tokens = 'cliproxy_tokens_total{model="gpt-4o",provider="gpt",type="output"}'
    assert before[tokens] == after[tokens] > 0
    assert after['cliproxy_cache_hits_total{level="local"}'] == 1
    assert after['cliproxy_cache_misses_total{level="local"}'] == 1
    assert after["cliproxy_cache_entries"] == 1
    assert after["cliproxy_cache_bytes"] > 0
    assert after['cliproxy_requests_total{model="gpt-4o",provider="cache",status="200"}'] == 1


async def test_what_a_hit_saved_is_what_the_answer_had_cost(scripted_openai: ScriptedProvider) -> None:
    part = priced(build.built(scripted_openai))
    async with running_sidecar(build.push(part, profile=CACHED)) as sidecar:
        await sidecar.chat()
        once = (await sidecar.get("/v0/operations/costs")).json()["today"]
        for _ in range(2):
            assert (await sidecar.chat()).headers["x-cliproxy-cache"] == "hit"
        thrice = (await sidecar.get("/v0/operations/costs")).json()["today"]

    assert once["cost_usd"] == thrice["cost_usd"] > 0
    assert (thrice["requests"], thrice["reused"]) == (1, 2)
    assert thrice["saved_usd"] == pytest.approx(2 * once["cost_usd"])


async def test_sdks_read_a_replayed_stream(
    sidecar: RunningSidecar, scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    async def ask_openai(client: openai.AsyncOpenAI) -> tuple[str, str]:
        raw = await client.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=MESSAGES, stream=True
        )
        text = [chunk.choices[0].delta.content or "" async for chunk in raw.parse() if chunk.choices]
        return "".join(text), raw.headers["x-cliproxy-cache"]

    async def ask_anthropic(client: anthropic.AsyncAnthropic) -> tuple[str, int, str]:
        async with client.messages.stream(model="claude", max_tokens=64, messages=MESSAGES) as stream:
            final = await stream.get_final_message()
            return (
                final.content[0].text,
                final.usage.output_tokens,
                stream.response.headers["x-cliproxy-cache"],
            )

    async with openai.AsyncOpenAI(base_url=f"{sidecar.proxy_url}/v1", api_key="x", max_retries=0) as client:
        (text, first), (replayed, second) = await ask_openai(client), await ask_openai(client)
    assert (first, second) == ("miss", "hit")
    assert text == replayed != ""
    async with anthropic.AsyncAnthropic(base_url=sidecar.proxy_url, api_key="x", max_retries=0) as client:
        *live, first = await ask_anthropic(client)
        *kept, second = await ask_anthropic(client)
    assert (first, second) == ("miss", "hit")
    assert live == kept
    assert scripted_openai.recorder.total == scripted_anthropic.recorder.total == 1


async def test_stream_and_whole_are_different_answers(sidecar: RunningSidecar) -> None:
    whole = await sidecar.chat()
    stream = await sidecar.chat(stream=True)
    assert stream.headers["x-cliproxy-cache"] == "miss"
    assert (await sidecar.chat()).content == whole.content
    assert (await sidecar.chat(stream=True)).content == stream.content


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "embed", "input": ["a", "b"]}),
        ("/v1/messages", {"model": "gpt-4o", "max_tokens": 20, "messages": MESSAGES}),
        ("/v1/chat/completions", {"model": "claude", "messages": MESSAGES, "stream": True}),
        ("/v1/responses", {"model": "claude", "input": "Hello", "store": False}),
    ],
)
async def test_other_operations_and_translated_answers_are_kept_as_well(
    path: str, body: Any, sidecar: RunningSidecar
) -> None:
    first = await sidecar.post(path, body)
    again = await sidecar.post(path, body)
    assert (first.status_code, first.headers["x-cliproxy-cache"]) == (200, "miss")
    assert (again.status_code, again.headers["x-cliproxy-cache"]) == (200, "hit")
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]


@pytest.mark.parametrize(
    ("stream", "bad"),
    [
        (False, Fail(status=400, body='{"error":{"message":"no","type":"invalid_request_error"}}')),
        (False, Fail(status=500, body="{}")),
        (False, Normal(finish_reason="content_filter")),
        (False, HugeBody(size_bytes=2 * 1024 * 1024)),
        (True, HalfStream(events=3, ending="close")),
        (True, HalfStream(events=3, ending="reset")),
        (True, StreamError(events=2, event='data: {"error":{"message":"late","type":"server_error"}}\n\n')),
    ],
    ids=lambda value: getattr(value, "__struct_config__", value) and str(value)[:24],
)
async def test_no_bad_cut_or_large_answer_is_kept(
    stream: bool,  # noqa: FBT001 -- a case
    bad: Any,
    sidecar: RunningSidecar,
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.script(bad)
    await sidecar.chat(stream=stream)
    sidecar.sidecar.machines.recover("team-a/gpt", "test")
    again = await sidecar.chat(stream=stream)
    assert (again.status_code, again.headers["x-cliproxy-cache"]) == (200, "miss")
    assert scripted_openai.recorder.total == 2


async def test_a_caller_may_insist_on_a_fresh_answer(
    sidecar: RunningSidecar, scripted_openai: ScriptedProvider
) -> None:
    scripted_openai.script(Normal(text="old"), Normal(text="secret"), Normal(text="new"))
    body = {"model": "gpt-4o", "messages": MESSAGES}

    async def said(control: str = "") -> tuple[str, str]:
        headers = {"cache-control": control} if control else {}
        answer = await sidecar.post("/v1/chat/completions", body, headers=headers)
        return answer.json()["choices"][0]["message"]["content"], answer.headers["x-cliproxy-cache"]

    assert await said() == ("old", "miss")
    assert await said("no-store") == ("secret", "bypass")
    assert await said() == ("old", "hit")
    assert await said("no-cache") == ("new", "bypass")
    assert await said("max-age=60") == ("new", "hit")


async def test_a_new_provider_of_the_model_is_asked_anew(
    sidecar: RunningSidecar, scripted_openai: ScriptedProvider
) -> None:
    await sidecar.chat()
    moved = build.built(scripted_openai, models={"gpt-4o": "gpt-4o-2024-11-20"})
    assert (await sidecar.push_next(build.push(moved, profile=CACHED))).status == 200
    assert (await sidecar.chat()).headers["x-cliproxy-cache"] == "miss"
    assert (await sidecar.chat()).headers["x-cliproxy-cache"] == "hit"


async def test_an_unrelated_change_keeps_what_is_kept_and_off_is_off(
    sidecar: RunningSidecar, scripted_openai: ScriptedProvider
) -> None:
    await sidecar.chat()
    same = build.built(scripted_openai, models={"gpt-4o": "gpt-4o-mini"}, weight=7)
    await sidecar.push_next(build.push(same, profile=CACHED))
    assert (await sidecar.chat()).headers["x-cliproxy-cache"] == "hit"
    await sidecar.push_next(build.push(same, profile=Profile(name="gold")))
    assert "x-cliproxy-cache" not in (await sidecar.chat()).headers
    await sidecar.push_next(build.push(same, profile=CACHED))
    assert (await sidecar.chat()).headers["x-cliproxy-cache"] == "miss"


async def test_a_refusal_of_ours_is_not_kept(sidecar: RunningSidecar) -> None:
    for _ in range(2):
        answer = await sidecar.chat(model="unknown")
        assert answer.status_code == 404
        assert answer.headers["x-cliproxy-cache"] == "miss"
    assert json.loads(answer.content)["error"]["code"] == "model_not_found"


async def test_consumers_share_nothing_and_pay_nothing_for_a_hit(scripted_openai: ScriptedProvider) -> None:
    consumers = tuple(Consumer(name=name, secret=f"team-a/callers/{name}") for name in ("web", "batch"))
    price = Pricing(input=2_000_000_000, output=8_000_000_000)
    part = build.built(scripted_openai)
    model = msgspec.structs.replace(part.provider.models[0], pricing=price)
    part = build.Built(msgspec.structs.replace(part.provider, models=(model,)), part.secrets)
    push = build.push(part, profile=Profile(name="gold", cache=Cache(), coalescing=True, consumers=consumers))
    secrets = {**push.secrets, **{each.secret: f"sk-{each.name}-0123456789abcdef" for each in consumers}}
    async with running_sidecar(msgspec.structs.replace(push, secrets=secrets)) as sidecar:

        async def word(name: str) -> str:
            headers = {"authorization": f"Bearer sk-{name}-0123456789abcdef"}
            body = {"model": "gpt-4o", "messages": MESSAGES}
            answer = await sidecar.post("/v1/chat/completions", body, headers=headers)
            assert answer.status_code == 200
            return answer.headers["x-cliproxy-cache"]

        words = [await word(name) for name in ("web", "batch", "web", "batch")]
        lines = sidecar.log_lines("request_success")
    assert words == ["miss", "miss", "hit", "hit"]
    assert [line["consumer"] for line in lines] == ["web", "batch", "web", "batch"]
    assert [bool(line.get("cost_usd")) for line in lines] == [True, True, False, False]


async def test_geminis_own_format_is_kept_per_model_and_by_way_of_streaming(
    scripted_openai: ScriptedProvider,
) -> None:
    part = build.built(scripted_openai, models={"one": "gpt-4o", "two": "gpt-4o"})
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    async with running_sidecar(build.push(part, profile=CACHED)) as sidecar:
        words = []
        for path in (
            "one:generateContent",
            "one:generateContent?key=any",
            "two:generateContent",
            "one:streamGenerateContent?alt=sse",
            "one:streamGenerateContent?alt=sse",
            "one:streamGenerateContent",
        ):
            answer = await sidecar.post(f"/v1beta/models/{path}", body)
            assert answer.status_code == 200
            words.append(answer.headers["x-cliproxy-cache"])
    assert words == ["miss", "hit", "miss", "miss", "hit", "miss"]
