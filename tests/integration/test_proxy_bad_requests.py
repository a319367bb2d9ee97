"""What a caller does wrong is told in the caller's own format, with the right status, never with a 500."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from cliproxy_api.snapshot import Limits, Profile, SnapshotPush
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Hang
from support import build
from support.compiled import PATCHES_PARTS
from support.providers import DEADLINE_S
from support.sidecar import HOST, RunningSidecar, eventually, running_sidecar

SMALL = Profile(limits=Limits(max_body_bytes=2_000, max_concurrent_requests=2, max_header_bytes=4_000))
ANTHROPIC = {"anthropic-version": "2023-06-01"}


@pytest.fixture
async def both(scripted_openai: ScriptedProvider, scripted_anthropic: ScriptedProvider) -> SnapshotPush:
    """A snapshot with a provider of each format and small limits."""
    return build.push(
        build.built(scripted_openai),
        build.built(scripted_anthropic, models=("claude",)),
        profile=SMALL,
    )


def openai_error(status: int, text: str) -> tuple[int, str, str | None]:
    """Return status, type and code of a refusal in OpenAI's format."""
    error = json.loads(text)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return status, error["type"], error["code"]


def anthropic_error(status: int, text: str) -> tuple[int, str]:
    """Return status and type of a refusal in Anthropic's format."""
    body = json.loads(text)
    assert body["type"] == "error"
    assert body["request_id"]
    assert body["error"]["message"]
    return status, body["error"]["type"]


BODIES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "no JSON": (b"{", 400),
    "an array": (b"[]", 400),
    "no model": (b"{}", 400),
    "an empty model": (b'{"model":""}', 400),
    "a model that is no text": (b'{"model":7}', 400),
    "a stream that is no switch": (b'{"model":"gpt-4o","stream":"yes"}', 400),
    "not UTF-8": (b'{"model":"\xff"}', 400),
    "half a character for a name": (b'{"model":"\\ud800"}', 404),
    "nested too deeply": (b'{"model":' + b"[" * 900 + b"]" * 900 + b"}", 400),
    "an unknown model": (b'{"model":"nobody"}', 404),
    "too large": (b'{"model":"gpt-4o","x":"' + b"y" * 3_000 + b'"}', 413),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies_that_cannot_be_served(name: str, both: SnapshotPush) -> None:
    body, status = BODIES[name]
    async with running_sidecar(both) as sidecar:
        response = await sidecar.post("/v1/chat/completions", body)
        assert openai_error(response.status_code, response.text)[:2] == (status, "invalid_request_error")
        response = await sidecar.post("/v1/messages", body)
        expected = {404: "not_found_error", 413: "request_too_large"}.get(status, "invalid_request_error")
        assert anthropic_error(response.status_code, response.text) == (status, expected)
        assert response.headers["x-request-id"]
        assert (await sidecar.chat()).status_code == 200


async def test_a_body_without_a_length_is_bounded_too(both: SnapshotPush) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"model":"gpt-4o","x":"'
        for _ in range(100):
            yield b"y" * 1_000

    async with running_sidecar(both) as sidecar:
        response = await sidecar.client.post(f"{sidecar.proxy_url}/v1/chat/completions", content=endless())
    assert openai_error(response.status_code, response.text)[0] == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_wrong_methods(method: str, both: SnapshotPush) -> None:
    async with running_sidecar(both) as sidecar:
        response = await sidecar.client.request(method, f"{sidecar.proxy_url}/v1/chat/completions")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        response = await sidecar.client.request("POST", f"{sidecar.proxy_url}/v1/models", headers=ANTHROPIC)
        assert (response.status_code, response.headers["allow"]) == (405, "GET")
        assert anthropic_error(405, response.text) == (405, "invalid_request_error")


async def test_unknown_paths(both: SnapshotPush) -> None:
    async with running_sidecar(both) as sidecar:
        for path in (
            "/",
            "/v1",
            "/v1/responses/x",
            "/v1/chat/completions/",
            "/..%2f",
            "/metrics",
            "/v0/control/state",
        ):
            response = await sidecar.post(path, {})
            assert openai_error(response.status_code, response.text) == (
                404,
                "invalid_request_error",
                "unknown_url",
            ), path
        assert "ends in /v1" in (await sidecar.post("/chat/completions", {})).text, "what is wrong most often"
        assert "GET /v1/models lists" in (await sidecar.get("/v1/models/nobody")).text
        response = await sidecar.post("/v1/messages/batches", {})
        assert anthropic_error(response.status_code, response.text) == (404, "not_found_error")


async def test_what_no_provider_of_a_model_has_is_refused(both: SnapshotPush) -> None:
    async with running_sidecar(both) as sidecar:
        for path in ("/v1/embeddings", "/v1/completions"):
            response = await sidecar.post(path, {"model": "claude", "input": "x", "prompt": "x"})
            assert openai_error(response.status_code, response.text)[2] == "wrong_format"


async def test_headers_are_bounded(both: SnapshotPush) -> None:
    async with running_sidecar(both) as sidecar:
        response = await sidecar.post("/v1/messages", {}, headers={"x-long": "y" * 5_000})
        assert anthropic_error(response.status_code, response.text) == (431, "invalid_request_error")
        many = {f"x-{number}": "y" for number in range(1_000)}
        response = await sidecar.post("/v1/chat/completions", {}, headers=many)
        assert openai_error(response.status_code, response.text)[0] == 431


async def test_endless_headers_are_cut_off(both: SnapshotPush) -> None:
    async with running_sidecar(both) as sidecar:
        _, writer = await asyncio.open_connection(HOST, sidecar.proxy_port)
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-endless: ")
        sent_bytes = 0
        try:
            async with asyncio.timeout(DEADLINE_S):
                while sent_bytes < 64 * 1024 * 1024:
                    writer.write(b"y" * 65_536)
                    await writer.drain()
                    sent_bytes += 65_536
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
        assert sent_bytes < 8 * 1024 * 1024
        assert (await sidecar.chat()).status_code == 200


async def test_garbage_instead_of_http_harms_nobody(both: SnapshotPush) -> None:
    async with running_sidecar(both) as sidecar:
        for garbage in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"POST /v1/messages HTTP/9.9\r\n\r\n"):
            reader, writer = await asyncio.open_connection(HOST, sidecar.proxy_port)
            writer.write(garbage + b"\r\n\r\n")
            async with asyncio.timeout(DEADLINE_S):
                answer = await reader.read(100)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
            writer.transport.abort()
        assert (await sidecar.chat()).status_code == 200
        assert sidecar.log_lines("request_failed") == []


async def test_concurrency_is_bounded(both: SnapshotPush, scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Hang(), Hang())

    async def occupied(sidecar: RunningSidecar) -> None:
        await sidecar.chat()

    async with running_sidecar(both) as sidecar:
        waiting = [asyncio.ensure_future(occupied(sidecar)) for _ in range(2)]
        await eventually(lambda: sidecar.sidecar.metrics.active == 2, what="two requests under way")
        await eventually(lambda: len(scripted_openai.requests) == 2, what="both at the provider")
        refused = await sidecar.chat()
        assert openai_error(refused.status_code, refused.text) == (
            503,
            "server_error",
            "too_many_concurrent_requests",
        )
        assert int(refused.headers["retry-after"]) >= 1
        assert anthropic_error(503, (await sidecar.message()).text) == (503, "overloaded_error")
        assert (await sidecar.get("/v1/models")).status_code == 200
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await eventually(lambda: sidecar.sidecar.metrics.active == 0, what="free places")
        assert (await sidecar.chat()).status_code == 200


async def test_before_the_operator_has_spoken(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar() as sidecar:
        response = await sidecar.chat()
        assert openai_error(response.status_code, response.text)[0] == 503
        assert response.headers["retry-after"] == "2"
        assert anthropic_error(503, (await sidecar.message()).text) == (503, "overloaded_error")
        assert (await sidecar.client.get(f"{sidecar.observe_url}/health/ready")).status_code == 503
        assert (await sidecar.client.get(f"{sidecar.observe_url}/health/live")).status_code == 200
        await sidecar.push(build.push(build.built(scripted_openai)))
        assert (await sidecar.chat()).status_code == 200
        assert (await sidecar.client.get(f"{sidecar.observe_url}/health/ready")).status_code == 200


@PATCHES_PARTS
async def test_a_bug_is_logged_and_answered_in_the_callers_format(
    both: SnapshotPush, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    async with running_sidecar(both) as sidecar:
        monkeypatch.setattr("cliproxy_sidecar.proxy.course.Course.choose", bug)
        response = await sidecar.message()
        assert anthropic_error(response.status_code, response.text) == (500, "api_error")
        assert "planted" not in response.text
        (line,) = [line for line in sidecar.log_lines() if "traceback" in line]
        assert "ZeroDivisionError: planted" in line["traceback"]
        assert (await sidecar.metrics())["cliproxy_active_requests"] == 0
