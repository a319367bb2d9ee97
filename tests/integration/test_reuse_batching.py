"""Embedding requests joined: one upstream request, everybody's own answer, sums that are right."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from cliproxy_api.reuse import Batching, Cache
from cliproxy_api.snapshot import Profile
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail, Hang, Normal, Raw
from support import build
from support.sidecar import RunningSidecar, eventually, running_sidecar

LONG = Profile(name="gold", batching=Batching(max_inputs=4, timeout_s=30))
"""A batch goes only when it is full."""
SHORT = Profile(name="gold", batching=Batching(max_inputs=10, timeout_s=0.2))
BROKE = json.dumps(
    {"error": {"message": "no credit", "type": "insufficient_quota", "code": "insufficient_quota"}}
)
BAD = json.dumps({"error": {"message": "input 2 is bad", "type": "invalid_request_error", "param": "input"}})


def embed(sidecar: RunningSidecar, given: Any, **fields: Any) -> asyncio.Task[httpx.Response]:
    body = {"model": "embed", "input": given, "dimensions": 8, **fields}
    return asyncio.ensure_future(sidecar.post("/v1/embeddings", body))


def part(scripted: ScriptedProvider) -> build.Built:
    return build.built(scripted, models={"embed": "text-embedding-3-small"})


def asked(scripted: ScriptedProvider) -> list[Any]:
    return [json.loads(request.body)["input"] for request in scripted.requests]


async def alone(scripted: ScriptedProvider, given: Any) -> list[Any]:
    """Return the embeddings that the provider gives when it is asked for these only."""
    async with running_sidecar(build.push(part(scripted))) as sidecar:
        answer = (await embed(sidecar, given)).json()
    return [item["embedding"] for item in answer["data"]]


def joined(sidecar: RunningSidecar) -> int:
    """Return how many requests wait to be joined."""
    plan = sidecar.sidecar.proxy.plan
    assert plan is not None
    assert plan.reuse is not None
    assert plan.reuse._joiner is not None
    return sum(len(batch.members) for batch in plan.reuse._joiner._open.values())


async def test_requests_are_joined_and_each_gets_its_own(scripted_openai: ScriptedProvider) -> None:
    expected = [await alone(scripted_openai, given) for given in ("one", ["two", "three"], ["four"])]
    scripted_openai.reset()
    async with running_sidecar(build.push(part(scripted_openai), profile=LONG)) as sidecar:
        calls = []
        for number, given in enumerate(("one", ["two", "three"], ["four"])):
            calls.append(embed(sidecar, given))
            await eventually(lambda want=number + 1: joined(sidecar) == want or want == 3)
        answers = [await call for call in calls]
        lines = sidecar.log_lines("request_success")
        metrics = await sidecar.metrics()
        stats = (await sidecar.get("/v0/operations/cache/stats")).json()["batching"]
    bodies = [answer.json() for answer in answers]
    assert asked(scripted_openai) == [["one", "two", "three", "four"]]
    assert [[item["embedding"] for item in body["data"]] for body in bodies] == expected
    assert [[item["index"] for item in body["data"]] for body in bodies] == [[0], [0, 1], [0]]
    assert {answer.headers["x-cliproxy-joined"] for answer in answers} == {"3"}
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3
    assert {answer.headers["x-cliproxy-attempts"] for answer in answers} == {"1"}
    assert "x-cliproxy-cache" not in answers[0].headers
    used = metrics['cliproxy_tokens_total{model="embed",provider="gpt",type="input"}']
    assert sum(body["usage"]["prompt_tokens"] for body in bodies) == used > 0
    assert sum(line["tokens"]["input"] for line in lines) == used
    assert [line["provider"] for line in lines] == ["gpt"] * 3
    assert stats == {"enabled": True, "batches": 1, "requests": 3}
    assert metrics["cliproxy_batched_requests_total"] == 3


async def test_a_batch_goes_when_its_time_is_up_and_a_lone_request_is_itself(
    scripted_openai: ScriptedProvider,
) -> None:
    async with running_sidecar(build.push(part(scripted_openai), profile=SHORT)) as sidecar:
        answer = await embed(sidecar, "lone")
        assert answer.status_code == 200
        assert "x-cliproxy-joined" not in answer.headers
        answers = await asyncio.gather(embed(sidecar, "a"), embed(sidecar, "b"))
    assert [one.status_code for one in answers] == [200, 200]
    assert asked(scripted_openai)[0] == "lone"


@pytest.mark.parametrize(
    "other",
    [
        {"dimensions": 16},
        {"encoding_format": "base64"},
        {"user": "anna"},
        {"given": [1, 2, 3]},
        {"headers": {"openai-beta": "x"}},
    ],
)
async def test_requests_that_differ_in_more_than_inputs_are_not_joined(
    other: dict[str, Any], scripted_openai: ScriptedProvider
) -> None:
    headers = other.pop("headers", {})
    body = {"model": "embed", "input": other.pop("given", "b"), "dimensions": 8, **other}
    async with running_sidecar(build.push(part(scripted_openai), profile=SHORT)) as sidecar:
        second = asyncio.ensure_future(sidecar.post("/v1/embeddings", body, headers=headers))
        answers = await asyncio.gather(embed(sidecar, "a"), second)
    assert [one.status_code for one in answers] == [200, 200]
    assert len(scripted_openai.requests) == 2


async def test_full_and_large_requests_go_at_once(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(part(scripted_openai), profile=LONG)) as sidecar:
        assert (await embed(sidecar, ["a", "b", "c", "d", "e"])).status_code == 200
        waiting = embed(sidecar, ["f", "g"])
        await eventually(lambda: joined(sidecar) == 1)
        over = embed(sidecar, ["h", "i", "j"])  # does not fit: the waiting one goes
        assert (await waiting).status_code == 200
        assert (await embed(sidecar, "k")).status_code == 200
        assert (await over).status_code == 200
    assert asked(scripted_openai) == [["a", "b", "c", "d", "e"], ["f", "g"], ["h", "i", "j", "k"]]


async def test_one_bad_input_is_only_its_askers_trouble(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Fail(status=400, body=BAD, headers={"content-type": "application/json"}))
    async with running_sidecar(build.push(part(scripted_openai), profile=LONG)) as sidecar:
        first = embed(sidecar, ["a", "b"])
        await eventually(lambda: joined(sidecar) == 1)
        second = embed(sidecar, ["c", "d"])
        answers = [await first, await second]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(map(len, asked(scripted_openai))) == [2, 2, 4]


@pytest.mark.parametrize("answer", ['{"object":"list","data":[]}', '{"data":[{"index":0,"embedding":[1]}]}'])
async def test_an_answer_that_cannot_be_told_apart_makes_each_ask_alone(
    answer: str, scripted_openai: ScriptedProvider
) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
    scripted_openai.script(Raw(data=head + answer))
    async with running_sidecar(build.push(part(scripted_openai), profile=LONG)) as sidecar:
        first = embed(sidecar, ["a", "b"])
        await eventually(lambda: joined(sidecar) == 1)
        second = embed(sidecar, ["c", "d"])
        bodies = [(await first).json(), (await second).json()]
    assert [len(body["data"]) for body in bodies] == [2, 2]
    assert len(scripted_openai.requests) == 3


async def test_a_refusal_of_ours_is_everybodys(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.always(Fail(status=429, body=BROKE, headers={"content-type": "application/json"}))
    async with running_sidecar(build.push(part(scripted_openai), profile=LONG)) as sidecar:
        first = embed(sidecar, ["a", "b"])
        await eventually(lambda: joined(sidecar) == 1)
        second = embed(sidecar, ["c", "d"])
        answers = [await first, await second]
        lines = sidecar.log_lines("request_failed")
    assert len({answer.status_code for answer in answers}) == 1
    assert answers[0].status_code >= 429
    assert answers[0].json() == answers[1].json()
    assert len({answer.headers["x-request-id"] for answer in answers}) == 2
    assert len(scripted_openai.requests) == 1
    assert len({line["error_class"] for line in lines}) == 1


async def test_whoever_leaves_harms_nobody(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Hang())
    async with running_sidecar(build.push(part(scripted_openai), profile=LONG)) as sidecar:
        early = embed(sidecar, ["gone"])
        await eventually(lambda: joined(sidecar) == 1)
        early.cancel()
        await eventually(lambda: joined(sidecar) == 0)
        first = embed(sidecar, ["a", "b"])
        await eventually(lambda: joined(sidecar) == 1)
        second = embed(sidecar, ["c", "d"])
        await scripted_openai.wait_for_requests(1)
        assert asked(scripted_openai) == [["a", "b", "c", "d"]]
        first.cancel()
        second.cancel()
        await eventually(lambda: sidecar.sidecar.metrics.active == 0)
        assert len(sidecar.log_lines("request_failed")) == 3


async def test_the_first_may_leave_while_the_joined_request_is_under_way(
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.script(Normal(latency_s=0.5))
    async with running_sidecar(build.push(part(scripted_openai), profile=LONG)) as sidecar:
        first = embed(sidecar, ["a", "b"])
        await eventually(lambda: joined(sidecar) == 1)
        second = embed(sidecar, ["c", "d"])
        await scripted_openai.wait_for_requests(1)
        first.cancel()
        answer = await second
        await eventually(lambda: len(sidecar.log_lines("request_failed")) == 1)
        left = sidecar.log_lines("request_failed")[0]
        used = (await sidecar.metrics())['cliproxy_tokens_total{model="embed",provider="gpt",type="input"}']
    assert answer.status_code == 200
    assert len(scripted_openai.requests) == 1
    assert left["status"] == 499
    assert left["tokens"]["input"] + answer.json()["usage"]["prompt_tokens"] == used


async def test_joined_answers_are_kept_one_by_one(scripted_openai: ScriptedProvider) -> None:
    profile = Profile(name="gold", batching=LONG.batching, cache=Cache(), coalescing=True)
    async with running_sidecar(build.push(part(scripted_openai), profile=profile)) as sidecar:
        first = embed(sidecar, ["a", "b"])
        await eventually(lambda: joined(sidecar) == 1)
        second = embed(sidecar, ["c", "d"])
        live = [(await first).json(), (await second).json()]
        kept = await embed(sidecar, ["c", "d"])
    assert kept.headers["x-cliproxy-cache"] == "hit"
    assert kept.json() == live[1]
    assert len(scripted_openai.requests) == 1


async def test_the_sdk_reads_its_part(scripted_openai: ScriptedProvider) -> None:
    profile = Profile(name="gold", batching=Batching(max_inputs=2, timeout_s=30))
    async with (
        running_sidecar(build.push(part(scripted_openai), profile=profile)) as sidecar,
        openai.AsyncOpenAI(base_url=f"{sidecar.proxy_url}/v1", api_key="x", max_retries=0) as client,
    ):
        first, second = await asyncio.gather(
            *(client.embeddings.create(model="embed", input=given, dimensions=8) for given in ("a", "b"))
        )
    assert len(first.data[0].embedding) == len(second.data[0].embedding) == 8
    assert first.data[0].embedding != second.data[0].embedding
    assert len(scripted_openai.requests) == 1
