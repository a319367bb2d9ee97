"""Streams: first content at once, at the caller's pace, no way back after it, and nobody left behind."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from cliproxy_api.reuse import Cache
from cliproxy_api.snapshot import Profile, Timeouts
from cliproxy_api.vocabulary import ProviderType
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import HalfStream, Hang, Normal, Raw, StreamError
from support import build
from support.rawserver import Peer, RawServer
from support.sidecar import HOST, RunningSidecar, eventually, running_sidecar

SHORT = Timeouts(connect_s=1.0, first_byte_s=0.5, idle_s=0.3, total_s=5.0)
CHAT = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}


@contextlib.asynccontextmanager
async def raw_call(
    sidecar: RunningSidecar, body: object
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Send a chat request on a connection of its own and hand it over."""
    reader, writer = await asyncio.open_connection(HOST, sidecar.proxy_port)
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_content_goes_out_as_soon_as_it_is_there(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(HalfStream(events=3, ending="hang"))
    async with (
        running_sidecar(build.push(build.built(scripted_openai))) as sidecar,
        raw_call(sidecar, CHAT) as (
            reader,
            _,
        ),
    ):
        async with asyncio.timeout(5):
            seen = await reader.readuntil(b"You ")
    assert b"200 OK" in seen


@pytest.mark.parametrize("ending", ["close", "reset", "hang"])
async def test_a_cut_after_content_ends_in_an_error_event(
    ending: str, scripted_openai: ScriptedProvider
) -> None:
    scripted_openai.script(HalfStream(events=3, ending=ending))  # type: ignore[arg-type]
    async with (
        ScriptedProvider(kind="openai", name="spare") as spare,
        running_sidecar(
            build.push(
                build.built(scripted_openai, timeouts=SHORT), build.built(spare, name="spare", priority=2)
            )
        ) as sidecar,
    ):
        response = await sidecar.chat(stream=True)
        assert response.status_code == 200
        last = [line for line in response.text.split("\n\n") if line][-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "upstream_failed"
        assert "[DONE]" not in response.text
        assert response.headers["x-cliproxy-provider"] == "gpt"
        assert spare.requests == []
        (line,) = sidecar.log_lines("request_failed")
        assert (line["error_class"], line["status"]) == ("StreamError", 200)


async def test_a_cut_anthropic_stream_ends_in_its_own_kind_of_event(
    scripted_anthropic: ScriptedProvider,
) -> None:
    scripted_anthropic.script(HalfStream(events=4, ending="reset"))
    async with running_sidecar(build.push(build.built(scripted_anthropic, models=("claude",)))) as sidecar:
        response = await sidecar.message(stream=True)
    last = [block for block in response.text.split("\n\n") if block][-1].split("\n")
    assert last[0] == "event: error"
    assert json.loads(last[1].removeprefix("data: "))["error"]["type"] == "api_error"


async def test_an_error_event_after_content_passes_and_counts(scripted_anthropic: ScriptedProvider) -> None:
    event = (
        'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    )
    scripted_anthropic.script(StreamError(event=event, events=4))
    async with running_sidecar(build.push(build.built(scripted_anthropic, models=("claude",)))) as sidecar:
        response = await sidecar.message(stream=True)
        assert response.text.endswith(event)
        assert response.text.count("event: error") == 1
        cooling = (await sidecar.get("/v0/operations/cooldown/status")).json()["cooldown_periods"]["claude"]
        assert (cooling["class"], cooling["model"]) == ("Overloaded", "claude")


async def test_a_cut_body_that_has_begun_breaks_the_callers_connection(
    scripted_openai: ScriptedProvider,
) -> None:
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 3000000\r\n\r\n"
    scripted_openai.script(Raw(data=head + '{"data": "' + "y" * 2_000_000))
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        with pytest.raises(httpx.RemoteProtocolError):
            await sidecar.chat()
        (line,) = sidecar.log_lines("request_failed")
    assert (line["error_class"], line["status"]) == ("StreamError", 200)


async def test_a_caller_that_leaves_takes_the_providers_call_with_it(
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.script(HalfStream(events=3, ending="hang"), Hang())
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        for waits_for in (b"You ", b""):
            async with raw_call(sidecar, CHAT) as (reader, _):
                async with asyncio.timeout(5):
                    if waits_for:
                        await reader.readuntil(waits_for)
                await eventually(lambda: scripted_openai.connections == 1, what="the upstream call")
                await eventually(lambda: sidecar.sidecar.metrics.active == 1, what="the request")
            await eventually(lambda: scripted_openai.connections == 0, what="the cancelled upstream call")
        await eventually(lambda: len(sidecar.log_lines("request_failed")) == 2, what="two log lines")
        assert [line["status"] for line in sidecar.log_lines("request_failed")] == [499, 499]
        assert sidecar.sidecar.machines.cooldowns.outstanding == 0
        assert not [
            sample for sample in await sidecar.metrics() if sample.startswith("cliproxy_errors_total{")
        ]
        status = (await sidecar.get("/v0/operations/providers/status")).json()["providers"]["gpt"]
        assert (status["status"], status["requests_last_minute"]) == ("healthy", 0)


async def test_a_slow_reader_slows_the_provider_down_and_fills_no_memory(
    scripted_openai: ScriptedProvider,
) -> None:
    words = "word " * 6_000_000
    scripted_openai.script(Normal(text=words, chunks=1000))
    async with (
        running_sidecar(build.push(build.built(scripted_openai))) as sidecar,
        raw_call(sidecar, CHAT) as (
            reader,
            writer,
        ),
    ):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        callers = sidecar.sidecar.listener.connections
        await eventually(lambda: any(one.write_paused for one in callers), what="back-pressure")
        assert max(one.unsent_bytes for one in callers) < 1_000_000
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            pieces = [b""]
            while b"[DONE]" not in pieces[-1]:
                pieces.append(await reader.read(1 << 20))
    body = b"".join(pieces)
    assert body.count(b"word") == 6_000_000


async def test_many_streams_at_once_do_not_mix(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        answers = await asyncio.gather(*(sidecar.chat(prompt=f"number-{n}", stream=True) for n in range(40)))
    for number, answer in enumerate(answers):
        assert f"number-{number}." in answer.text
        assert answer.text.endswith("data: [DONE]\n\n")


async def test_a_stream_that_just_ends_is_a_cut_one(scripted_openai: ScriptedProvider) -> None:
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    said = 'data: {"choices":[{"delta":{"content":"half a"},"finish_reason":null}]}\n\n'
    whole = said + 'data: {"choices":[{"delta":{},"finish_reason": "stop"}]}\n\n'
    scripted_openai.script(Raw(data=head + said), Raw(data=head + whole))
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        cut = await sidecar.chat(stream=True)
        assert cut.text.startswith(said)
        assert (
            json.loads(cut.text.removeprefix(said).removeprefix("data: "))["error"]["code"]
            == "upstream_failed"
        )
        assert (await sidecar.chat(stream=True)).text == whole
        assert [line["error_class"] for line in sidecar.log_lines("request_failed")] == ["StreamError"]


async def test_a_huge_event_passes_in_pieces(scripted_openai: ScriptedProvider) -> None:
    text = "z" * (9 * 1024 * 1024)
    scripted_openai.script(Normal(text=text, chunks=1))
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        response = await sidecar.chat(stream=True)
    assert text in response.text
    assert response.text.endswith("data: [DONE]\n\n")


CHUNKED = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = {
    "chat": (
        'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"all of it"}}]}\n\n'
        'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        "data: [DONE]\n\n"
    ),
    "messages": (
        'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message",'
        '"role":"assistant","content":[],"model":"m","usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        '"content_block":{"type":"text","text":"all of it"}}\n\n'
        'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        '"usage":{"output_tokens":5}}\n\n'
        'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    ),
}
"""Streams that hold all that their providers say."""


@pytest.mark.parametrize("ending", ["no last chunk", "silence"])
@pytest.mark.parametrize("asked", ["chat", "messages"])
@pytest.mark.parametrize("spoken", ["chat", "messages"])
async def test_what_breaks_behind_the_end_takes_nothing_from_the_answer(
    spoken: str, asked: str, ending: str
) -> None:
    said = WHOLE[spoken]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(f"{CHUNKED}{len(said):x}\r\n{said}\r\n".encode())
        if ending == "silence":
            await peer.gone()

    async with RawServer(script) as server:
        kind = ProviderType.OPENAI if spoken == "chat" else ProviderType.ANTHROPIC
        built = build.built(
            type_=kind, base_url=f"http://127.0.0.1:{server.port}/v1", models=("m",), timeouts=SHORT
        )
        async with running_sidecar(build.push(built)) as sidecar:
            ask = sidecar.chat if asked == "chat" else sidecar.message
            answer = await ask(model="m", stream=True)
            assert sidecar.log_lines("request_failed") == []
            assert len(sidecar.log_lines("request_success")) == 1
    assert "all of it" in answer.text
    assert "error" not in answer.text
    assert answer.text.endswith(WHOLE[asked][-15:])
    if asked == spoken:
        assert answer.text == said


def choice(index: int, content: str, reason: str | None) -> str:
    delta = {"content": content} if content else {}
    told = {"choices": [{"index": index, "delta": delta, "finish_reason": reason}]}
    return f"data: {json.dumps({'id': 'c', 'model': 'm', **told}, separators=(',', ':'))}\n\n"


def candidate(index: int, content: str, reason: str | None) -> str:
    told = {"index": index, "content": {"parts": [{"text": content}] if content else []}}
    return f"data: {json.dumps({'candidates': [told | ({'finishReason': reason} if reason else {})]})}\n\n"


ONE_OF_TWO = {
    "in the other": ((0, "one", None), (1, "two", None), (0, "", "stop"), (1, "half", None)),
    "in the other, after a while": ((0, "one", "stop"), *((1, f"half {n}", None) for n in range(9))),
    "with a reason in every chunk": ((0, "one", ""), (0, "half", "")),
}


@pytest.mark.parametrize("ending", ["reset", "close"])
@pytest.mark.parametrize("way", ONE_OF_TWO)
@pytest.mark.parametrize("kind", ["openai", "gemini"])
async def test_a_stream_that_is_cut_behind_one_choices_end_is_cut(kind: str, way: str, ending: str) -> None:
    chats = kind == "openai"
    write = choice if chats else candidate
    said = [write(*piece) for piece in ONE_OF_TWO[way]]
    whole = [*said, write(ONE_OF_TWO[way][-1][0], "", "stop" if chats else "STOP")]
    for cut, pieces in ((True, said), (False, whole)):

        async def script(peer: Peer, pieces: list[str] = pieces) -> None:
            await peer.request()
            await peer.send(CHUNKED.encode())
            for piece in pieces:
                await peer.send(f"{len(piece):x}\r\n{piece}\r\n".encode())
            if ending == "close":
                await peer.send(b"0\r\n\r\n")

        async with RawServer(script) as server:
            built = build.built(
                type_=ProviderType(kind),
                base_url=f"http://127.0.0.1:{server.port}/v1",
                models=("m",),
                timeouts=SHORT,
            )
            async with running_sidecar(build.push(built)) as sidecar:
                path = "/v1beta/models/m:streamGenerateContent?alt=sse"
                asked = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
                answer = await (sidecar.chat("m", stream=True) if chats else sidecar.post(path, asked))
                assert len(sidecar.log_lines("request_failed")) == int(cut)
        assert answer.text.startswith("".join(pieces))
        assert ("broke off" in answer.text) == cut


async def test_a_text_about_the_end_is_none_and_its_cut_is_not_kept(
    scripted_openai: ScriptedProvider,
) -> None:
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    said = 'data: {"choices":[{"delta":{"content":"A stream ends with data: [DONE]"}}]}\n\n'
    scripted_openai.script(Raw(data=head + said), Raw(data=head + said))
    profile = Profile(cache=Cache())
    async with running_sidecar(build.push(build.built(scripted_openai), profile=profile)) as sidecar:
        for _ in range(2):
            answer = await sidecar.chat(stream=True)
            assert answer.headers["x-cliproxy-cache"] == "miss"
            assert "upstream_failed" in answer.text


@pytest.mark.parametrize("kind", ["", "content-type: text/plain; charset=utf-8\r\n"])
@pytest.mark.parametrize("asked", ["chat", "messages"])
@pytest.mark.parametrize("begin", ["", ": hello\n\n", "\ufeff"])
async def test_a_stream_that_does_not_say_what_it_is(begin: str, asked: str, kind: str) -> None:
    said = (begin + WHOLE["chat"]).encode()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(f"HTTP/1.1 200 OK\r\n{kind}content-length: {len(said)}\r\n\r\n".encode() + said)

    async with RawServer(script) as server:
        built = build.built(base_url=f"http://127.0.0.1:{server.port}/v1", models=("m",))
        async with running_sidecar(build.push(built)) as sidecar:
            ask = sidecar.chat if asked == "chat" else sidecar.message
            answer = await ask(model="m", stream=True)
            assert len(sidecar.log_lines("request_success")) == 1
    assert "all of it" in answer.text
    assert answer.content == said if asked == "chat" else answer.text.endswith(WHOLE["messages"][-15:])


async def test_why_an_answer_cannot_be_translated_is_told() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

    async with RawServer(script) as server:
        built = build.built(base_url=f"http://127.0.0.1:{server.port}/v1", models=("m",))
        async with running_sidecar(build.push(built)) as sidecar:
            answer = await sidecar.message(model="m")
    assert answer.status_code == 502
    assert "`choices` of the answer is not what it must be" in answer.json()["error"]["message"]
