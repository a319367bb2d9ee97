"""Each misbehaviour of the scripted providers as it looks on the wire."""

import asyncio
import gzip
import re

import httpx
import pytest

from cliproxy_dev.providers import presets
from cliproxy_dev.providers.answer import LAST_CHUNK
from cliproxy_dev.providers.play import Ending
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
    Match,
    Normal,
    Raw,
    Redirect,
    Reset,
    Step,
    StreamError,
    WrongLength,
)
from support.providers import DEADLINE_S, KEY, chat_request, converse

AUTH = {"authorization": f"Bearer {KEY}"}
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


async def post(provider: ScriptedProvider, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False) as client:
        url = f"{provider.base_url}/chat/completions"
        return await client.post(url, json=CHAT, headers=AUTH | headers)


async def works_again(provider: ScriptedProvider) -> None:
    assert (await post(provider)).json()["choices"]


# ------------------------------------------------------------------ sound HTTP
async def test_keep_alive_and_pipelining_answer_in_order(scripted_openai: ScriptedProvider) -> None:
    sent = b"".join(chat_request(f"number{n}") for n in range(40))
    last = chat_request("last").replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
    heard = await converse(scripted_openai, sent + last)
    assert heard.ending == "end"
    told = re.findall(rb"You said: (\w+)", heard.data)
    assert told == [*(f"number{n}".encode() for n in range(40)), b"last"]


async def test_slow_work_keeps_the_order_of_pipelined_requests(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Normal(latency_s=0.01), Drip(piece_bytes=50), Normal())
    sent = b"".join(chat_request(f"number{n}") for n in range(3))
    last = chat_request("last").replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
    heard = await converse(scripted_openai, sent + last)
    assert re.findall(rb"You said: (\w+)", heard.data) == [b"number0", b"number1", b"number2", b"last"]


async def test_http10_gets_no_chunks_and_a_close(scripted_openai: ScriptedProvider) -> None:
    heard = await converse(scripted_openai, chat_request(stream=True).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert heard.ending == "end"
    assert "chunked" not in heard.head
    assert heard.body.endswith(b"data: [DONE]\n\n")
    assert heard.body.startswith(b"data: {")


async def test_expect_continue_is_invited(scripted_openai: ScriptedProvider) -> None:
    sent = chat_request().replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n", 1)
    heard = await converse(scripted_openai, sent, until=b"total_tokens")
    assert heard.data.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_what_is_no_http_gets_400_and_a_close(scripted_openai: ScriptedProvider) -> None:
    heard = await converse(scripted_openai, b"\x16\x03\x01 hello\r\n\r\n")
    assert heard.head.startswith("HTTP/1.1 400 ")
    assert heard.ending == "end"


async def test_request_byte_by_byte_is_understood(scripted_openai: ScriptedProvider) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", scripted_openai.port)
    async with asyncio.timeout(DEADLINE_S):
        for byte in chat_request("slowly"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    writer.transport.abort()
    assert b"slowly" in scripted_openai.requests[0].body


async def test_too_large_body_is_refused_in_the_providers_words(scripted_openai: ScriptedProvider) -> None:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        url = f"{scripted_openai.base_url}/chat/completions"
        answer = await client.post(url, content=b" " * (32 * 1024 * 1024 + 1), headers=AUTH)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "invalid_request_error"
    await works_again(scripted_openai)


async def test_faults_of_the_caller(scripted_openai: ScriptedProvider) -> None:
    async with httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False, headers=AUTH) as client:
        base = scripted_openai.base_url
        broken = await client.post(f"{base}/chat/completions", content=b"{")
        typed = await client.post(f"{base}/chat/completions", json={"model": "gpt-4o", "messages": "hi"})
        missing = await client.post(f"{base}/chat/completions", json={"model": "gpt-4o"})
        method = await client.get(f"{base}/chat/completions")
        path = await client.post(f"{base}/nonesuch", json={})
    assert [a.status_code for a in (broken, typed, missing, method, path)] == [400, 400, 400, 405, 404]
    assert typed.json()["error"]["param"] == missing.json()["error"]["param"] == "messages"
    assert "parse the JSON" in broken.json()["error"]["message"]


# ------------------------------------------------------------------ knobs
async def test_gzip_only_for_who_accepts_it(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Normal(gzip=True), times=2)
    packed = await converse(
        scripted_openai,
        chat_request(stream=True).replace(
            b"\r\n\r\n", b"\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n", 1
        ),
    )
    plain = await post(scripted_openai, **{"accept-encoding": "identity"})
    assert "content-encoding: gzip" in packed.head
    assert gzip.decompress(_unchunk(packed.body)).endswith(b"data: [DONE]\n\n")
    assert "content-encoding" not in plain.headers


def _unchunk(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return whole


async def test_stream_has_the_asked_pieces_one_write_each(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(
        Normal(chunks=4, chunk_delay_s=0.001, headers={"X-RateLimit-Remaining-Requests": "0"})
    )
    sent = chat_request(stream=True)
    heard = await converse(scripted_openai, sent, until=LAST_CHUNK)
    assert heard.body.count(b'"delta":{"content":"') == 4
    assert heard.head.lower().count("x-ratelimit-remaining-requests: ") == 1
    assert "x-ratelimit-remaining-requests: 0" in heard.head


# ------------------------------------------------------------------ refusals
@pytest.mark.parametrize("name", presets.names())
async def test_every_preset_is_sent_as_recorded(scripted_openai: ScriptedProvider, name: str) -> None:
    record = presets.signal(name)
    scripted_openai.script(scripted_openai.preset(name))
    if record.stream_event is not None:
        heard = await converse(scripted_openai, chat_request(stream=True), until=LAST_CHUNK)
        assert record.stream_event.encode() in heard.data
        assert heard.head.startswith("HTTP/1.1 200 ")
        return
    answer = await post(scripted_openai)
    assert answer.status_code == record.status
    assert set(record.headers) <= set(answer.headers)
    assert len(answer.text) == len(record.body)


async def test_html_redirect_and_plain_failure(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(
        HtmlBody(status=200),
        Redirect(location="http://127.0.0.1:1/"),
        Fail(status=418, body="tea", headers={"a": "b"}),
    )
    page, moved, failed = [await post(scripted_openai) for _ in range(3)]
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html")
    assert (moved.status_code, moved.headers["location"]) == (307, "http://127.0.0.1:1/")
    assert (failed.status_code, failed.text, failed.headers["a"]) == (418, "tea", "b")


# ------------------------------------------------------------------ the wire
@pytest.mark.parametrize(
    ("behaviour", "ending", "size_bytes"),
    [
        (Reset(), "reset", 0),
        (Reset(after_bytes=100), "reset", 100),
        (Close(), "end", 0),
        (Close(after_bytes=100), "end", 100),
        (Garbage(size_bytes=99), "end", 99),
        (Raw(data="HTTP/1.1 200 OK\r\nx: \xff\r\n\r\n"), "end", 25),
    ],
)
async def test_cut_off_answers(
    scripted_openai: ScriptedProvider, behaviour: Behaviour, ending: str, size_bytes: int
) -> None:
    scripted_openai.script(behaviour)
    heard = await converse(scripted_openai, chat_request())
    assert (heard.ending, len(heard.data)) == (ending, size_bytes)
    await works_again(scripted_openai)


@pytest.mark.parametrize("ending", ["close", "reset", "hang"])
async def test_half_a_stream(scripted_openai: ScriptedProvider, ending: Ending) -> None:
    scripted_openai.script(HalfStream(events=3, ending=ending))
    until = b"said: " if ending == "hang" else None
    heard = await converse(scripted_openai, chat_request(stream=True), until=until)
    assert heard.ending == {"close": "end", "reset": "reset", "hang": "open"}[ending]
    assert heard.body.count(b"data: ") == 3
    assert b"[DONE]" not in heard.body


async def test_half_a_body_when_no_stream_was_asked_for(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(HalfStream())
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        await post(scripted_openai)


async def test_hanging_ends_when_the_caller_leaves(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Hang(), Hang(after_bytes=60))
    for after_bytes in (0, 60):
        reader, writer = await asyncio.open_connection("127.0.0.1", scripted_openai.port)
        writer.write(chat_request())
        async with asyncio.timeout(DEADLINE_S):
            assert len(await reader.readexactly(after_bytes)) == after_bytes
            await scripted_openai.wait_for_requests(1)
            assert scripted_openai.connections == 1
            writer.transport.abort()
            while scripted_openai.connections:  # noqa: ASYNC110 -- a condition in the server, with a deadline
                await asyncio.sleep(0)
    await works_again(scripted_openai)


async def test_stream_error_ends_in_good_order(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(StreamError(event="data: {}\n\n", events=2))
    heard = await converse(scripted_openai, chat_request(stream=True), until=LAST_CHUNK)
    assert _unchunk(heard.body).count(b"data: ") == 3
    assert _unchunk(heard.body).endswith(b"\n\ndata: {}\n\n")


async def test_many_headers(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(ManyHeaders(count=10_000))
    heard = await converse(scripted_openai, chat_request(), until=b"total_tokens")
    assert heard.head.count("x-filler-") == 10_000


async def test_byte_by_byte_is_still_the_whole_answer(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Drip(), Drip(delay_s=0.001, piece_bytes=7, pieces=5))
    for _ in range(2):
        assert (await post(scripted_openai)).json()["object"] == "chat.completion"


@pytest.mark.parametrize("chunked", [True, False])
async def test_huge_body_waits_for_the_reader(scripted_openai: ScriptedProvider, *, chunked: bool) -> None:
    size_bytes = 8 * 1024 * 1024
    scripted_openai.script(HugeBody(size_bytes=size_bytes, chunked=chunked))
    answer = await post(scripted_openai)
    assert len(answer.content) >= size_bytes
    assert answer.json()["pad"].strip() == ""
    await works_again(scripted_openai)


@pytest.mark.parametrize(("delta_bytes", "message"), [(10, "complete message body"), (-10, None)])
async def test_wrong_length(scripted_openai: ScriptedProvider, delta_bytes: int, message: str | None) -> None:
    scripted_openai.script(WrongLength(delta_bytes=delta_bytes))
    if message is not None:
        with pytest.raises(httpx.RemoteProtocolError, match=message):
            await post(scripted_openai)
    else:
        heard = await converse(scripted_openai, chat_request())
        declared = int(heard.head.partition("content-length: ")[2].partition("\r\n")[0])
        assert len(heard.body) - declared == 10


# ------------------------------------------------------------------ outage and matching
async def test_outage_resets_refuses_and_comes_back_on_the_same_port(
    scripted_openai: ScriptedProvider,
) -> None:
    port = scripted_openai.port
    scripted_openai.script(Hang())
    waiting = asyncio.ensure_future(converse(scripted_openai, chat_request()))
    await scripted_openai.wait_for_requests(1)
    await scripted_openai.down()
    assert (await waiting).ending == "reset"
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    await scripted_openai.up()
    assert scripted_openai.port == port
    await works_again(scripted_openai)


async def test_probes_do_not_use_up_a_refusal(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Step(behaviour=Fail(status=429), match=Match(model="gpt-4o", credential="main")))
    async with httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False, headers=AUTH) as client:
        assert (await client.get(f"{scripted_openai.base_url}/models")).status_code == 200
    assert (await post(scripted_openai)).status_code == 429
    assert (await post(scripted_openai)).status_code == 200
    assert scripted_openai.counts["by_behaviour"] == {"normal": 2, "fail": 1}
