"""Chat streams are counted by the provider's figures though no caller asked for them, and then show none."""

import json
from typing import Any

import msgspec
import pytest

from cliproxy_api.snapshot import Pricing
from cliproxy_api.vocabulary import ProviderType
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import HalfStream, Normal
from support import build
from support.sidecar import running_sidecar

ASKED = {"include_usage": True}


def chunks(text: str) -> list[dict[str, Any]]:
    """Return the data of a stream's events; the last must be the end."""
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def priced(scripted: ScriptedProvider, type_: ProviderType = ProviderType.OPENAI) -> build.Built:
    built = build.built(scripted, type_=type_)
    models = tuple(
        msgspec.structs.replace(model, pricing=Pricing(input=2_000_000_000, output=8_000_000_000))
        for model in built.provider.models
    )
    return build.Built(msgspec.structs.replace(built.provider, models=models), built.secrets)


async def test_usage_is_asked_for_counted_and_not_shown(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Normal(text="One two three"))
    async with running_sidecar(build.push(priced(scripted_openai))) as sidecar:
        response = await sidecar.chat(stream=True)
        (line,) = sidecar.log_lines("request_success")
    (seen,) = scripted_openai.requests
    assert json.loads(seen.body)["stream_options"] == ASKED
    told = chunks(response.text)
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in told) == "One two three"
    assert all(chunk["choices"] and not chunk.get("usage") for chunk in told)
    assert line["tokens"]["input"] > 0
    assert line["tokens"]["output"] > 0
    assert line["cost_usd"] > 0
    assert "cost_estimated" not in line


async def test_who_asks_is_shown_the_same_figures(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(priced(scripted_openai))) as sidecar:
        response = await sidecar.chat(stream=True, stream_options=ASKED)
        await sidecar.chat(stream=True)
        lines = sidecar.log_lines("request_success")
    last = chunks(response.text)[-1]
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == lines[0]["tokens"]["input"]
    assert lines[0]["tokens"] == lines[1]["tokens"]


@pytest.mark.parametrize("options", [{"include_usage": False}, {}, None])
async def test_who_has_options_of_his_own_is_left_alone(
    options: object, scripted_openai: ScriptedProvider
) -> None:
    async with running_sidecar(build.push(priced(scripted_openai))) as sidecar:
        await sidecar.chat(stream=True, stream_options=options)
        (line,) = sidecar.log_lines("request_success")
    assert json.loads(scripted_openai.requests[0].body)["stream_options"] == options
    assert line["cost_estimated"] is True


async def test_servers_that_are_only_like_openai_are_not_asked(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(
        build.push(priced(scripted_openai, ProviderType.OPENAI_COMPATIBLE))
    ) as sidecar:
        await sidecar.chat(stream=True)
        (line,) = sidecar.log_lines("request_success")
    assert "stream_options" not in json.loads(scripted_openai.requests[0].body)
    assert line["cost_estimated"] is True


async def test_whoever_comes_next_is_asked_anew(scripted_openai: ScriptedProvider) -> None:
    """The first, which is asked, fails; the second is not asked, and its last chunk is nobody's to hide."""
    scripted_openai.script(HalfStream(events=0, ending="close"))
    async with ScriptedProvider(kind="openai", name="spare") as spare:
        like = build.built(spare, name="spare", type_=ProviderType.OPENAI_COMPATIBLE, priority=2)
        async with running_sidecar(build.push(build.built(scripted_openai), like)) as sidecar:
            response = await sidecar.chat(stream=True)
    assert response.headers["x-cliproxy-provider"] == "spare"
    assert "stream_options" in json.loads(scripted_openai.requests[0].body)
    assert "stream_options" not in json.loads(spare.requests[0].body)
    assert chunks(response.text)


async def test_an_answer_that_is_no_stream_needs_no_question(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(priced(scripted_openai))) as sidecar:
        await sidecar.chat()
    assert "stream_options" not in json.loads(scripted_openai.requests[0].body)
