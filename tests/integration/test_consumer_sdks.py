"""What the providers' own SDKs make of our refusals of callers: the exception that their users expect."""

import anthropic
import openai
import pytest

from cliproxy_api.snapshot import Budget, RateLimit
from cliproxy_api.vocabulary import OnExceeded
from cliproxy_dev.providers.provider import ScriptedProvider
from support import build
from support.consumers import WEB, consumer, priced, push_with
from support.sidecar import RunningSidecar, running_sidecar

LIMITED = consumer(rate_limit=RateLimit(requests_per_minute=1))
BLOCKED = consumer(budget=Budget(daily=1, on_exceeded=OnExceeded.BLOCK))


async def chat(sidecar: RunningSidecar, key: str) -> None:
    url = f"{sidecar.proxy_url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
        await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])


async def message(sidecar: RunningSidecar, key: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=sidecar.proxy_url, api_key=key, max_retries=0) as client:
        await client.messages.create(
            model="gpt-4o", max_tokens=64, messages=[{"role": "user", "content": "Hello"}]
        )


async def test_a_wrong_key_is_an_authentication_error(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(push_with((consumer(),), build.built(scripted_openai))) as sidecar:
        with pytest.raises(openai.AuthenticationError, match="not known here"):
            await chat(sidecar, "sk-wrong-key-of-somebody")
        with pytest.raises(anthropic.AuthenticationError, match="not known here"):
            await message(sidecar, "sk-wrong-key-of-somebody")
        await chat(sidecar, WEB)
        await message(sidecar, WEB)


async def test_above_a_rate_it_is_a_rate_limit_error(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(push_with((LIMITED,), build.built(scripted_openai))) as sidecar:
        await chat(sidecar, WEB)
        with pytest.raises(openai.RateLimitError, match="1 requests per minute") as refused:
            await chat(sidecar, WEB)
        assert int(refused.value.response.headers["retry-after"]) > 50
        with pytest.raises(anthropic.RateLimitError, match="1 requests per minute"):
            await message(sidecar, WEB)


async def test_over_a_budget_it_is_a_402_that_no_sdk_retries(scripted_openai: ScriptedProvider) -> None:
    push = push_with((BLOCKED,), priced(build.built(scripted_openai)))
    async with running_sidecar(push) as sidecar:
        await chat(sidecar, WEB)
        with pytest.raises(openai.APIStatusError, match="daily budget") as refused:
            await chat(sidecar, WEB)
        assert (refused.value.status_code, refused.value.code) == (402, "budget_exceeded")
        url = f"{sidecar.proxy_url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=WEB, max_retries=3) as patient:
            with pytest.raises(openai.APIStatusError):
                await patient.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "Hello"}]
                )
        with pytest.raises(anthropic.APIStatusError, match="daily budget"):
            await message(sidecar, WEB)
        samples = await sidecar.metrics()
    assert samples['cliproxy_consumer_refusals_total{consumer="web",limit="budget"}'] == 3
