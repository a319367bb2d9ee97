"""Each event of the sidecar's audit log, made through the real path."""

from typing import Any

import msgspec

from cliproxy_api.audit import LINES_PER_WINDOW
from cliproxy_api.snapshot import Budget, RateLimit
from cliproxy_api.vocabulary import LogLevel, OnExceeded
from cliproxy_dev.providers.provider import ScriptedProvider
from support import build
from support.consumers import BATCH, PRICE, WEB, consumer, priced, push_with
from support.sidecar import RunningSidecar, running_sidecar

ASKED: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


def audited(sidecar: RunningSidecar, event: str) -> list[dict[str, Any]]:
    lines = [line for line in sidecar.log_lines(event) if line.get("log") == "audit"]
    assert all(line["logger"] == "cliproxy_sidecar.audit" and line["timestamp"] for line in lines)
    return lines


async def ask(sidecar: RunningSidecar, key: str) -> int:
    answer = await sidecar.post("/v1/chat/completions", ASKED, headers={"authorization": f"Bearer {key}"})
    return answer.status_code


async def test_strangers_limits_and_budgets(scripted_openai: ScriptedProvider) -> None:
    block = Budget(daily=1, on_exceeded=OnExceeded.BLOCK)
    members = (
        consumer("web", budget=block),
        consumer("batch", rate_limit=RateLimit(requests_per_minute=1)),
    )
    part = priced(build.built(scripted_openai))
    async with running_sidecar(push_with(members, part), level=LogLevel.ERROR) as sidecar:
        assert await ask(sidecar, "sk-wrong-key-of-somebody") == 401
        assert [await ask(sidecar, WEB) for _ in range(2)] == [200, 402]
        assert [await ask(sidecar, BATCH) for _ in range(2)] == [200, 429]
        (stranger,) = audited(sidecar, "authentication_failure")
        (poor,) = audited(sidecar, "budget_exceeded")
        (hasty,) = audited(sidecar, "limit_hit")
        text = sidecar.log_text()

    assert (stranger["reason"], stranger["who"], stranger["outcome"]) == ("wrong_key", "", "refused")
    assert stranger["from"].startswith("127.0.0.1:")
    assert (poor["who"], poor["reason"], poor["outcome"]) == ("web", "daily budget", "refused")
    assert (hasty["who"], hasty["outcome"]) == ("batch", "refused")
    assert "1 requests per minute" in hasty["reason"]
    assert not [key for key in (WEB, BATCH, "sk-wrong-key-of-somebody") if key in text]


async def test_levers_and_configuration(scripted_openai: ScriptedProvider) -> None:
    push = build.push(build.built(scripted_openai))
    async with running_sidecar(push) as sidecar:
        cooled = await sidecar.post(
            "/v0/operations/providers/gpt/cooldown", {"duration": "1m", "reason": "a look at it"}
        )
        recovered = await sidecar.post("/v0/operations/providers/gpt/recover")
        (cooldown,) = audited(sidecar, "manual_cooldown")
        (recovery,) = audited(sidecar, "manual_recovery")
        (change,) = audited(sidecar, "configuration_change")

    assert (cooled.status_code, recovered.status_code) == (200, 200)
    assert (cooldown["who"], cooldown["reason"], cooldown["duration"]) == (
        "this machine",
        "a look at it",
        "1m",
    )
    assert cooldown["object"] == recovery["object"] == "LLMProvider/team-a/gpt"
    assert cooldown["from"].startswith("127.0.0.1:")
    assert (change["who"], change["digest"], change["providers"]) == ("operator", push.snapshot.digest, 1)


async def test_who_is_not_the_operator_is_told_and_a_flood_is_counted(
    scripted_openai: ScriptedProvider,
) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        for _ in range(LINES_PER_WINDOW + 7):
            answer = await sidecar.client.get(sidecar.control_url + "/v0/control/reports")
            assert answer.status_code == 401
        written = audited(sidecar, "authentication_failure")
        sidecar.sidecar.audit.close()
        (*_, rest) = audited(sidecar, "authentication_failure")

    assert len(written) == LINES_PER_WINDOW
    assert (written[0]["object"], written[0]["reason"]) == ("port/control", "stranger")
    assert (rest["outcome"], rest["count"], rest["reasons"]) == ("suppressed", 7, {"stranger": 7})


async def test_a_cheaper_answer_is_told(scripted_openai: ScriptedProvider) -> None:
    downgrade = Budget(daily=1, on_exceeded=OnExceeded.DOWNGRADE)
    part = priced(
        build.built(scripted_openai, models={"gpt-4o": "gpt-4o", "mini": "gpt-4o-mini"}),
        msgspec.structs.replace(PRICE, output=9 * 10**9),
        PRICE,
    )
    async with running_sidecar(push_with((consumer("web", budget=downgrade),), part)) as sidecar:
        assert [await ask(sidecar, WEB) for _ in range(2)] == [200, 200]
        (line,) = audited(sidecar, "budget_exceeded")

    assert (line["who"], line["outcome"]) == ("web", "downgraded")
