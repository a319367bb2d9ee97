"""Our own limits of providers, through the real sidecar: failover, refusals, waiting, explain, costs."""

import msgspec

from cliproxy_api import codec
from cliproxy_api.report import Taken, Traffic
from cliproxy_api.snapshot import Position, Pricing, Profile, Quota, RateLimit
from cliproxy_api.state import Amount, FleetState, PartsPush, StatePush
from cliproxy_api.vocabulary import LastResort, QuotaReset, QuotaUnit
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Normal
from support import build
from support.sidecar import eventually, running_sidecar


async def test_a_limited_provider_is_no_candidate_and_explain_says_why(
    scripted_openai: ScriptedProvider,
) -> None:
    limited = build.built(scripted_openai, name="alpha", rate_limit=RateLimit(requests_per_minute=1))
    spare = build.built(scripted_openai, name="beta", priority=2)
    async with running_sidecar(build.push(limited, spare)) as sidecar:
        answers = [await sidecar.chat() for _ in range(3)]
        url = f"/v0/operations/requests/{answers[1].headers['x-request-id']}/explain"
        told = (await sidecar.get(url)).json()
    assert [answer.headers["x-cliproxy-provider"] for answer in answers] == ["alpha", "beta", "beta"]
    (skipped,) = told["choices"][0]["skipped"]
    assert (skipped["why"], skipped["reason"]) == ("limited", "at our own limit of 1 requests per minute")
    assert skipped["until"] > told["started_at"]


async def test_when_all_are_limited_the_refusal_is_ours_in_the_callers_format(
    scripted_openai: ScriptedProvider,
) -> None:
    limited = build.built(scripted_openai, name="alpha", rate_limit=RateLimit(tokens_per_minute=10))
    rules = build.rules(last_resort=LastResort.USE_LEAST_BAD)
    limited = build.Built(msgspec.structs.replace(limited.provider, cooldown=rules), limited.secrets)
    async with running_sidecar(build.push(limited)) as sidecar:
        assert (await sidecar.chat()).status_code == 200
        refused = await sidecar.chat()
        other = await sidecar.message("gpt-4o")
    assert (refused.status_code, other.status_code) == (429, 429)
    assert "alpha (at our own limit of 10 tokens per minute" in refused.json()["error"]["message"]
    assert other.json()["error"]["type"] == "rate_limit_error"
    assert 50 <= int(refused.headers["retry-after"]) <= 61
    assert len(scripted_openai.requests) == 1


async def test_a_request_waits_for_a_place_where_the_policy_says_wait(
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.script(Normal(chunks=3, chunk_delay_s=0.1))
    rules = build.rules(last_resort=LastResort.WAIT, max_wait_s=8.0)
    part = build.built(scripted_openai, rate_limit=RateLimit(max_concurrent=1), cooldown=rules)
    async with running_sidecar(build.push(part)) as sidecar:
        body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
        url = f"{sidecar.proxy_url}/v1/chat/completions"
        async with sidecar.client.stream("POST", url, json=body) as held:
            assert held.status_code == 200
            waiting = await sidecar.chat()
            assert waiting.status_code == 200
            await held.aread()


async def test_a_quota_that_is_used_up_names_its_reset_and_survives_a_snapshot(
    scripted_openai: ScriptedProvider,
) -> None:
    quota = Quota(limit=2, unit=QuotaUnit.REQUESTS, reset=QuotaReset.MONTHLY)
    part = build.built(scripted_openai, quota=quota)
    async with running_sidecar(build.push(part)) as sidecar:
        assert [(await sidecar.chat()).status_code for _ in range(2)] == [200, 200]
        push = build.push(part, profile=Profile(max_attempts=3))
        assert (await sidecar.push_next(push)).status == 200
        refused = await sidecar.chat()
        costs = (await sidecar.get("/v0/operations/costs")).json()
    assert refused.status_code == 429
    message = refused.json()["error"]["message"]
    assert "our own quota of 2 requests monthly is used up until" in message
    assert costs["limits"]["gpt"]["quota"]["used"] == 2
    assert f"until {costs['limits']['gpt']['quota']['resets_at']}" in message


async def test_the_fleets_use_of_a_quota_and_its_sharers_count(scripted_openai: ScriptedProvider) -> None:
    quota = Quota(limit=100, unit=QuotaUnit.REQUESTS, reset=QuotaReset.DAILY)
    part = build.built(scripted_openai, quota=quota, rate_limit=RateLimit(requests_per_minute=4))
    async with running_sidecar(build.push(part)) as sidecar:
        ends_utc = sidecar.sidecar.machines.limits.gates["team-a/gpt"].period.ends_utc  # type: ignore[union-attr]
        sent = build.state_push()

        async def tell(used: int, sharers: int) -> None:
            amounts = {"team-a/gpt": Amount(used=used, until_utc=ends_utc)}
            state = FleetState(quotas=amounts, sharers={"team-a/gpt": sharers})
            push = StatePush(position=sent.position, sent_at_utc=sent.sent_at_utc, state=state)
            assert (await sidecar.push_next(push)).status == 200

        async with sidecar.reports():
            await eventually(lambda: sidecar.sidecar.reporter.attached)
            await tell(99, 4)
            assert (await sidecar.chat()).status_code == 200
            used_up, limited = await sidecar.chat(), None
            await tell(50, 4)
            limited = await sidecar.chat()
    assert "quota of 100 requests daily is used up" in used_up.json()["error"]["message"]
    assert limited.status_code == 429
    assert "our own limit of 4 requests per minute" in limited.json()["error"]["message"]


async def test_costs_are_told_by_provider_model_and_time(scripted_openai: ScriptedProvider) -> None:
    part = build.built(scripted_openai)
    models = tuple(
        msgspec.structs.replace(model, pricing=Pricing(input=10**9, output=10**9))
        for model in part.provider.models
    )
    part = build.Built(msgspec.structs.replace(part.provider, models=models), part.secrets)
    async with running_sidecar(build.push(part)) as sidecar:
        usage = (await sidecar.chat()).json()["usage"]
        costs = (await sidecar.get("/v0/operations/costs")).json()
    cost = usage["total_tokens"] * 1000 / 10**9
    told = {
        "requests": 1,
        "tokens": usage["total_tokens"],
        "cost_usd": cost,
        "estimated_share": 0.0,
        "reused": 0,
        "saved_usd": 0.0,
    }
    for period in ("today", "this_month"):
        assert {key: costs[period][key] for key in told} == told
        assert costs[period]["by_provider"] == {"gpt": told}
        assert costs[period]["by_model"] == {"gpt-4o": told}
        assert costs[period]["by_consumer"] == {}


async def test_our_part_of_a_rate_is_kept_to_and_what_we_take_is_told(
    scripted_openai: ScriptedProvider,
) -> None:
    part = build.built(scripted_openai, rate_limit=RateLimit(requests_per_minute=4))
    async with running_sidecar(build.push(part)) as sidecar:
        sent = build.state_push()
        state = FleetState(floors={"team-a/gpt": 10_000})
        push = StatePush(position=sent.position, sent_at_utc=sent.sent_at_utc, state=state)
        async with sidecar.reports() as reports:
            await eventually(lambda: sidecar.sidecar.reporter.attached)
            assert (await sidecar.push_next(push)).status == 200
            assert [(await sidecar.chat()).status_code for _ in range(2)] == [200, 429]

            def pressed() -> list[Taken]:
                taken = [report.taken.get("team-a/gpt") for report in reports.of(Traffic)]
                return [one for one in taken if one is not None and one.pressed]

            await eventually(pressed)
            parts = PartsPush(position=Position(1, 50), providers={"team-a/gpt": 750_000})
            assert (await sidecar._put("parts", codec.encode(parts))).status == 200
            assert [(await sidecar.chat()).status_code for _ in range(3)] == [200, 200, 429]
            costs = (await sidecar.get("/v0/operations/costs")).json()
    assert pressed()[0] == Taken(used=250_000, part=10_000, pressed=True)
    assert costs["limits"]["gpt"]["rate_limit"]["part_percent"] == 75.0
