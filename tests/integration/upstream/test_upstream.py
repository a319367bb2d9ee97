"""Both upstream clients against every way in which a provider can fail: bounded, and named for what it is."""

import asyncio

import pytest
from msgspec import structs

from cliproxy_api.snapshot import ConnectionPool, Timeouts
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import (
    Behaviour,
    Close,
    Drip,
    Fail,
    Garbage,
    HalfStream,
    Hang,
    ManyHeaders,
    Normal,
    Raw,
    Redirect,
    Reset,
    WrongLength,
)
from cliproxy_sidecar.proxy.h1.client import EngineUpstream
from cliproxy_sidecar.proxy.plan import Dial
from cliproxy_sidecar.proxy.upstream import Upstream, UpstreamFailed, UpstreamRequest
from cliproxy_sidecar.proxy.upstream_aiohttp import AiohttpUpstream

PATIENT = Timeouts(connect_s=30.0, first_byte_s=30.0, idle_s=30.0, total_s=50.0)
"""So that a busy machine does not run out of time where time is not the matter."""
HURRIED = {
    "first_byte_timeout": structs.replace(PATIENT, first_byte_s=0.2),
    "idle_timeout": structs.replace(PATIENT, first_byte_s=2.0, idle_s=0.2),  # aiohttp knows one of them only
    "total_timeout": structs.replace(PATIENT, total_s=0.2),
}
"""By the error that they lead to."""
BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}'

FAILURES: dict[str, tuple[Behaviour, str]] = {
    "reset at once": (Reset(), "reset"),
    "closed at once": (Close(), "reset"),
    "reset in the head": (Reset(after_bytes=40), "reset"),
    "reset in the body": (Reset(after_bytes=700), "reset"),
    "closed in the body": (Close(after_bytes=700), "reset"),
    "half a stream": (HalfStream(events=1, ending="close"), "reset"),
    "fewer bytes than declared": (WrongLength(delta_bytes=10), "reset"),
    "silence": (Hang(), "first_byte_timeout"),
    "silence in the head": (Hang(after_bytes=40), "first_byte_timeout"),
    "a stalled body": (Hang(after_bytes=700), "idle_timeout"),
    "no HTTP": (Garbage(), "protocol"),
    "a bad chunk": (
        Raw(data="HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n"),
        "protocol",
    ),
    "a bad length": (Raw(data="HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}"), "protocol"),
    "10,000 headers": (ManyHeaders(), "too_many_headers"),
    "a header of 100 KB": (ManyHeaders(count=1, value_bytes=100_000), "too_many_headers"),
}


@pytest.fixture(params=[EngineUpstream, AiohttpUpstream], ids=["engine", "aiohttp"])
def dial(request: pytest.FixtureRequest) -> Dial:
    """The client under test."""
    client: Dial = request.param
    return client


async def call(
    dial: Dial, base_url: str, timeouts: Timeouts = PATIENT, upstream: Upstream | None = None
) -> tuple[int, bytes]:
    """Send one chat request; return status and body."""
    client = upstream or dial(ConnectionPool())
    headers = ((b"authorization", b"Bearer sk-test"), (b"content-type", b"application/json"))
    try:
        response = await client.send(
            UpstreamRequest("POST", f"{base_url}/chat/completions", headers, BODY), timeouts
        )
        body = b""
        while chunk := await response.read():
            body += chunk
        response.close()
        return response.status, body
    finally:
        if upstream is None:
            await client.aclose()


@pytest.mark.parametrize("name", FAILURES)
async def test_failures_are_named(dial: Dial, name: str, scripted_openai: ScriptedProvider) -> None:
    behaviour, kind = FAILURES[name]
    scripted_openai.always(behaviour)
    with pytest.raises(UpstreamFailed) as caught:
        await call(dial, scripted_openai.base_url, HURRIED.get(kind, PATIENT))
    assert caught.value.error.kind == kind
    assert len(caught.value.error.message) <= 200
    assert "\n" not in caught.value.error.message
    assert len(scripted_openai.requests) == 1


async def test_an_answer_that_drips_for_ever_runs_out_of_its_total_time(
    dial: Dial,
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.always(Drip(piece_bytes=1, delay_s=0.01))
    with pytest.raises(UpstreamFailed) as caught:
        await call(dial, scripted_openai.base_url, HURRIED["total_timeout"])
    assert caught.value.error.kind == "total_timeout"


async def test_nobody_there_and_no_tls(dial: Dial, scripted_openai: ScriptedProvider) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        await call(dial, scripted_openai.base_url.replace("http:", "https:"))
    assert caught.value.error.kind == "tls"
    await scripted_openai.down()
    with pytest.raises(UpstreamFailed) as caught:
        await call(dial, scripted_openai.base_url)
    assert caught.value.error.kind == "connect"
    with pytest.raises(UpstreamFailed) as caught:
        await call(dial, "not a url")
    assert caught.value.error.kind == "protocol"


async def test_a_redirect_is_an_answer_and_not_followed(
    dial: Dial, scripted_openai: ScriptedProvider
) -> None:
    async with ScriptedProvider(kind="openai", name="elsewhere") as elsewhere:
        scripted_openai.script(Redirect(location=f"{elsewhere.base_url}/chat/completions"))
        assert (await call(dial, scripted_openai.base_url))[0] == 307
        assert elsewhere.requests == []


async def test_connections_are_kept_and_bounded(dial: Dial, scripted_openai: ScriptedProvider) -> None:
    scripted_openai.always(Normal(latency_s=0.05))
    upstream = dial(ConnectionPool(max_connections=2))
    try:
        answers = await asyncio.gather(
            *(call(dial, scripted_openai.base_url, upstream=upstream) for _ in range(8))
        )
        assert [status for status, _ in answers] == [200] * 8
        assert scripted_openai.connections == 2
    finally:
        await upstream.aclose()


async def test_a_body_that_is_not_read_closes_the_connection(
    dial: Dial, scripted_openai: ScriptedProvider
) -> None:
    scripted_openai.always(Fail(status=200, body="x" * 5_000_000))
    upstream = dial(ConnectionPool())
    try:
        request = UpstreamRequest(
            "POST",
            f"{scripted_openai.base_url}/chat/completions",
            ((b"authorization", b"Bearer sk-test"),),
            BODY,
        )
        response = await upstream.send(request, PATIENT)
        assert await response.read()
        response.close()
        async with asyncio.timeout(5):
            while scripted_openai.connections:  # noqa: ASYNC110 -- the peer has no event to wait on
                await asyncio.sleep(0.005)
    finally:
        await upstream.aclose()
