"""Choosing through the real sidecar: strategies, affinity, and what `explain` tells of them."""

import msgspec

from cliproxy_api.snapshot import Pricing, Profile
from cliproxy_api.vocabulary import Affinity, Strategy
from cliproxy_dev.providers.provider import ScriptedProvider
from support import build
from support.sidecar import RunningSidecar, running_sidecar


async def explained(sidecar: RunningSidecar, request_id: str) -> dict[str, object]:
    response = await sidecar.get(f"/v0/operations/requests/{request_id}/explain")
    assert response.status_code == 200, response.text
    found: dict[str, object] = response.json()
    return found


def pair(scripted: ScriptedProvider, **changes: object) -> tuple[build.Built, build.Built]:
    return (
        build.built(scripted, name="alpha", **changes),  # type: ignore[arg-type]
        build.built(scripted, name="beta", **changes),  # type: ignore[arg-type]
    )


async def test_explain_tells_candidates_failover_and_outcomes(scripted_openai: ScriptedProvider) -> None:
    dead = build.built(name="dead", base_url="http://127.0.0.1:9/v1", weight=1000)
    spare = build.built(scripted_openai, name="spare")
    async with running_sidecar(build.push(dead, spare)) as sidecar:
        answer = await sidecar.chat()
        assert answer.status_code == 200
        told = await explained(sidecar, answer.headers["x-request-id"])
    first, second = told["choices"]
    assert first["chosen"]["provider"] == "team-a/dead"
    assert {one["provider"]: one["value"] for one in first["candidates"]} == {
        "team-a/dead": 1000.0,
        "team-a/spare": 1.0,
    }
    assert first["decided_by"] == "turn"
    assert second["chosen"]["provider"] == "team-a/spare"
    assert second["decided_by"] == "only"
    assert [(one["provider"], one["why"]) for one in second["skipped"]] == [("team-a/dead", "tried")]
    assert [(one["provider"], one["outcome"]) for one in told["attempts"]] == [
        ("team-a/dead", "ServerError"),
        ("team-a/spare", "Success"),
    ]
    assert (told["status"], told["model"], told["strategy"]) == (200, "gpt-4o", "round_robin")


async def test_explain_tells_who_cools_until_when_and_of_a_refusal(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai, name="alpha"))) as sidecar:
        cooled = await sidecar.post("/v0/operations/providers/alpha/cooldown", {"duration": "10m"})
        assert cooled.status_code == 200
        refused = await sidecar.chat()
        told = await explained(sidecar, refused.headers["x-request-id"])
        assert (await sidecar.get("/v0/operations/requests/nobody/explain")).status_code == 404
    (choice,) = told["choices"]
    assert choice["chosen"] is None
    assert choice["none_because"] == "all_cooling"
    (skipped,) = choice["skipped"]
    assert (skipped["why"], skipped["phase"], skipped["reason"]) == ("cooling", "Cooling", "manual")
    assert skipped["until"] > told["started_at"]
    assert told["attempts"] == []
    assert told["status"] == refused.status_code


async def test_cost_sends_to_the_cheapest_and_says_why(
    scripted_openai: ScriptedProvider,
) -> None:
    parts = []
    for part, price in zip(pair(scripted_openai), (9, 1), strict=True):
        models = tuple(
            msgspec.structs.replace(model, pricing=Pricing(input=price * 10**9, output=price * 10**9))
            for model in part.provider.models
        )
        parts.append(build.Built(msgspec.structs.replace(part.provider, models=models), part.secrets))
    push = build.push(*parts, profile=Profile(strategy=Strategy.COST))
    async with running_sidecar(push) as sidecar:
        answers = [await sidecar.chat(max_tokens=10) for _ in range(4)]
        told = await explained(sidecar, answers[0].headers["x-request-id"])
        status = (await sidecar.get("/v0/operations/load_balancing/status")).json()
    assert {answer.headers["x-cliproxy-provider"] for answer in answers} == {"beta"}
    (choice,) = told["choices"]
    assert choice["compared_in"] == "nano_usd"
    values = {one["provider"]: one["value"] for one in choice["candidates"]}
    assert values["team-a/alpha"] > 5 * values["team-a/beta"] > 0
    rows = {row["provider"]: row for row in status["targets"]["gpt-4o"]}
    assert (rows["team-a/beta"]["rank"], rows["team-a/beta"]["share_by_weight"]) == (1, 0.5)
    assert rows["team-a/beta"]["input_usd_per_million"] == 1.0
    assert rows["team-a/beta"]["mean_output_tokens"] > 0
    assert rows["team-a/alpha"]["mean_output_tokens"] is None


async def test_a_session_stays_and_sessions_spread(scripted_openai: ScriptedProvider) -> None:
    push = build.push(*pair(scripted_openai), profile=Profile(affinity=Affinity.SESSION))
    async with running_sidecar(push) as sidecar:
        homes = {}
        for number in range(12):
            headers = {"x-session-id": f"session-{number}"}
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
            answers = [await sidecar.post("/v1/chat/completions", body, headers=headers) for _ in range(3)]
            seen = {answer.headers["x-cliproxy-provider"] for answer in answers}
            assert len(seen) == 1
            homes[number] = seen.pop()
        told = await explained(sidecar, answers[0].headers["x-request-id"])
    assert set(homes.values()) == {"alpha", "beta"}
    assert told["choices"][0]["decided_by"] == "affinity"
    assert told["affinity"] == "Session"


async def test_latency_and_limits_are_learnt_from_answers(scripted_openai: ScriptedProvider) -> None:
    push = build.push(*pair(scripted_openai), profile=Profile(strategy=Strategy.LATENCY))
    async with running_sidecar(push) as sidecar:
        for _ in range(6):
            assert (await sidecar.chat()).status_code == 200
        assert (await sidecar.chat(stream=True)).status_code == 200
        status = (await sidecar.get("/v0/operations/load_balancing/status")).json()
    rows = status["targets"]["gpt-4o"]
    assert any((row["latency_ms"] or 0) > 0 for row in rows)
    assert any((row["first_content_ms"] or 0) > 0 for row in rows)
    assert all(row["error_rate"] in (0.0, None) for row in rows)
    assert any(row["limits_left"] is not None and 0 < row["limits_left"] <= 1 for row in rows)
