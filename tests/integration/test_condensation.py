"""A request that is too long for its model: another model, a shorter conversation, or the provider's word."""

from __future__ import annotations

import json

import msgspec
import pytest

from cliproxy_api.snapshot import Model, Profile
from cliproxy_api.vocabulary import Condensation
from cliproxy_dev.providers.provider import ScriptedProvider
from support import build
from support.sidecar import running_sidecar

TALK = [{"role": "user" if number % 2 == 0 else "assistant", "content": str(number)} for number in range(9)]


def served(scripted: ScriptedProvider, windows: dict[str, int | None]) -> build.Built:
    part = build.built(scripted)
    models = tuple(
        Model(name=name, upstream_name=f"{name}-up", context_window_tokens=window)
        for name, window in windows.items()
    )
    return build.Built(msgspec.structs.replace(part.provider, models=models), part.secrets)


def too_long(scripted: ScriptedProvider, times: int) -> None:
    for _ in range(times):
        scripted.script(scripted.preset("openai.context_length"))


def asked(scripted: ScriptedProvider) -> list[tuple[str, int]]:
    """The models that were asked, each with the number of messages."""
    bodies = [json.loads(request.body) for request in scripted.requests]
    return [(body["model"], len(body["messages"])) for body in bodies]


async def test_the_next_larger_model_answers(scripted_openai: ScriptedProvider) -> None:
    too_long(scripted_openai, 1)
    windows = {"small": 8_000, "huge": 1_000_000, "large": 32_000}
    profile = Profile(condensation=Condensation.LARGER_MODEL)
    async with running_sidecar(build.push(served(scripted_openai, windows), profile=profile)) as sidecar:
        answer = await sidecar.chat("small")

    assert answer.status_code == 200, answer.text
    assert asked(scripted_openai) == [("small-up", 1), ("large-up", 1)]
    assert answer.headers["x-cliproxy-model"] == "large-up"
    assert answer.headers["x-cliproxy-condensed"] == "asked large"


async def test_the_oldest_messages_go_until_it_fits(scripted_openai: ScriptedProvider) -> None:
    too_long(scripted_openai, 2)
    profile = Profile(condensation=Condensation.DROP_OLDEST, keep_messages=1)
    push = build.push(served(scripted_openai, {"small": None}), profile=profile)
    async with running_sidecar(push) as sidecar:
        answer = await sidecar.chat("small", messages=TALK)

    assert answer.status_code == 200, answer.text
    assert asked(scripted_openai) == [("small-up", 9), ("small-up", 5), ("small-up", 3)]
    assert answer.headers["x-cliproxy-condensed"] == "left out 6 messages"
    assert json.loads(scripted_openai.requests[-1].body)["messages"] == TALK[6:]


@pytest.mark.parametrize("mode", Condensation)
async def test_what_cannot_be_made_to_fit_gets_the_providers_word(
    scripted_openai: ScriptedProvider, mode: Condensation
) -> None:
    too_long(scripted_openai, 1)
    push = build.push(served(scripted_openai, {"small": 8_000}), profile=Profile(condensation=mode))
    async with running_sidecar(push) as sidecar:
        answer = await sidecar.chat("small")
        cooling = (await sidecar.get("/v0/operations/cooldown/status")).json()

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert "x-cliproxy-condensed" not in answer.headers
    assert cooling["providers_in_cooldown"] == []
    assert len(scripted_openai.requests) == 1


async def test_attempts_are_bounded(scripted_openai: ScriptedProvider) -> None:
    too_long(scripted_openai, 9)
    profile = Profile(condensation=Condensation.DROP_OLDEST, keep_messages=1, max_attempts=2)
    push = build.push(served(scripted_openai, {"small": None}), profile=profile)
    async with running_sidecar(push) as sidecar:
        answer = await sidecar.chat("small", messages=TALK)

    assert answer.status_code == 400
    assert len(scripted_openai.requests) == 2
