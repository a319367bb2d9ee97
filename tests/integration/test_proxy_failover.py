"""A failing provider costs the caller nothing while another can answer, up to the first content byte."""

from typing import Any

import pytest

from cliproxy_api.snapshot import Profile, Retries, RetryBudget, SnapshotPush, Timeouts
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import (
    Behaviour,
    Close,
    Drip,
    Fail,
    Garbage,
    HalfStream,
    Hang,
    HtmlBody,
    HugeBody,
    ManyHeaders,
    Normal,
    Raw,
    Redirect,
    Reset,
    StreamError,
    WrongLength,
)
from support import build
from support.sidecar import RunningSidecar, running_sidecar

SHORT = Timeouts(connect_s=1.0, first_byte_s=0.3, idle_s=0.3, total_s=5.0)
JSON = {"content-type": "application/json"}

PRESETS = {
    "openai.rate_limit": "RateLimited",
    "openai.slow_down": "Ramp",
    "openai.insufficient_quota": "QuotaMoney",
    "openai.usage_limit_reached": "QuotaLong",
    "openai.overloaded": "Overloaded",
    "openai.server_error": "ServerError",
    "openai.bad_gateway": "ServerError",
    "openai.invalid_api_key": "Auth",
    "openai.permission": "Auth",
    "openai.model_not_found": "Config",
}
BROKEN: dict[str, tuple[Behaviour, str]] = {
    "reset at once": (Reset(), "ServerError"),
    "reset in the head": (Reset(after_bytes=30), "ServerError"),
    "reset in the body": (Reset(after_bytes=700), "StreamError"),
    "closed in the body": (Close(after_bytes=700), "StreamError"),
    "hangs": (Hang(), "ServerError"),
    "hangs in the body": (Hang(after_bytes=700), "StreamError"),
    "not HTTP": (Garbage(), "ServerError"),
    "html with 200": (HtmlBody(status=200), "ServerError"),
    "html with 502": (HtmlBody(status=502), "ServerError"),
    "an empty 200": (Fail(status=200, body="", headers=JSON), "ServerError"),
    "a redirect": (Redirect(location="http://127.0.0.1:1/elsewhere"), "Config"),
    "10,000 headers": (ManyHeaders(), "ServerError"),
    "a header of 64 KiB": (ManyHeaders(count=1, value_bytes=65_536), "ServerError"),
    "a body shorter than declared": (WrongLength(delta_bytes=10), "StreamError"),
    "an error object in a 200": (
        Fail(
            status=200,
            body='{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}',
            headers={"content-type": "application/json"},
        ),
        "RateLimited",
    ),
    "an error event": (
        StreamError(event='data: {"error":{"message":"x","type":"server_error"}}\n\n', events=0),
        "ServerError",
    ),
    "an empty stream": (
        Raw(data="HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"),
        "StreamError",
    ),
    "a stream cut before content": (HalfStream(events=1, ending="reset"), "StreamError"),
    "a stream that stalls before content": (HalfStream(events=1, ending="hang"), "StreamError"),
}
STREAMS = {name for name in BROKEN if "stream" in name or "event" in name}


def pair(first: ScriptedProvider, second: ScriptedProvider, **changes: Any) -> SnapshotPush:
    """Return a push in which `first` is preferred."""
    return build.push(
        build.built(first, name="first", priority=1, **{"timeouts": SHORT, **changes}),
        build.built(second, name="second", priority=2),
    )


async def errors(sidecar: RunningSidecar) -> dict[str, float]:
    """Return the counted failures: "provider error_type" -> count."""
    found = {}
    for sample, value in (await sidecar.metrics()).items():
        if sample.startswith("cliproxy_errors_total{"):
            parts = sample.split('"')
            found[f"{parts[3]} {parts[1]}" if "error_type" in parts[2] else f"{parts[1]} {parts[3]}"] = value
    return found


@pytest.fixture
async def spare() -> object:
    async with ScriptedProvider(kind="openai", name="spare") as provider:
        yield provider


@pytest.mark.parametrize("name", PRESETS)
async def test_a_refusal_of_one_provider_is_answered_by_another(
    name: str, scripted_openai: ScriptedProvider, spare: ScriptedProvider
) -> None:
    scripted_openai.script(scripted_openai.preset(name))
    async with running_sidecar(pair(scripted_openai, spare)) as sidecar:
        response = await sidecar.chat()
        assert response.status_code == 200, response.text
        assert response.headers["x-cliproxy-provider"] == "second"
        assert response.headers["x-cliproxy-attempts"] == "2"
        assert await errors(sidecar) == {f"{PRESETS[name]} first": 1.0}
    assert len(scripted_openai.requests) == 1


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_bounded_classified_and_given_by_another(
    name: str, scripted_openai: ScriptedProvider, spare: ScriptedProvider
) -> None:
    behaviour, cls = BROKEN[name]
    scripted_openai.script(behaviour)
    async with running_sidecar(pair(scripted_openai, spare)) as sidecar:
        response = await sidecar.chat(stream=name in STREAMS)
        assert response.status_code == 200, response.text
        assert response.headers["x-cliproxy-provider"] == "second"
        assert await errors(sidecar) == {f"{cls} first": 1.0}


async def test_the_same_provider_is_asked_again_as_often_as_it_says(
    scripted_openai: ScriptedProvider, spare: ScriptedProvider
) -> None:
    scripted_openai.script(Fail(status=500), times=2)
    push = pair(scripted_openai, spare, retries=Retries(attempts=3, backoff_s=0.01))
    async with running_sidecar(push) as sidecar:
        response = await sidecar.chat()
    assert response.headers["x-cliproxy-provider"] == "first"
    assert response.headers["x-cliproxy-attempts"] == "3"
    assert spare.requests == []


async def test_attempts_of_one_request_are_bounded_over_all_providers(
    scripted_openai: ScriptedProvider, spare: ScriptedProvider
) -> None:
    for scripted in (scripted_openai, spare):
        scripted.always(Fail(status=500))
    parts = (
        build.built(scripted_openai, name="first", retries=Retries(attempts=5, backoff_s=0.01)),
        build.built(spare, name="second", retries=Retries(attempts=5, backoff_s=0.01)),
    )
    async with running_sidecar(build.push(*parts, profile=Profile(max_attempts=3))) as sidecar:
        response = await sidecar.chat()
    assert response.status_code == 502
    assert response.headers["x-cliproxy-attempts"] == "3"
    assert len(scripted_openai.requests) + len(spare.requests) == 3


async def test_further_attempts_of_all_requests_are_bounded(
    scripted_openai: ScriptedProvider, spare: ScriptedProvider
) -> None:
    scripted_openai.always(Fail(status=500))
    parts = (build.built(scripted_openai, name="first"), build.built(spare, name="second", priority=2))
    budget = RetryBudget(percent=50, min_per_second=0)
    async with running_sidecar(build.push(*parts, profile=Profile(retry_budget=budget))) as sidecar:
        first, second = await sidecar.chat(), await sidecar.chat()
        assert (first.status_code, second.status_code) == (502, 200)
        assert "retryBudget" in first.json()["error"]["message"]
    assert (len(scripted_openai.requests), len(spare.requests)) == (2, 1)


async def test_a_request_ends_when_the_profile_says_so(
    scripted_openai: ScriptedProvider, spare: ScriptedProvider
) -> None:
    scripted_openai.always(Hang())
    parts = (build.built(scripted_openai, name="first"), build.built(spare, name="second", priority=2))
    profile = Profile(retry_budget=RetryBudget(timeout_s=0.2))
    async with running_sidecar(build.push(*parts, profile=profile)) as sidecar:
        assert (await sidecar.chat()).status_code == 504
    assert spare.requests == []


async def test_another_key_is_tried_when_one_is_refused(scripted_openai: ScriptedProvider) -> None:
    keys = {"old": "sk-revoked", "main": "sk-test"}
    async with running_sidecar(build.push(build.built(scripted_openai, keys=keys))) as sidecar:
        answers = [await sidecar.chat() for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200] * 4
        assert sum(int(answer.headers["x-cliproxy-attempts"]) for answer in answers) == 5
        cooling = (await sidecar.get("/v0/operations/cooldown/status")).json()["cooldown_periods"]["gpt"]
    assert (cooling["credential"], cooling["reason"]) == ("old", "auth")


FAULTS = ("openai.bad_request", "openai.context_length", "openai.content_policy", "openai.unprocessable")


@pytest.mark.parametrize("name", FAULTS)
async def test_the_callers_own_fault_is_told_in_the_providers_words(
    name: str, scripted_openai: ScriptedProvider
) -> None:
    refusal = scripted_openai.preset(name)
    assert isinstance(refusal, Fail)
    scripted_openai.script(refusal)
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        response = await sidecar.chat()
        assert response.status_code == refusal.status
        assert response.content == refusal.body.encode()
        assert response.headers["x-cliproxy-provider"] == "gpt"
        assert await errors(sidecar) == {}
        status = (await sidecar.get("/v0/operations/providers/status")).json()["providers"]["gpt"]
    assert (status["status"], status["errors_last_minute"]) == ("healthy", 0)


async def test_a_providers_word_that_repeats_our_key_is_not_passed_on(
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.script(
        Fail(status=400, body='{"error":{"message":"bad sk-test","type":"x"}}', headers=JSON)
    )
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        response = await sidecar.chat()
    assert response.status_code >= 400
    assert "sk-test" not in response.text


async def test_a_huge_answer_is_relayed_and_a_slow_one_is_waited_for(
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.script(HugeBody(size_bytes=5_000_000), Drip(piece_bytes=40, delay_s=0.005, pieces=20))
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        huge = await sidecar.chat()
        slow = await sidecar.chat()
    assert len(huge.content) >= 5_000_000
    assert slow.json()["object"] == "chat.completion"


async def test_a_kept_connection_that_has_died_costs_no_attempt(scripted_openai: ScriptedProvider) -> None:
    """A provider closes idle connections when it likes: no fault of its, and nothing was answered."""
    scripted_openai.script(Normal(), Close(), Normal(), Normal(), Reset(), Normal())
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        answers = [await sidecar.chat() for _ in range(4)]
        assert await errors(sidecar) == {}
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.headers["x-cliproxy-attempts"] for answer in answers] == ["1"] * 4
    assert len(scripted_openai.requests) == 6
