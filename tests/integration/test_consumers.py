"""Callers with names, through the real sidecar: keys, rates, budgets, what it cost, in both formats."""

import json
from typing import Any

import httpx
import pytest

from cliproxy_api.report import Used
from cliproxy_api.snapshot import Budget, Pricing, RateLimit
from cliproxy_api.vocabulary import OnExceeded
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Normal
from support import build
from support.consumers import BATCH, PRICE, WEB, consumer, priced, push_with
from support.sidecar import RunningSidecar, eventually, running_sidecar


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def chat(sidecar: RunningSidecar, key: str | None = WEB, **fields: Any) -> Any:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], **fields}
    return await sidecar.post("/v1/chat/completions", body, headers=bearer(key) if key else {})


async def message(sidecar: RunningSidecar, key: str | None = WEB, **fields: Any) -> Any:
    body = {"model": "claude", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}], **fields}
    headers = {"anthropic-version": "2023-06-01", **({"x-api-key": key} if key else {})}
    return await sidecar.post("/v1/messages", body, headers=headers)


async def test_only_known_keys_pass_and_none_goes_upstream_or_into_the_log(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    push = push_with(
        (consumer(),),
        build.built(scripted_openai),
        build.built(scripted_anthropic, models=("claude",)),
    )
    async with running_sidecar(push) as sidecar:
        missing, wrong = await chat(sidecar, None), await chat(sidecar, "sk-wrong-key-of-somebody")
        assert (missing.status_code, wrong.status_code) == (401, 401)
        assert missing.json()["error"]["code"] == "invalid_api_key"
        stranger = await message(sidecar, None)
        assert stranger.status_code == 401
        assert stranger.json()["error"]["type"] == "authentication_error"
        assert (await sidecar.get("/v1/models")).status_code == 401
        assert (await sidecar.get("/v1/models", headers=bearer(WEB))).status_code == 200
        assert (await chat(sidecar)).status_code == 200
        assert (await message(sidecar)).status_code == 200
        assert (await chat(sidecar, BATCH)).status_code == 401  # a key of the push that is nobody's
        samples = await sidecar.metrics()
        text = sidecar.log_text()
        lines = sidecar.log_lines("request_success")
    name = "cliproxy_authentication_failures_total"
    assert samples[f'{name}{{port="proxy",reason="missing_key"}}'] == 3
    assert samples[f'{name}{{port="proxy",reason="wrong_key"}}'] == 2
    assert WEB not in text
    assert "sk-wrong" not in text
    assert {(line["consumer"], line["tier"]) for line in lines if line["provider"]} == {("web", "gold")}
    for provider in (scripted_openai, scripted_anthropic):
        (call,) = provider.requests
        assert WEB not in json.dumps([dict(call.headers), call.body], default=repr)


async def test_a_consumer_whose_secret_is_missing_lets_nobody_in(scripted_openai: ScriptedProvider) -> None:
    push = push_with((consumer(secret="", secret_digest=""),), build.built(scripted_openai))
    async with running_sidecar(push) as sidecar:
        assert (await chat(sidecar, "")).status_code == 401
        assert (await chat(sidecar)).status_code == 401
    assert scripted_openai.requests == []


async def test_without_consumers_any_key_passes(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        assert (await chat(sidecar, "whatever")).status_code == 200
        assert (await chat(sidecar, None)).status_code == 200


async def test_a_consumer_above_its_rate_gets_429_and_others_go_on(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    limited = consumer(rate_limit=RateLimit(requests_per_minute=1))
    push = push_with(
        (limited, consumer("batch")),
        build.built(scripted_openai),
        build.built(scripted_anthropic, models=("claude",)),
    )
    async with running_sidecar(push) as sidecar:
        assert (await chat(sidecar)).status_code == 200
        refused, other = await chat(sidecar), await message(sidecar)
        assert (await chat(sidecar, BATCH)).status_code == 200
        samples = await sidecar.metrics()
    assert (refused.status_code, other.status_code) == (429, 429)
    assert "'web' is at its limit of 1 requests per minute" in refused.json()["error"]["message"]
    assert 55 <= int(refused.headers["retry-after"]) <= 61
    assert other.json()["error"]["type"] == "rate_limit_error"
    label = '{consumer="web",limit="requests per minute"}'
    assert samples[f"cliproxy_consumer_refusals_total{label}"] == 2


async def test_what_answers_cost_is_counted_logged_and_reported(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    push = push_with(
        (consumer(),),
        priced(build.built(scripted_openai)),
        priced(build.built(scripted_anthropic, models=("claude",))),
    )
    async with running_sidecar(push) as sidecar, sidecar.reports() as reports:
        plain = (await chat(sidecar)).json()["usage"]
        streamed = await chat(sidecar, stream=True, stream_options={"include_usage": True})
        assert streamed.status_code == 200
        assert (await message(sidecar, stream=True)).status_code == 200
        await eventually(lambda: len(sidecar.log_lines("request_success")) == 3)
        lines = sidecar.log_lines("request_success")
        samples = await sidecar.metrics()

        def told() -> dict[str, Any]:
            entries = [entry for used in reports.of(Used) for entry in used.entries]
            return {entry.provider: entry for entry in entries}

        await eventually(lambda: told().get("team-a/gpt") is not None and told()["team-a/gpt"].requests == 2)
        await eventually(lambda: "team-a/claude" in told())
        entry = told()["team-a/gpt"]
    expected = (plain["prompt_tokens"] * 2000 + plain["completion_tokens"] * 8000) * 1e-9
    assert lines[0]["cost_usd"] == pytest.approx(expected)
    assert all(line["cost_usd"] > 0 for line in lines)
    assert all("cost_estimated" not in line for line in lines)
    total = samples['cliproxy_cost_usd_total{consumer="web",model="gpt-4o",provider="gpt"}']
    assert total == pytest.approx(lines[0]["cost_usd"] + lines[1]["cost_usd"])
    assert (entry.consumer, entry.model) == ("web", "gpt-4o")
    assert entry.nano_usd == pytest.approx(total * 1e9)
    assert entry.estimated_nano_usd == 0


async def test_a_caller_that_leaves_is_charged_by_estimate(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Normal(chunks=50, chunk_delay_s=0.05), Normal(latency_s=30.0))
    push = push_with((consumer(),), priced(build.built(scripted_openai)))
    async with running_sidecar(push) as sidecar:
        body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
        url = f"{sidecar.proxy_url}/v1/chat/completions"
        async with sidecar.client.stream("POST", url, json=body, headers=bearer(WEB)) as response:
            async for _ in response.aiter_bytes():
                break
        await eventually(lambda: len(sidecar.log_lines("request_failed")) == 1)
        with pytest.raises(httpx.TimeoutException):
            await sidecar.client.post(url, json={**body, "stream": False}, headers=bearer(WEB), timeout=0.3)
        await eventually(lambda: len(sidecar.log_lines("request_failed")) == 2)
        lines = sidecar.log_lines("request_failed")
    assert [line["status"] for line in lines] == [499, 499]
    assert all(line["cost_estimated"] is True and line["cost_usd"] > 0 for line in lines)


async def test_over_a_blocking_budget_the_caller_is_told_when_it_begins_anew(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    budget = Budget(monthly=1, on_exceeded=OnExceeded.BLOCK)
    push = push_with(
        (consumer(budget=budget), consumer("batch")),
        priced(build.built(scripted_openai)),
        build.built(scripted_anthropic, models=("claude",)),
    )
    async with running_sidecar(push) as sidecar:
        assert (await chat(sidecar)).status_code == 200
        refused, other = await chat(sidecar), await message(sidecar)
        assert (await chat(sidecar, BATCH)).status_code == 200
        samples = await sidecar.metrics()
    assert (refused.status_code, other.status_code) == (402, 402)
    error = refused.json()["error"]
    assert error["code"] == "budget_exceeded"
    assert "monthly budget of 0.000000001 USD" in error["message"]
    assert "-01T00:00:00Z" in error["message"]
    assert other.json()["error"]["type"] == "billing_error"
    assert refused.headers["x-cliproxy-budget"].startswith(
        "monthly budget of 0.000000001 USD exceeded; resets"
    )
    label = '{action="Block",consumer="web",period="monthly"}'
    assert samples[f"cliproxy_over_budget_requests_total{label}"] == 2


async def test_over_a_warning_budget_the_answer_says_so(scripted_openai: ScriptedProvider) -> None:
    push = push_with((consumer(budget=Budget(daily=1)),), priced(build.built(scripted_openai)))
    async with running_sidecar(push) as sidecar:
        first, second = await chat(sidecar), await chat(sidecar)
        lines = sidecar.log_lines("request_success")
    assert "x-cliproxy-budget" not in first.headers
    assert second.status_code == 200
    assert second.headers["x-cliproxy-budget"].startswith("daily budget")
    assert "over_budget" not in lines[0]
    assert lines[1]["over_budget"] == "daily: Warn"


async def test_over_a_downgrading_budget_the_cheapest_model_answers(
    scripted_openai: ScriptedProvider,
) -> None:
    budget = Budget(daily=1, on_exceeded=OnExceeded.DOWNGRADE)
    part = build.built(scripted_openai, models={"gpt-4o": "gpt-4o", "mini": "gpt-4o-mini"})
    push = push_with((consumer(budget=budget),), priced(part, PRICE, Pricing(input=1000, output=1000)))
    async with running_sidecar(push) as sidecar:
        await chat(sidecar)
        answer = await chat(sidecar)
        streamed = await chat(sidecar, stream=True)
    assert answer.status_code == streamed.status_code == 200
    assert answer.headers["x-cliproxy-model"] == "gpt-4o-mini"
    assert answer.headers["x-cliproxy-downgraded-from"] == "gpt-4o"
    assert [json.loads(call.body)["model"] for call in scripted_openai.requests] == [
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4o-mini",
    ]


@pytest.mark.parametrize(
    ("key", "status"), [(WEB, 403), (BATCH, 200), ("sk-wrong-key-of-somebody", 403), (None, 403)]
)
async def test_from_elsewhere_only_an_admin_reaches_the_operations(
    scripted_openai: ScriptedProvider, key: str | None, status: int
) -> None:
    push = push_with((consumer(), consumer("batch", admin=True)), build.built(scripted_openai))
    async with running_sidecar(push) as sidecar:
        door = sidecar.sidecar.operations
        transport = httpx.ASGITransport(door, client=("192.0.2.7", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            headers = {} if key is None else bearer(key)
            answer = await client.get("/v0/operations/costs", headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("peer", "own", "key", "status"),
    [
        ("127.0.0.6", "192.0.2.80", None, 403),  # as a mesh's proxy in the pod hands callers on
        ("127.0.0.1", "192.0.2.80", None, 403),
        ("127.0.0.6", "192.0.2.80", BATCH, 200),
        ("127.0.0.1", "127.0.0.1", None, 200),
    ],
)
async def test_who_comes_from_loopback_to_the_pods_address_comes_from_elsewhere(
    scripted_openai: ScriptedProvider, peer: str, own: str, key: str | None, status: int
) -> None:
    push = push_with((consumer(), consumer("batch", admin=True)), build.built(scripted_openai))
    async with running_sidecar(push) as sidecar:
        transport = httpx.ASGITransport(sidecar.sidecar.operations, client=(peer, 4711))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{own}:8317") as client:
            headers = {} if key is None else bearer(key)
            answer = await client.get("/v0/operations/costs", headers=headers)
    assert answer.status_code == status


async def test_callers_of_geminis_format_are_known_and_refused_in_it(
    scripted_openai: ScriptedProvider,
) -> None:
    budget = Budget(daily=1, on_exceeded=OnExceeded.BLOCK)
    push = push_with((consumer(budget=budget),), priced(build.built(scripted_openai)))
    path = "/v1beta/models/gpt-4o:generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    async with running_sidecar(push) as sidecar:
        stranger = await sidecar.post(path, body)
        by_header = await sidecar.post(path, body, headers={"x-goog-api-key": WEB})
        by_query = await sidecar.post(f"{path}?key={WEB}", body)
        text = sidecar.log_text()
    assert stranger.status_code == 401
    assert stranger.json()["error"]["status"] == "UNAUTHENTICATED"
    assert by_header.status_code == 200
    assert by_query.status_code == 402
    assert "daily budget" in by_query.json()["error"]["message"]
    assert WEB not in text
    (call,) = scripted_openai.requests
    assert WEB not in json.dumps([dict(call.headers), call.query])
