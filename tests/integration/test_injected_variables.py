"""The SDKs with nothing but the variables that injection sets: no code names the sidecar."""

from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types as genai_types

from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_operator.inject.options import read_options
from cliproxy_operator.inject.template import Template
from cliproxy_operator.inject.variables import missing
from support import build
from support.sidecar import running_sidecar

QUESTION = "What is the weather in Oslo?"
MESSAGES: Any = [{"role": "user", "content": QUESTION}]


async def test_every_sdk_finds_the_sidecar(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = (
        build.built(scripted_openai, models={"fast": "gpt-4o-mini"}),
        build.built(scripted_anthropic, models={"smart": "claude-sonnet-4-5"}),
    )
    async with running_sidecar(build.push(*parts)) as sidecar:
        annotations = {"cliproxy.io/proxy-port": str(httpx.URL(sidecar.proxy_url).port)}
        for entry in missing({"name": "app"}, read_options(annotations, Template(image="sidecar"))):
            monkeypatch.setenv(entry["name"], entry["value"])

        async with openai.AsyncOpenAI(max_retries=0) as by_openai:
            chat = await by_openai.chat.completions.create(model="fast", messages=MESSAGES)
        async with anthropic.AsyncAnthropic(max_retries=0) as by_anthropic:
            message = await by_anthropic.messages.create(model="smart", max_tokens=99, messages=MESSAGES)
        # Its other transport, aiohttp, is extended in a way that aiohttp warns of.
        async with httpx.AsyncClient(timeout=10, verify=False) as plain:  # noqa: S501 -- plain HTTP; loads no CAs
            client = genai.Client(http_options=genai_types.HttpOptions(httpx_async_client=plain))
            content = await client.aio.models.generate_content(model="smart", contents=QUESTION)
            client.close()

    assert QUESTION in (chat.choices[0].message.content or "")
    assert QUESTION in getattr(message.content[0], "text", "")
    assert QUESTION in (content.text or "")
