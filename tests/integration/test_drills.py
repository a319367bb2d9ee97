"""Faults made on purpose: callers and cooldowns see true failures, the provider sees nothing."""

from __future__ import annotations

import time

import msgspec
import pytest

from cliproxy_api.snapshot import Drill, Profile
from cliproxy_dev.providers.provider import ScriptedProvider
from support import build
from support.sidecar import running_sidecar

LATER = time.time() + 3600  # noqa: TID251 -- drills end by the wall clock


def two(scripted: ScriptedProvider, drill: Drill, *, first_byte_s: float = 60.0) -> msgspec.Struct:
    alpha = build.built(scripted, name="alpha", weight=1000)
    timeouts = msgspec.structs.replace(alpha.provider.timeouts, first_byte_s=first_byte_s)
    alpha = build.Built(msgspec.structs.replace(alpha.provider, timeouts=timeouts), alpha.secrets)
    return build.push(alpha, build.built(scripted, name="beta"), profile=Profile(drill=drill))


async def test_an_abort_is_a_failure_of_that_provider_and_others_take_over(
    scripted_openai: ScriptedProvider,
) -> None:
    push = two(scripted_openai, Drill(until_unix_s=LATER, provider="alpha", status=429))
    async with running_sidecar(push) as sidecar:
        answers = [await sidecar.chat() for _ in range(3)]
        cooling = (await sidecar.get("/v0/operations/cooldown/status")).json()

    assert [answer.status_code for answer in answers] == [200] * 3
    assert [answer.headers["x-cliproxy-provider"] for answer in answers] == ["beta"] * 3
    assert [answer.headers["x-cliproxy-attempts"] for answer in answers] == ["2", "1", "1"]
    assert cooling["providers_in_cooldown"] == ["alpha"]
    assert len(scripted_openai.requests) == 3


async def test_a_drill_for_all_reaches_the_caller_as_an_error(scripted_openai: ScriptedProvider) -> None:
    push = two(scripted_openai, Drill(until_unix_s=LATER, status=400))
    async with running_sidecar(push) as sidecar:
        answer = await sidecar.chat()

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "fault_injected"
    assert scripted_openai.requests == []


async def test_a_delay_counts_against_the_time_out(scripted_openai: ScriptedProvider) -> None:
    drill = Drill(until_unix_s=LATER, provider="alpha", delay_s=30.0)
    async with running_sidecar(two(scripted_openai, drill, first_byte_s=0.05)) as sidecar:
        answer = await sidecar.chat()
        explained = await sidecar.get(f"/v0/operations/requests/{answer.headers['x-request-id']}/explain")

    assert answer.headers["x-cliproxy-provider"] == "beta"
    outcomes = [(one["provider"], one["outcome"]) for one in explained.json()["attempts"]]
    assert outcomes[0] == ("team-a/alpha", "ServerError")
    assert outcomes[-1] == ("team-a/beta", "Success")


@pytest.mark.parametrize(
    "drill",
    [
        Drill(until_unix_s=LATER - 7200, status=503, delay_s=30.0),
        Drill(until_unix_s=LATER, provider="gamma", status=503, delay_s=30.0),
        Drill(until_unix_s=LATER, delay_s=0.001),
    ],
    ids=["over", "of-another", "short-delay"],
)
async def test_what_a_drill_does_not_concern_goes_on(scripted_openai: ScriptedProvider, drill: Drill) -> None:
    async with running_sidecar(two(scripted_openai, drill)) as sidecar:
        answer = await sidecar.chat()

    assert answer.status_code == 200
    assert answer.headers["x-cliproxy-provider"] == "alpha"
