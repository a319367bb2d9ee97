"""Requests that are answered at once: each once, in order, in bounds; all others by the application."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from cliproxy_sidecar.serverprotocol import Prompt, PromptHttpProtocol, Reply, prompt

AT_MOST = 8


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, _name: str) -> None:
        return None

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


class Desk:
    """One connection; PUT is answered at once with what came, the rest by an ASGI application."""

    def __init__(self, reply: Callable[[bytes], Reply] | None = None) -> None:
        self.taken: list[bytes] = []
        self.served = asyncio.Semaphore(0)
        """Released with each request that the application has served."""
        self._reply = reply or self._echo
        config = uvicorn.Config(self._app, ws="none", lifespan="off", interface="asgi3", log_config=None)
        self.wire = Wire()
        self.protocol: PromptHttpProtocol = prompt(self._asked)(
            config, ServerState(), {}, asyncio.get_running_loop()
        )
        self.protocol.connection_made(self.wire)  # type: ignore[arg-type]

    def _asked(self, scope: Any) -> Prompt | None:
        return Prompt(AT_MOST, self._reply) if (scope["method"], scope["path"]) == ("PUT", "/echo") else None

    def _echo(self, body: bytes) -> Reply:
        self.taken.append(body)
        return Reply(413, b"", last=True) if len(body) > AT_MOST else Reply(200, body, ((b"x-one", b"1"),))

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        self.taken.append(b"app " + scope["path"].encode() + b" " + body)
        self.served.release()

    def statuses(self) -> list[str]:
        return re.findall(r"HTTP/1\.1 (\d+)", self.wire.written.decode())

    async def end(self) -> None:
        self.protocol.connection_lost(None)
        if self.protocol.tasks:
            await asyncio.wait(self.protocol.tasks)


def put(body: bytes, *headers: str, version: str = "1.1", path: str = "/echo") -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"PUT {path} HTTP/{version}", "host: a", *headers))
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def test_it_is_answered_before_anything_else_runs() -> None:
    desk = Desk()
    desk.protocol.data_received(put(b"one"))
    assert desk.wire.written == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-one: 1\r\ncontent-length: 3\r\n\r\none"
    )
    assert not desk.protocol.tasks
    await desk.end()


@given(cuts=st.lists(st.integers(1, 120), max_size=12))
def test_however_the_bytes_are_cut_each_is_answered_once_and_in_order(cuts: list[int]) -> None:
    async def run() -> None:
        desk = Desk()
        sent = put(b"one") + put(b"") + put(b"three")
        start = 0
        for cut in [*cuts, len(sent)]:
            if start < len(sent):
                desk.protocol.data_received(sent[start : start + cut])
            start += cut
        assert desk.taken == [b"one", b"", b"three"]
        assert desk.statuses() == ["200"] * 3
        assert not desk.wire.closed
        await desk.end()

    asyncio.run(run())


async def test_behind_a_request_that_the_application_serves_it_waits_its_turn() -> None:
    desk = Desk()
    desk.protocol.data_received(put(b"x", path="/other") + put(b"one"))
    for _ in range(2):
        await desk.served.acquire()
    assert desk.taken == [b"app /other x", b"app /echo one"]
    desk.protocol.data_received(put(b"two"))
    assert desk.taken[2:] == [b"two"]
    await desk.end()


async def test_a_body_that_is_too_long_is_answered_once_and_ends_the_connection() -> None:
    desk = Desk()
    whole = put(b"123456789abc")
    desk.protocol.data_received(whole[:-4])
    assert desk.statuses() == []
    desk.protocol.data_received(whole[-4:])
    desk.protocol.data_received(put(b"one"))
    assert (desk.statuses(), desk.wire.closed) == (["413"], True)
    assert b"connection: close" in desk.wire.written
    assert len(desk.taken) == 1
    await desk.end()


@pytest.mark.parametrize("sent", [put(b"a", version="1.0"), put(b"a", "connection: close")])
async def test_who_wants_no_other_answer_gets_none(sent: bytes) -> None:
    desk = Desk()
    desk.protocol.data_received(sent)
    assert (desk.taken, desk.wire.closed) == ([b"a"], True)
    await desk.end()


async def test_a_server_that_drains_answers_what_is_on_its_way_and_closes() -> None:
    desk = Desk()
    whole = put(b"one")
    desk.protocol.data_received(whole[:-1])
    desk.protocol.shutdown()
    assert not desk.wire.closed
    desk.protocol.data_received(whole[-1:])
    assert (desk.statuses(), desk.wire.closed) == (["200"], True)
    await desk.end()

    idle = Desk()
    idle.protocol.shutdown()
    assert idle.wire.closed
    await idle.end()


async def test_who_waits_to_be_asked_for_the_body_is_served_by_the_application() -> None:
    desk = Desk()
    desk.protocol.data_received(put(b"", "expect: 100-continue"))
    await desk.served.acquire()
    assert desk.taken == [b"app /echo "]
    await desk.end()


async def test_a_bug_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    def broken(body: bytes) -> Reply:
        raise RuntimeError(f"a bug with {body!r}")

    desk = Desk(broken)
    with caplog.at_level(logging.ERROR):
        desk.protocol.data_received(put(b"a"))
    assert (desk.statuses(), desk.wire.closed) == (["500"], True)
    assert "a bug with b'a'" in caplog.text
    await desk.end()


@pytest.mark.looptime
async def test_who_is_idle_for_too_long_is_closed_counted_from_the_last_answer() -> None:
    desk = Desk()
    keep_alive_s = desk.protocol.timeout_keep_alive
    desk.protocol.data_received(put(b"one"))
    await asyncio.sleep(0.9 * keep_alive_s)
    desk.protocol.data_received(put(b"two"))
    await asyncio.sleep(0.9 * keep_alive_s)
    assert not desk.wire.closed
    await asyncio.sleep(0.2 * keep_alive_s)
    assert desk.wire.closed
    await desk.end()


@pytest.mark.looptime
async def test_who_is_being_served_is_not_idle() -> None:
    desk = Desk()
    keep_alive_s = desk.protocol.timeout_keep_alive
    desk.protocol.data_received(put(b"one"))
    whole = put(b"two")
    desk.protocol.data_received(whole[:-1])
    await asyncio.sleep(2 * keep_alive_s)
    desk.protocol.data_received(whole[-1:])
    assert desk.taken == [b"one", b"two"]
    await asyncio.sleep(1.1 * keep_alive_s)
    assert desk.wire.closed
    await desk.end()
