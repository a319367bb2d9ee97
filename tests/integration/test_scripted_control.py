"""The scripted providers as a process of their own (on uvloop), steered by HTTP as the demo does it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from support.providers import DEADLINE_S

MESSAGE = {"model": "claude-sonnet-5", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]}
STREAM = MESSAGE | {"stream": True}


@dataclass(frozen=True, slots=True)
class Process:
    """A running provider process: its announcements, and clients for the first provider and its control."""

    process: asyncio.subprocess.Process
    ready: list[dict[str, Any]]
    api: httpx.AsyncClient
    control: httpx.AsyncClient

    async def say(self, body: dict[str, Any] | None = None, key: str = "sk-a") -> httpx.Response:
        """Send one message to the first provider."""
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        return await self.api.post("/v1/messages", json=body or MESSAGE, headers=headers)


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cliproxy_dev.providers",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest_asyncio.fixture
async def running() -> AsyncIterator[Process]:
    process = await start(
        "--provider",
        "name=claude,kind=anthropic,key=main=sk-a,key=spare=sk-b",
        "--provider",
        "name=gpt,kind=openai",
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            ready = [json.loads(await process.stdout.readline()) for _ in range(2)]
        async with (
            httpx.AsyncClient(base_url=ready[0]["base_url"], timeout=DEADLINE_S, trust_env=False) as api,
            httpx.AsyncClient(
                base_url=ready[0]["control_url"], timeout=DEADLINE_S, trust_env=False
            ) as control,
        ):
            yield Process(process, ready, api, control)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_announces_and_stops_on_a_signal(running: Process) -> None:
    assert [(line["name"], line["kind"]) for line in running.ready] == [
        ("claude", "anthropic"),
        ("gpt", "openai"),
    ]
    assert running.ready[1]["base_url"].endswith("/v1")
    running.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(DEADLINE_S):
        _, errors = await running.process.communicate()
    assert (running.process.returncode, errors) == (0, b"")


async def test_preset_for_the_next_request_only(running: Process) -> None:
    queued = await running.control.post("/_script/preset/anthropic.rate_limit?times=1&retry_after=8")
    assert queued.json()["queued"] == "anthropic.rate_limit"
    refused = await running.say()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "8")
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert (await running.say()).status_code == 200


async def test_behaviours_steps_and_default(running: Process) -> None:
    step = {"behaviour": {"kind": "fail", "status": 500}, "times": 2, "match": {"credential": "spare"}}
    assert (await running.control.put("/_script/behaviour", json=[step])).status_code == 200
    assert [(await running.say(key=key)).status_code for key in ("sk-a", "sk-b", "sk-b", "sk-b")] == [
        200,
        500,
        500,
        200,
    ]
    await running.control.post(
        "/_script/behaviour?times=all&model=claude-sonnet-5", json={"kind": "html_body"}
    )
    assert [(await running.say()).status_code for _ in range(3)] == [502] * 3
    await running.control.request("DELETE", "/_script")
    await running.control.put("/_script/default", json={"kind": "fail", "status": 503})
    assert (await running.say()).status_code == 503
    state = (await running.control.get("/_script")).json()
    assert (state["pending"], state["default"]["kind"], state["up"]) == ([], "fail", True)


async def test_outage_and_return(running: Process) -> None:
    assert (await running.say()).status_code == 200
    assert (await running.control.post("/_script/down")).json() == {"up": False}
    with pytest.raises(httpx.ConnectError):
        await running.say()
    assert (await running.control.post("/_script/down")).json() == {"up": False}
    assert (await running.control.post("/_script/up")).json() == {"up": True}
    assert (await running.say()).status_code == 200


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"kind": "reset"}, httpx.ReadError),
        ({"kind": "reset", "after_bytes": 2000}, httpx.ReadError),
        ({"kind": "half_stream", "events": 3, "ending": "reset"}, httpx.ReadError),
        ({"kind": "half_stream", "events": 3}, httpx.RemoteProtocolError),
        ({"kind": "garbage"}, httpx.RemoteProtocolError),
        ({"kind": "many_headers"}, httpx.RemoteProtocolError),
        ({"kind": "wrong_length"}, httpx.RemoteProtocolError),
    ],
)
async def test_misbehaviour_on_uvloop(
    running: Process, behaviour: dict[str, Any], error: type[httpx.TransportError]
) -> None:
    await running.control.put("/_script/behaviour", json=behaviour)
    with pytest.raises(error):
        await running.say(STREAM)
    assert (await running.say(STREAM)).text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')


async def test_key_rotation(running: Process) -> None:
    await running.control.put("/_script/keys", json={"main": "sk-new"})
    assert (await running.say(key="sk-a")).status_code == 401
    assert (await running.say(key="sk-new")).status_code == 200


async def test_requests_and_counts_without_secrets(running: Process) -> None:
    await running.say()
    await running.say(key="sk-b")
    await running.say(key="sk-wrong")
    shown = await running.control.get("/_script/requests?since=1")
    assert [(r["number"], r["credential"]) for r in shown.json()["requests"]] == [
        (2, "spare"),
        (3, "unknown"),
    ]
    assert shown.json()["requests"][0]["headers"]["anthropic-version"] == "2023-06-01"
    assert json.loads(shown.json()["requests"][0]["body"]) == MESSAGE
    assert "sk-" not in shown.text
    counts = (await running.control.get("/_script/counts")).json()
    assert counts["by_credential"] == {"main": 1, "spare": 1, "unknown": 1}
    await running.control.request("DELETE", "/_script")
    assert (await running.control.get("/_script/counts")).json()["requests"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/_script/behaviour", b"{", 400),
        ("PUT", "/_script/behaviour", b'{"kind":"nonsense"}', 400),
        ("PUT", "/_script/behaviour", b'{"kind":"reset","afterbytes":1}', 400),
        ("PUT", "/_script/behaviour", b'{"behaviour":{"kind":"reset"},"times":0}', 400),
        ("PUT", "/_script/behaviour?times=many", b'{"kind":"reset"}', 400),
        ("POST", "/_script/preset/anthropic.nonesuch", b"", 404),
        ("POST", "/_script/preset/anthropic.rate_limit?nonsense=1", b"", 400),
        ("PUT", "/_script/keys", b"3", 400),
        ("GET", "/_script/requests?since=x", b"", 400),
        ("GET", "/elsewhere", b"", 404),
    ],
)
async def test_bad_commands_change_nothing(
    running: Process, method: str, path: str, body: bytes, status: int
) -> None:
    answer = await running.control.request(method, path, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert (await running.say()).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--provider", "kind=nonsense"), 2, b"kind is one of"),
        (("--provider", "colour=red"), 2, b"is not one of"),
        (("--host", "192.0.2.1"), 1, b"cannot listen"),
    ],
)
async def test_bad_command_lines(arguments: tuple[str, ...], code: int, words: bytes) -> None:
    process = await start(*arguments)
    async with asyncio.timeout(DEADLINE_S):
        _, errors = await process.communicate()
    assert process.returncode == code
    assert words in errors
    assert b"Traceback" not in errors
