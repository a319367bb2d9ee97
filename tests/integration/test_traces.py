"""Traces from a real sidecar, decoded from what a real HTTP receiver got."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cliproxy_api.reuse import Cache
from cliproxy_api.snapshot import Profile
from cliproxy_api.telling import Tracing
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail
from cliproxy_sidecar.proxy.tracing import exporter
from support import build
from support.receivers import Receiver
from support.sidecar import RunningSidecar, running_sidecar
from support.traces import ReceivedSpan, spans_of

pytestmark = pytest.mark.usefixtures("quick")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=opaque"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{CALLER}-00", "tracestate": "vendor=opaque"}
PROMPT = "a prompt that nobody else may read"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "LINGER_S", 0.01)


@asynccontextmanager
async def traced(
    receiver: Receiver, *providers: Any, rate: float = 1.0, **profile: Any
) -> AsyncIterator[RunningSidecar]:
    tracing = Tracing(url=f"{receiver.url}/v1/traces", sample_rate=rate)
    push = build.push(*providers, profile=Profile(tracing=tracing, **profile))
    async with running_sidecar(push) as sidecar:
        yield sidecar


async def spans(receiver: Receiver, count: int = 1) -> list[ReceivedSpan]:
    await receiver.until(lambda: len(spans_of(receiver.taken)) >= count)
    found = spans_of(receiver.taken)
    assert len(found) == count
    return found


async def test_a_request_is_one_span_with_its_attempt(scripted_openai: ScriptedProvider) -> None:
    async with Receiver().serving() as receiver, traced(receiver, build.built(scripted_openai)) as sidecar:
        answer = await sidecar.chat(prompt=PROMPT)
        (span,) = await spans(receiver)
        (line,) = sidecar.log_lines("request_success")
    told = answer.json()
    assert (span.name, span.kind, span.failed) == ("chat gpt-4o", "SPAN_KIND_CLIENT", False)
    assert span.parent_id == ""
    assert 0 < span.start_ns < span.end_ns
    port = span.attributes.pop("server.port")
    assert str(port) in scripted_openai.base_url
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": told["model"],
        "gen_ai.response.id": told["id"],
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": told["usage"]["prompt_tokens"],
        "gen_ai.usage.output_tokens": told["usage"]["completion_tokens"],
        "server.address": "127.0.0.1",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v1/chat/completions",
        "cliproxy.request_id": answer.headers["x-request-id"],
        "cliproxy.attempts": 1,
        "cliproxy.stream": False,
        "cliproxy.provider": "gpt",
    }
    ((name, at, about),) = span.events
    assert (name, about["cliproxy.outcome"]) == ("cliproxy.attempt", "Success")
    assert span.start_ns <= at <= span.end_ns
    assert span.resource["service.name"] == "cliproxy-sidecar"
    assert span.resource["service.instance.id"] == "team-a/sidecar-1"
    assert receiver.got[0].path == "/v1/traces"
    assert PROMPT.encode() not in receiver.got[0].body
    assert line["trace_id"] == span.trace_id


async def test_a_callers_sampled_trace_goes_on_to_the_provider(scripted_openai: ScriptedProvider) -> None:
    async with (
        Receiver().serving() as receiver,
        traced(receiver, build.built(scripted_openai), rate=0.0) as sidecar,
    ):
        await sidecar.post("/v1/chat/completions", chat(), headers=SAMPLED)
        (span,) = await spans(receiver)
    assert (span.trace_id, span.parent_id, span.state) == (TRACE, CALLER, "vendor=opaque")
    sent = scripted_openai.requests[-1].headers
    assert sent["traceparent"] == f"00-{TRACE}-{span.span_id}-01"
    assert sent["tracestate"] == "vendor=opaque"


async def test_a_state_that_is_no_text_costs_no_batch(scripted_openai: ScriptedProvider) -> None:
    state = b"vendor=\xff"
    async with Receiver().serving() as receiver, traced(receiver, build.built(scripted_openai)) as sidecar:
        await sidecar.post("/v1/chat/completions", chat(), headers=SAMPLED | {"tracestate": state})
        (span,) = await spans(receiver)
    assert (span.parent_id, span.state) == (CALLER, "")


async def test_who_is_not_sampled_leaves_no_span_and_its_context_as_it_is(
    scripted_openai: ScriptedProvider,
) -> None:
    async with Receiver().serving() as receiver, traced(receiver, build.built(scripted_openai)) as sidecar:
        await sidecar.post("/v1/chat/completions", chat(), headers=UNSAMPLED)
        await sidecar.chat()
        (span,) = await spans(receiver)
    sent = scripted_openai.requests[0].headers
    assert (sent["traceparent"], sent["tracestate"]) == tuple(UNSAMPLED.values())
    assert span.trace_id != TRACE, "only the second request, which had no decision of its caller"


async def test_a_failover_is_one_span_with_an_event_for_each_attempt(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    scripted_openai.script(Fail(status=429, body='{"error":{"message":"slow down"}}', headers={}))
    first = build.built(scripted_openai, priority=1)
    second = build.built(scripted_anthropic, priority=2)
    async with Receiver().serving() as receiver, traced(receiver, first, second) as sidecar:
        answer = await sidecar.chat()
        (span,) = await spans(receiver)
    assert answer.status_code == 200
    assert not span.failed
    assert (span.attributes["cliproxy.attempts"], span.attributes["cliproxy.provider"]) == (2, "claude")
    assert span.attributes["gen_ai.provider.name"] == "anthropic"
    events = [(name, about["cliproxy.provider"], about["cliproxy.outcome"]) for name, _, about in span.events]
    assert events == [
        ("cliproxy.attempt", "team-a/gpt", "RateLimited"),
        ("cliproxy.attempt", "team-a/claude", "Success"),
    ]
    assert span.events[0][2]["http.response.status_code"] == 429
    (asked,) = scripted_anthropic.requests
    assert asked.headers["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01", "translated, yet traced"


@pytest.mark.parametrize("model", ["gpt-4o", "claude"])
async def test_a_stream_tells_its_first_content_and_its_end(
    model: str, scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    providers = build.built(scripted_openai), build.built(scripted_anthropic, models=["claude"])
    async with Receiver().serving() as receiver, traced(receiver, *providers) as sidecar:
        if model == "claude":
            await sidecar.message(stream=True)
        else:
            await sidecar.chat(stream=True, stream_options={"include_usage": True})
        (span,) = await spans(receiver)
    assert span.attributes["cliproxy.stream"] is True
    assert span.attributes["gen_ai.response.finish_reasons"] == [
        {"claude": "end_turn", "gpt-4o": "stop"}[model]
    ]
    assert span.attributes["gen_ai.response.model"]
    assert span.attributes["gen_ai.usage.output_tokens"] > 0
    assert [name for name, *_ in span.events] == ["cliproxy.first_content", "cliproxy.attempt"]
    assert sorted(at for _, at, _ in span.events) == [at for _, at, _ in span.events]


async def test_a_kept_answer_is_a_span_of_the_sidecars_own(scripted_openai: ScriptedProvider) -> None:
    async with (
        Receiver().serving() as receiver,
        traced(receiver, build.built(scripted_openai), cache=Cache(), coalescing=True) as sidecar,
    ):
        await sidecar.chat()
        await sidecar.chat()
        asked, kept = await spans(receiver, 2)
    assert "cliproxy.cache" not in asked.attributes
    assert asked.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert (kept.kind, kept.attributes["cliproxy.cache"]) == ("SPAN_KIND_SERVER", "hit")
    assert "gen_ai.usage.input_tokens" not in kept.attributes, "it has used none"


async def test_a_key_that_a_provider_repeats_is_in_no_span(scripted_openai: ScriptedProvider) -> None:
    body = (
        '{"id":"sk-test","model":"sk-test","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}'
    )
    scripted_openai.script(
        Fail(status=200, body=body, headers={"content-type": "application/json"}),
        Fail(status=401, body='{"error":{"code":"sk-test","message":"sk-test"}}', headers={}),
    )
    async with Receiver().serving() as receiver, traced(receiver, build.built(scripted_openai)) as sidecar:
        headers = {"authorization": "Bearer callers-own-key", "cookie": "callers-own-cookie"}
        for _ in range(2):
            await sidecar.post("/v1/chat/completions?key=callers-own-key", chat(), headers=headers)
        assert len(await spans(receiver, 2)) == 2
    said = b"".join(one.body for one in receiver.got)
    for planted in (b"sk-test", b"callers-own", b"Hello"):
        assert planted not in said


async def test_tracing_goes_on_and_off_with_the_profile(scripted_openai: ScriptedProvider) -> None:
    provider = build.built(scripted_openai)
    async with Receiver().serving() as receiver, running_sidecar(build.push(provider)) as sidecar:
        tracing = Tracing(url=f"{receiver.url}/v1/traces", sample_rate=1.0)
        await sidecar.chat(prompt="before")
        await sidecar.push_next(build.push(provider, profile=Profile(tracing=tracing)))
        on = await sidecar.chat(prompt="on")
        await spans(receiver)
        await sidecar.push_next(build.push(provider))
        await sidecar.chat(prompt="off")
        await sidecar.push_next(build.push(provider, profile=Profile(tracing=tracing)))
        again = await sidecar.chat(prompt="again")
        found = await spans(receiver, 2)
        samples = await sidecar.metrics()
    told = [span.attributes["cliproxy.request_id"] for span in found]
    assert told == [on.headers["x-request-id"], again.headers["x-request-id"]]
    assert samples['cliproxy_trace_spans_total{result="sent"}'] >= 1
    assert samples["cliproxy_trace_queue_spans"] == 0


async def test_a_receiver_that_hangs_delays_no_request_and_no_end(scripted_openai: ScriptedProvider) -> None:
    async with Receiver(answers=["hang"] * 99).serving() as receiver:
        async with traced(receiver, build.built(scripted_openai)) as sidecar:
            await sidecar.chat()
            await receiver.until(lambda: receiver.got)
            for _ in range(20):
                assert (await sidecar.chat()).status_code == 200
        assert receiver.taken == []


@pytest.mark.parametrize(
    "parent",
    ["00-" + "0" * 32 + f"-{CALLER}-01", f"ff-{TRACE}-{CALLER}-01", f"00-{TRACE.upper()}-{CALLER}-01", "x"],
)
async def test_a_broken_context_begins_a_trace_anew(parent: str, scripted_openai: ScriptedProvider) -> None:
    async with Receiver().serving() as receiver, traced(receiver, build.built(scripted_openai)) as sidecar:
        headers = {"traceparent": parent, "tracestate": "vendor=opaque"}
        await sidecar.post("/v1/chat/completions", chat(), headers=headers)
        (span,) = await spans(receiver)
    assert (span.parent_id, span.state) == ("", "")
    sent = scripted_openai.requests[-1].headers
    assert sent["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
    assert "tracestate" not in sent


async def test_a_failure_is_recorded_although_it_was_not_chosen(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Fail(status=500, body='{"error":{"message":"no"}}', headers={}))
    async with (
        Receiver().serving() as receiver,
        traced(receiver, build.built(scripted_openai), rate=0.0) as sidecar,
    ):
        await sidecar.chat()
        failed = await sidecar.post("/v1/chat/completions", chat(), headers=UNSAMPLED)
        await sidecar.chat("nobody-has-this")
        found = await spans(receiver, 2 if failed.status_code == 200 else 3)
        lines = [line for line in sidecar.log_lines() if "trace_id" in line]
    first, last = found[0], found[-1]
    assert first.failed
    assert first.attributes["error.type"] == first.message
    assert first.attributes["cliproxy.sampled_by"] == "error"
    assert first.events[0][2]["http.response.status_code"] == 500
    assert (last.name, last.kind) == ("chat", "SPAN_KIND_SERVER"), (
        "a name that nobody serves is anybody's text"
    )
    assert last.attributes["error.type"] == "unknown_model"
    assert "gen_ai.request.model" not in last.attributes
    assert [line["trace_id"] for line in lines] == [span.trace_id for span in found]


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], **fields}
