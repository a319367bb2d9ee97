"""The imitation of Gemini's own API: it refuses what Google refuses."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cliproxy_dev.providers.provider import ScriptedProvider
from support.providers import KEY

SAID = {"role": "user", "parts": [{"text": "Hello"}]}
CALL: dict[str, Any] = {"functionCall": {"name": "f", "args": {}}}
RESULT: dict[str, Any] = {"functionResponse": {"name": "f", "response": {"result": "x"}}}


@pytest_asyncio.fixture
async def google() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider(
        kind="gemini_native", keys={"main": KEY}, models=("gemini-3-pro",)
    ) as provider:
        yield provider


async def ask(
    google: ScriptedProvider, body: object, *, verb: str = "generateContent", model: str = "gemini-3-pro"
) -> httpx.Response:
    url = f"{google.origin}/v1beta/models/{model}:{verb}"
    async with httpx.AsyncClient(verify=False) as client:  # noqa: S501 -- plain HTTP; loads no CAs
        return await client.post(url, json=body, headers={"x-goog-api-key": KEY})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"contents": [SAID], "max_tokens": 3}, 'Unknown name "maxTokens"'),
        ({}, "contents is not specified"),
        ({"contents": [SAID, {"role": "model", "parts": [CALL]}]}, "missing a `thought_signature`"),
        (
            {
                "contents": [
                    SAID,
                    {"role": "model", "parts": [CALL | {"thoughtSignature": "eA=="}]},
                    {"parts": [RESULT] * 2},
                ]
            },
            "number of function response parts",
        ),
        ([], "Root element"),
    ],
)
async def test_faults(body: object, says: str, google: ScriptedProvider) -> None:
    answer = await ask(google, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert says in error["message"]


async def test_names_in_both_spellings(google: ScriptedProvider) -> None:
    answer = await ask(google, {"contents": [SAID], "generation_config": {"max_output_tokens": 2}})
    assert answer.json()["candidates"][0]["finishReason"] == "MAX_TOKENS"


async def test_unknown_models_methods_and_keys(google: ScriptedProvider) -> None:
    assert (await ask(google, {"contents": [SAID]}, model="nobody")).status_code == 404
    assert (await ask(google, {}, verb="predict")).status_code == 404
    google.set_keys({"main": "another"})
    refused = await ask(google, {"contents": [SAID]})
    assert (refused.status_code, refused.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")


async def test_embeddings_name_their_model(google: ScriptedProvider) -> None:
    part = {"model": "models/gemini-3-pro", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 4}
    answer = await ask(google, {"requests": [part]}, verb="batchEmbedContents")
    assert len(answer.json()["embeddings"][0]["values"]) == 4
    other = await ask(google, {"requests": [part | {"model": "models/x"}]}, verb="batchEmbedContents")
    assert other.status_code == 400
