"""What goes through the sidecar unchanged, and the few things that change on the way."""

import asyncio
import json

import pytest

from cliproxy_api.snapshot import KEYLESS
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail, Raw
from support import build
from support.rawserver import Peer, RawServer
from support.sidecar import HOST, eventually, running_sidecar

ODD_JSON = (
    b'{ "unknown" : [1,2 , {"x":null}],\n "model":"%s" ,"n":1e3,'
    b' "messages": [{"role":"user","content":"h\\u00e9"}],"max_tokens":5,"input":"a","prompt":"b" }'
)
OPENAI_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
ANTHROPIC_PATHS = ("/v1/messages", "/v1/messages/count_tokens")


@pytest.mark.parametrize("path", OPENAI_PATHS)
async def test_openai_requests_pass_byte_for_byte_but_for_the_model(
    path: str, scripted_openai: ScriptedProvider
) -> None:
    answer = '{"object":"x", "odd" :[ 1 ],  "usage":{"prompt_tokens":3,"completion_tokens":4}}\n'
    scripted_openai.script(
        Fail(status=200, body=answer, headers={"content-type": "application/json", "x-odd": "yes"})
    )
    async with running_sidecar(
        build.push(build.built(scripted_openai, models={"fast": "gpt-4o-mini"}))
    ) as sidecar:
        response = await sidecar.post(f"{path}?beta=1&api_key=mine", ODD_JSON % b"fast")
    (seen,) = scripted_openai.requests
    assert seen.body == ODD_JSON % b"gpt-4o-mini"
    assert (seen.path, seen.query) == (path, "beta=1")
    assert response.content == answer.encode()
    assert response.headers["x-odd"] == "yes"
    assert response.headers["x-cliproxy-provider"] == "gpt"
    assert response.headers["x-cliproxy-model"] == "gpt-4o-mini"
    assert response.headers["x-cliproxy-attempts"] == "1"


@pytest.mark.parametrize("path", ANTHROPIC_PATHS)
async def test_anthropic_requests_pass_byte_for_byte_but_for_the_model(
    path: str, scripted_anthropic: ScriptedProvider
) -> None:
    answer = '{"type":"message", "odd" :[ 1 ],  "usage":{"input_tokens":3,"output_tokens":4}}\n'
    scripted_anthropic.script(Fail(status=200, body=answer, headers={"content-type": "application/json"}))
    parts = build.built(scripted_anthropic, models={"smart": "claude-opus-4"})
    async with running_sidecar(build.push(parts)) as sidecar:
        response = await sidecar.post(path, ODD_JSON % b"smart", headers={"anthropic-beta": "x-1"})
    (seen,) = scripted_anthropic.requests
    assert seen.body == ODD_JSON % b"claude-opus-4"
    assert seen.path == path
    assert seen.headers["anthropic-beta"] == "x-1"
    assert seen.headers["anthropic-version"] == "2023-06-01"
    assert response.content == answer.encode()


async def test_a_provider_without_credentials_is_asked_without_a_key(
    scripted_openai: ScriptedProvider,
) -> None:
    keyless = build.built(scripted_openai, credentials=(KEYLESS,))
    async with running_sidecar(build.push(keyless)) as sidecar:
        await sidecar.post(
            "/v1/chat/completions", ODD_JSON % b"gpt-4o", headers={"authorization": "Bearer mine"}
        )
    (seen,) = scripted_openai.requests
    assert seen.body == ODD_JSON % b"gpt-4o"
    assert "authorization" not in seen.headers


async def test_a_stream_passes_byte_for_byte(scripted_openai: ScriptedProvider) -> None:
    events = (
        b": keep-alive\n\n"
        b'data: {"choices":[{"delta":{"role":"assistant"}}]}\r\n\r\n'
        b'data:{"choices":[{"delta":{"content":"a\\u00e9"}}]}\n\n'
        b'id: 7\nretry: 10\ndata: {"choices":[],\n'
        b'data: "usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n'
        b"data: [DONE]\n\n"
    )
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(events)}\r\n\r\n"
    scripted_openai.script(Raw(data=head + events.decode("latin-1")))
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        response = await sidecar.chat(stream=True, stream_options={"include_usage": True})
        assert response.content == events
        (line,) = sidecar.log_lines("request_success")
    assert line["tokens"] == {"input": 5, "output": 2}
    assert line["stream"] is True


async def test_credentials_are_ours_and_the_callers_go_nowhere(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    stolen = {
        "authorization": "Bearer sk-callers",
        "x-api-key": "sk-callers",
        "api-key": "sk-callers",
        "cookie": "a=sk-callers",
        "x-forwarded-for": "10.1.2.3",
        "accept-encoding": "gzip",
        "user-agent": "app/1",
    }
    parts = (
        build.built(scripted_openai, headers={"X-Team": "a"}),
        build.built(scripted_anthropic, models=("claude",)),
    )
    async with running_sidecar(build.push(*parts)) as sidecar:
        await sidecar.post("/v1/chat/completions", {"model": "gpt-4o", "messages": []}, headers=stolen)
        await sidecar.post("/v1/messages", {"model": "claude", "messages": []}, headers=stolen)
    for scripted in (scripted_openai, scripted_anthropic):
        (seen,) = scripted.requests
        assert "sk-callers" not in json.dumps(seen.headers)
        assert "10.1.2.3" not in json.dumps(seen.headers)
        assert seen.credential == "main"
        assert seen.headers["user-agent"] == "app/1"
        assert seen.headers["accept-encoding"] == "identity"
    assert scripted_openai.requests[0].headers["x-team"] == "a"


async def test_the_callers_request_id_is_kept_and_the_providers_is_told_beside_it(
    scripted_openai: ScriptedProvider,
) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
        kept = await sidecar.post("/v1/chat/completions", body, headers={"x-request-id": "mine-1"})
        replaced = await sidecar.post("/v1/chat/completions", body, headers={"x-request-id": 'no"good'})
    assert kept.headers["x-request-id"] == "mine-1"
    assert replaced.headers["x-request-id"].startswith("req_")
    assert kept.headers["x-cliproxy-upstream-request-id"].startswith("req_")
    assert len(kept.headers.get_list("x-request-id")) == 1


async def test_models_are_listed_in_the_callers_shape(
    scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider
) -> None:
    parts = (
        build.built(scripted_openai, models=("gpt-4o", "org/odd")),
        build.built(scripted_anthropic, models=("claude",)),
    )
    anthropic = {"anthropic-version": "2023-06-01"}
    async with running_sidecar(build.push(*parts)) as sidecar:
        listed = (await sidecar.get("/v1/models")).json()
        assert [model["id"] for model in listed["data"]] == ["claude", "gpt-4o", "org/odd"]
        assert listed["object"] == "list"
        assert listed["data"][1]["owned_by"] == "gpt"
        assert (await sidecar.get("/v1/models/org%2Fodd")).json()["id"] == "org/odd"
        shaped = (await sidecar.get("/v1/models", headers=anthropic)).json()
        assert [model["id"] for model in shaped["data"]] == ["claude", "gpt-4o", "org/odd"]
        assert (shaped["has_more"], shaped["first_id"], shaped["last_id"]) == (False, "claude", "org/odd")
        assert (await sidecar.get("/v1/models/claude", headers=anthropic)).json()["type"] == "model"
        missing = await sidecar.get("/v1/models/nobody")
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "model_not_found"
    assert scripted_openai.requests == []


async def test_large_bodies_pass_both_ways(scripted_openai: ScriptedProvider) -> None:
    answer = json.dumps({"data": "y" * 3_000_000, "usage": {"prompt_tokens": 2, "total_tokens": 2}})
    scripted_openai.script(Fail(status=200, body=answer, headers={"content-type": "application/json"}))
    prompt = "x" * 900_000
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        response = await sidecar.post("/v1/embeddings", {"model": "gpt-4o", "input": prompt})
        assert response.content == answer.encode()
        (line,) = sidecar.log_lines("request_success")
    assert json.loads(scripted_openai.requests[0].body)["input"] == prompt
    assert line["tokens"]["input"] == 2


HALF = rb"a smile: \ud83d"


@pytest.mark.parametrize("asked", ["chat", "messages"])
@pytest.mark.parametrize("stream", [False, True])
async def test_half_a_character_breaks_neither_request_nor_answer(asked: str, *, stream: bool) -> None:
    """JavaScript's strings are cut in the middle of an emoji, and its JSON says so."""
    got: list[bytes] = []
    usage = b'"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}'
    said = b'{"id":"c","model":"m","choices":[{"index":0,"%b":{"role":"assistant","content":"%b"},'
    said %= (b"delta" if stream else b"message", HALF)
    kind, said = b"application/json", said + b'"finish_reason":"stop"}]'
    if stream:
        kind = b"text/event-stream"
        said = b'data: %b}\n\ndata: {"choices":[],%b}\n\ndata: [DONE]\n\n' % (said, usage)
    else:
        said = b"%b,%b}" % (said, usage)

    async def script(peer: Peer) -> None:
        got.append((await peer.request())[1])
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(said))
        await peer.send(head + said)

    body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"%b"}]%b}'
    options = b',"stream_options":{"include_usage":true}' if asked == "chat" else b""
    body %= (HALF, b',"stream":true' + options if stream else b"")
    path = "/v1/chat/completions" if asked == "chat" else "/v1/messages"
    async with RawServer(script) as server:
        built = build.built(base_url=f"http://127.0.0.1:{server.port}/v1", models=("m",))
        async with running_sidecar(build.push(built)) as sidecar:
            answer = await sidecar.post(path, body)
            assert answer.status_code == 200
            (line,) = sidecar.log_lines("request_success")
            assert (line["tokens"], line["attempts"]) == ({"input": 7, "output": 3}, 1)
    assert "a smile: " in answer.text
    assert "error" not in answer.text
    if asked == "chat":
        assert got == [body.replace(rb"\ud83d", rb"\ufffd")]
    assert json.loads(got[0])["messages"][0]["content"] == "a smile: \ufffd"


async def test_a_length_may_begin_with_any_number_of_zeros() -> None:
    said = b'{"data":"%b"}' % (b"x" * 1_200_000)

    async def script(peer: Peer) -> None:
        await peer.request()
        length = b"0" * 5000 + b"%d" % len(said)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %b\r\n\r\n" % length
        await peer.send(head + said)

    async with RawServer(script) as server:
        built = build.built(base_url=f"http://127.0.0.1:{server.port}/v1", models=("m",))
        async with running_sidecar(build.push(built)) as sidecar:
            reader, writer = await asyncio.open_connection(HOST, sidecar.proxy_port)
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %b13\r\n\r\n" % (b"0" * 5000)
            )
            await eventually(lambda: sidecar.sidecar.metrics.active == 1, what="the head")
            writer.write(b'{"model":"m"}')
            async with asyncio.timeout(5):
                assert b" 200 OK" in await reader.readuntil(b"\r\n")
            writer.transport.abort()
            assert "failed by a bug" not in sidecar.log_text()
