"""Gemini's own API through the sidecar: as it is to Google, its signals, and that no caller's key goes on.

What SDKs can do where is `test_sdk_matrix`'s, agents are `test_agents`', translations golden cases.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cliproxy_api.report import Tripped
from cliproxy_api.vocabulary import ProviderType
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import HalfStream, Normal
from support import build
from support.sidecar import RunningSidecar, running_sidecar

ASKED: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
MODEL = "/v1beta/models/fast"


@pytest_asyncio.fixture
async def google() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider(kind="gemini_native", name="google", keys={"main": "sk-test"}) as provider:
        yield provider


@pytest_asyncio.fixture
async def sidecar(google: ScriptedProvider) -> AsyncIterator[RunningSidecar]:
    built = build.built(google, models={"fast": "gemini-2.5-flash"})
    async with running_sidecar(build.push(built)) as running:
        yield running


async def test_bytes_pass_as_they_are(sidecar: RunningSidecar, google: ScriptedProvider) -> None:
    body = b'{ "contents" : [{"parts":[{"text":"Hi\\u0041"}]}],  "generationConfig":{"temperature":1.0} }'
    answer = await sidecar.post(f"{MODEL}:generateContent", body)
    assert answer.status_code == 200
    assert answer.headers["x-cliproxy-model"] == "gemini-2.5-flash"
    (request,) = google.requests
    assert request.path == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert request.body == body
    assert request.headers["x-goog-api-key"] == "sk-test"
    assert answer.json()["modelVersion"] == "gemini-2.5-flash"


async def test_streams_pass_as_they_are(sidecar: RunningSidecar, google: ScriptedProvider) -> None:
    google.always(Normal(chunks=3))
    answer = await sidecar.post(f"{MODEL}:streamGenerateContent?alt=sse", ASKED)
    assert answer.text.count("\r\n\r\n") == 3
    assert google.requests[0].query == "alt=sse"
    listed = await sidecar.post(f"{MODEL}:streamGenerateContent", ASKED)
    assert len(listed.json()) == 3
    assert google.requests[1].query == ""
    assert [line["stream"] for line in sidecar.log_lines("request_success")] == [True, False]


async def test_a_batch_names_the_model_once_more(sidecar: RunningSidecar, google: ScriptedProvider) -> None:
    batch = {"requests": [{"model": "models/fast", "content": {"parts": [{"text": "one"}]}}]}
    answer = await sidecar.post(f"{MODEL}:batchEmbedContents", batch)
    assert len(answer.json()["embeddings"]) == 1
    assert json.loads(google.requests[0].body)["requests"][0]["model"] == "models/gemini-2.5-flash"


@pytest.mark.parametrize("kind", ["gemini_native", "openai"])
async def test_a_callers_key_goes_nowhere(kind: Any) -> None:
    async with ScriptedProvider(kind=kind, keys={"main": "sk-test"}) as provider:
        built = build.built(provider, models={"fast": "gemini-2.5-flash"})
        async with running_sidecar(build.push(built)) as sidecar:
            for path in (f"{MODEL}:generateContent?key=planted-1&fields=x", f"{MODEL}:badVerb?key=planted-1"):
                await sidecar.post(path, ASKED, headers={"x-goog-api-key": "planted-2"})
            google = [(request.query, request.headers, request.body) for request in provider.requests]
            assert google
            assert "planted" not in str(google)
            assert "planted" not in sidecar.log_text()


@pytest.mark.parametrize(
    ("preset", "error_class", "cooled"),
    [
        ("gemini.per_minute_native", "RateLimited", "CredentialModel"),
        ("gemini.unavailable", "Overloaded", "Model"),
        ("gemini.api_key_invalid", "Auth", "Credential"),
        ("gemini.safety", "Filter", None),
        ("gemini.prompt_blocked", "Filter", None),
        ("gemini.token_count", "Context", None),
        ("gemini.invalid_argument", "Client", None),
    ],
)
async def test_signals_are_understood(
    preset: str, error_class: str, cooled: str | None, sidecar: RunningSidecar, google: ScriptedProvider
) -> None:
    google.always(google.preset(preset))
    async with sidecar.reports() as reports:
        answer = await sidecar.post(f"{MODEL}:generateContent", ASKED)
        assert await outcome_of(sidecar, answer) == error_class
        if cooled is not None:
            (tripped,) = await reports.wait_for(Tripped)
            assert str(tripped.scope.kind) == cooled
    if cooled is None:
        before = len(google.requests)
        await sidecar.post(f"{MODEL}:generateContent", ASKED)
        assert len(google.requests) == before + 1


async def outcome_of(sidecar: RunningSidecar, answer: httpx.Response) -> str:
    """What became of the last attempt, by the sidecar's own account."""
    told = await sidecar.get(f"/v0/operations/requests/{answer.headers['x-request-id']}/explain")
    return str(told.json()["attempts"][-1]["outcome"])


@pytest.mark.parametrize(
    ("type_", "kind", "reason"),
    [
        (ProviderType.GEMINI, "gemini_native", "SAFETY"),
        (ProviderType.OPENAI, "openai", "content_filter"),
        (ProviderType.ANTHROPIC, "anthropic", "refusal"),
    ],
)
async def test_a_stream_that_a_filter_ends_is_no_success(type_: ProviderType, kind: Any, reason: str) -> None:
    async with ScriptedProvider(kind=kind, keys={"main": "sk-test"}) as provider:
        provider.always(Normal(finish_reason=reason))
        async with running_sidecar(build.push(build.built(provider, type_=type_, models=("m",)))) as sidecar:
            chat = await sidecar.chat("m", stream=True)
            gemini = await sidecar.post("/v1beta/models/m:streamGenerateContent?alt=sse", ASKED)
            assert [await outcome_of(sidecar, answer) for answer in (chat, gemini)] == ["Filter", "Filter"]
    assert '"finish_reason":"content_filter"' in chat.text
    assert '"finishReason":"SAFETY"' in gemini.text


async def test_a_stream_fails_over_between_forms(google: ScriptedProvider) -> None:
    async with ScriptedProvider(kind="anthropic", name="claude", keys={"main": "sk-test"}) as claude:
        parts = (
            build.built(google, models={"m": "gemini-2.5-flash"}, priority=1),
            build.built(claude, models={"m": "claude-sonnet-4-5"}, priority=2),
        )
        async with running_sidecar(build.push(*parts)) as sidecar:
            google.script(google.preset("gemini.unavailable"), times=2)
            answer = await sidecar.post("/v1beta/models/m:streamGenerateContent?alt=sse", ASKED)
            assert answer.headers["x-cliproxy-provider"] == "claude"
            assert '"finishReason":"STOP"' in answer.text
            assert '"modelVersion":"claude-sonnet-4-5"' in answer.text


async def test_a_cut_stream_ends_in_an_error(sidecar: RunningSidecar, google: ScriptedProvider) -> None:
    google.script(HalfStream(events=2, ending="reset"), times=2)
    native = await sidecar.post(f"{MODEL}:streamGenerateContent?alt=sse", ASKED)
    last = json.loads(native.text.strip().rpartition("data: ")[2])
    assert (last["error"]["code"], last["error"]["status"]) == (502, "UNAVAILABLE")
    chat = await sidecar.chat("fast", stream=True)
    assert json.loads(chat.text.strip().rpartition("data: ")[2])["error"]["code"] == "upstream_failed"


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        (f"{MODEL}:generateContent", b"{", 400, "INVALID_ARGUMENT"),
        (f"{MODEL}:generateContent", b"[]", 400, "INVALID_ARGUMENT"),
        ("/v1beta/models/nobody:generateContent", b"{}", 404, "NOT_FOUND"),
        (f"{MODEL}:predict", b"{}", 405, "UNIMPLEMENTED"),
        ("/v1beta/files", b"{}", 404, "NOT_FOUND"),
    ],
)
async def test_refusals_have_googles_shape(
    path: str, body: bytes, status: int, word: str, sidecar: RunningSidecar
) -> None:
    answer = await sidecar.post(path, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (status, status, word)
    assert error["message"]
    assert all("@type" in detail for detail in error["details"])
