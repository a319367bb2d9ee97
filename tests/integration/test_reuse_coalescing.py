"""Identical requests in flight: one upstream request, everybody's answer, nobody's departure anybody's harm.

The provider is a raw server that goes on when the test says so, so what is in flight together is no chance.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cliproxy_api.reuse import Cache
from cliproxy_api.snapshot import Profile
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_sidecar.proxy.reuse import flight as flights
from support import build
from support.rawserver import Peer, RawServer
from support.sidecar import HOST, RunningSidecar, eventually, running_sidecar

COALESCED = Profile(name="gold", coalescing=True)
BOTH = Profile(name="gold", coalescing=True, cache=Cache())
STREAM = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
WHOLE = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
PATH = "/v1/chat/completions"


def chunk(text: str, **more: Any) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}
    data = b"data: " + json.dumps(delta).encode() + b"\n\n"
    return b"%x\r\n" % len(data) + data + b"\r\n"


def whole(status: bytes, body: Any) -> bytes:
    data = json.dumps(body).encode()
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(data)) + data


END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
GOOD = whole(b"200 OK", {"choices": [{"index": 0, "message": {"content": "Hi"}}], "usage": USAGE})


class Gated:
    """A provider that answers each request with the next answer, whose pieces wait for the gate."""

    def __init__(self, *answers: list[bytes]) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.gone = 0
        self.gate = asyncio.Semaphore(0)

    async def __call__(self, peer: Peer) -> None:
        while True:
            await peer.request()
            self.asked += 1
            pieces = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            for piece in pieces:
                waiting = asyncio.ensure_future(self.gate.acquire())
                leaving = asyncio.ensure_future(peer.gone())
                await asyncio.wait([waiting, leaving], return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    waiting.cancel()
                    self.gone += 1
                    return
                leaving.cancel()
                await asyncio.gather(leaving, return_exceptions=True)
                if not piece:
                    return
                await peer.send(piece)

    def go(self, pieces: int = 1) -> None:
        """Let this many pieces out."""
        for _ in range(pieces):
            self.gate.release()


@contextlib.asynccontextmanager
async def setup(gated: Gated, profile: Profile = COALESCED) -> AsyncIterator[RunningSidecar]:
    async with RawServer(gated) as server:
        part = build.built(base_url=server.url.removesuffix("/chat/completions"), name="gpt")
        async with running_sidecar(build.push(part, profile=profile)) as sidecar:
            yield sidecar


def listeners(sidecar: RunningSidecar) -> int:
    return sum(len(flight._listeners) for flight in sidecar.sidecar.shelf.flights.values())


def ask(sidecar: RunningSidecar, body: object = WHOLE) -> asyncio.Task[httpx.Response]:
    return asyncio.ensure_future(sidecar.post(PATH, body))


class Reader:
    """A caller on a connection of its own that can leave at any time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.seen = b""

    @classmethod
    async def ask(cls, sidecar: RunningSidecar, body: object = STREAM) -> "Reader":
        reader, writer = await asyncio.open_connection(HOST, sidecar.proxy_port)
        data = json.dumps(body).encode()
        writer.write(
            b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (PATH.encode(), len(data))
        )
        writer.write(data)
        return cls(reader, writer)

    async def until(self, text: bytes) -> bytes:
        async with asyncio.timeout(10):
            while text not in self.seen:
                piece = await self._reader.read(65536)
                assert piece, self.seen
                self.seen += piece
        return self.seen

    def leave(self) -> None:
        self._writer.transport.abort()


@pytest.mark.parametrize("profile", [COALESCED, BOTH], ids=["alone", "with-cache"])
async def test_identical_requests_share_one_answer(profile: Profile) -> None:
    gated = Gated([GOOD])
    async with setup(gated, profile) as sidecar:
        calls = [ask(sidecar) for _ in range(5)]
        other = ask(sidecar, {**WHOLE, "seed": 1})
        await eventually(lambda: listeners(sidecar) == 6)
        gated.go(2)
        answers = await asyncio.gather(*calls)
        await other
        lines = sidecar.log_lines("request_success")
        metrics = await sidecar.metrics()
    assert gated.asked == 2
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.headers["x-cliproxy-cache"] for answer in answers) == ["miss"] + ["shared"] * 4
    assert len({answer.headers["x-request-id"] for answer in answers}) == 5
    assert {answer.headers["x-cliproxy-provider"] for answer in answers} == {"gpt"}
    assert sorted(line["tokens"]["output"] for line in lines) == [0, 0, 0, 0, 5, 5]
    assert [line["provider"] for line in lines] == ["gpt"] * 6
    assert metrics["cliproxy_coalesced_requests_total"] == 4
    assert metrics['cliproxy_tokens_total{model="gpt-4o",provider="gpt",type="output"}'] == 10
    assert metrics["cliproxy_active_requests"] == 0


async def test_who_joins_a_stream_late_gets_it_from_the_beginning_and_at_once() -> None:
    gated = Gated([STREAM_HEAD + chunk("one "), chunk("two "), chunk("three "), END])
    async with setup(gated, BOTH) as sidecar:
        first = await Reader.ask(sidecar)
        gated.go()
        await first.until(b"one ")
        second = await Reader.ask(sidecar)
        await second.until(b"one ")  # though nothing more has come from the provider
        gated.go()
        await second.until(b"two ")
        third = await Reader.ask(sidecar)
        await third.until(b"two ")
        gated.go(2)
        bodies = {(await one.until(b"0\r\n\r\n")).partition(b"\r\n\r\n")[2] for one in (first, second, third)}
        texts = {body.count(b"one ") + body.count(b"two ") + body.count(b"three ") for body in bodies}
        replayed = await sidecar.post(PATH, STREAM)
        for one in (first, second, third):
            one.leave()
    assert gated.asked == 1
    assert texts == {3}
    assert b"x-cliproxy-cache: shared" in second.seen
    assert replayed.headers["x-cliproxy-cache"] == "hit"
    assert replayed.content.count(b"data: ") == 4


async def test_a_follower_that_leaves_harms_nobody() -> None:
    gated = Gated([STREAM_HEAD + chunk("one "), chunk("two "), END])
    async with setup(gated) as sidecar:
        first = await Reader.ask(sidecar)
        gated.go()
        await first.until(b"one ")
        second = await Reader.ask(sidecar)
        await second.until(b"one ")
        second.leave()
        await eventually(lambda: listeners(sidecar) == 1)
        gated.go(2)
        await first.until(b"[DONE]")
        first.leave()
        await eventually(lambda: len(sidecar.log_lines("request_failed")) == 1)
    assert gated.asked == 1


async def test_the_first_caller_may_leave_and_the_others_get_their_answer() -> None:
    gated = Gated([STREAM_HEAD + chunk("one "), chunk("two ", usage=USAGE), END])
    async with setup(gated) as sidecar:
        first = await Reader.ask(sidecar)
        gated.go()
        await first.until(b"one ")
        second = await Reader.ask(sidecar)
        await second.until(b"one ")
        first.leave()
        await eventually(lambda: listeners(sidecar) == 1)
        third = await Reader.ask(sidecar)
        await third.until(b"one ")
        gated.go(2)
        await second.until(b"[DONE]")
        await third.until(b"[DONE]")
        await eventually(lambda: len(sidecar.log_lines("request_failed")) == 1)
        left = sidecar.log_lines("request_failed")[0]
        second.leave()
        third.leave()
        metrics = await sidecar.metrics()
    assert gated.asked == 1
    assert gated.gone == 0
    # What the answer cost stands in the account of who asked for it.
    assert (left["status"], left["tokens"]) == (499, {"input": 7, "output": 5})
    assert metrics["cliproxy_active_requests"] == 0


async def test_when_all_have_left_the_provider_is_let_go() -> None:
    gated = Gated([STREAM_HEAD + chunk("one "), chunk("two "), END])
    async with setup(gated) as sidecar:
        first = await Reader.ask(sidecar)
        gated.go()
        await first.until(b"one ")
        second = await Reader.ask(sidecar)
        await second.until(b"one ")
        first.leave()
        second.leave()
        await eventually(lambda: gated.gone == 1)
        await eventually(lambda: len(sidecar.log_lines("request_failed")) == 2)
        assert sidecar.sidecar.shelf.flights == {}
        assert (await sidecar.metrics())["cliproxy_active_requests"] == 0


async def test_an_error_that_is_the_requests_own_fault_is_shared() -> None:
    error = {"error": {"message": "no such thing", "type": "invalid_request_error", "param": "seed"}}
    gated = Gated([whole(b"400 Bad Request", error)])
    async with setup(gated, BOTH) as sidecar:
        calls = [ask(sidecar) for _ in range(3)]
        await eventually(lambda: listeners(sidecar) == 3)
        gated.go()
        answers = await asyncio.gather(*calls)
        assert [answer.status_code for answer in answers] == [400] * 3
        assert gated.asked == 1
        gated.go()
        assert (await sidecar.post(PATH, WHOLE)).headers["x-cliproxy-cache"] == "miss"


async def test_after_any_other_error_each_goes_on_its_own() -> None:
    gated = Gated([whole(b"500 Internal Server Error", {"error": {"message": "x"}})], [GOOD])
    async with setup(gated) as sidecar:
        calls = [ask(sidecar) for _ in range(3)]
        await eventually(lambda: listeners(sidecar) == 3)
        gated.go(3)
        answers = await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 502]
    assert [answer.headers["x-cliproxy-cache"] for answer in answers] == ["miss"] * 3
    assert gated.asked == 3


async def test_a_stream_that_is_cut_is_cut_for_all_and_kept_for_none() -> None:
    gated = Gated([STREAM_HEAD + chunk("one "), b""], [STREAM_HEAD + chunk("two "), END])
    async with setup(gated, BOTH) as sidecar:
        first = await Reader.ask(sidecar)
        gated.go()
        await first.until(b"one ")
        second = await Reader.ask(sidecar)
        await second.until(b"one ")
        gated.go()
        for one in (first, second):
            assert b'"upstream_failed"' in await one.until(b"0\r\n\r\n")
            one.leave()
        await eventually(lambda: len(sidecar.log_lines("request_failed")) == 2)
        gated.go(2)
        again = await sidecar.post(PATH, STREAM)
    assert again.headers["x-cliproxy-cache"] == "miss"
    assert b"two " in again.content


async def test_a_caller_that_wants_a_fresh_answer_shares_none() -> None:
    gated = Gated([GOOD])
    async with setup(gated) as sidecar:
        call = ask(sidecar)
        await eventually(lambda: gated.asked == 1)
        fresh = asyncio.ensure_future(sidecar.post(PATH, WHOLE, headers={"cache-control": "no-cache"}))
        await eventually(lambda: gated.asked == 2)
        gated.go(2)
        words = [(await one).headers["x-cliproxy-cache"] for one in (call, fresh)]
    assert words == ["miss", "bypass"]


async def test_a_caller_that_does_not_read_is_given_up_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flights, "STALL_S", 0.05)
    pieces = [chunk("x" * 200_000) for _ in range(60)]  # far above what sockets hold
    gated = Gated([STREAM_HEAD, *pieces, END])
    async with setup(gated) as sidecar:
        stalled = await Reader.ask(sidecar)
        gated.go()
        await eventually(lambda: listeners(sidecar) == 1)
        second = await Reader.ask(sidecar)
        await eventually(lambda: listeners(sidecar) == 2)
        gated.go(61)
        await second.until(b"[DONE]")
        await eventually(lambda: [line["status"] for line in sidecar.log_lines("request_failed")] == [499])
        stalled.leave()
        second.leave()
    assert second.seen.count(b"data: ") == 61


async def test_a_slow_caller_that_nobody_waits_for_keeps_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "STALL_S", 0.02)
    pieces = [chunk("x" * 200_000) for _ in range(60)]
    gated = Gated([STREAM_HEAD, *pieces, END])
    async with setup(gated) as sidecar:
        alone = await Reader.ask(sidecar)
        gated.go(62)
        await eventually(lambda: listeners(sidecar) == 1)
        flight = next(iter(sidecar.sidecar.shelf.flights.values()))
        waits: set[asyncio.Event] = set()

        def has_waited() -> bool:
            if flight._progress is not None:
                waits.add(flight._progress)
            return len(waits) > 3

        await eventually(has_waited, what="waiting several times for a caller that does not read")
        await alone.until(b"[DONE]")
        alone.leave()
    assert alone.seen.count(b"data: ") == 61


async def test_large_answers_can_be_joined_only_while_they_are_held_whole() -> None:
    gated = Gated([STREAM_HEAD + chunk("one "), chunk("x" * 1_200_000), END])
    async with setup(gated, BOTH) as sidecar:
        first = await Reader.ask(sidecar)
        gated.go(2)
        await first.until(b'xxx"}')
        late = await Reader.ask(sidecar)
        await eventually(lambda: gated.asked == 2)
        gated.go(4)
        for one in (first, late):
            await one.until(b"[DONE]")
            one.leave()
        assert b"x-cliproxy-cache: miss" in late.seen
        assert sidecar.sidecar.shelf.entries == 0


async def test_sdk_callers_share_a_stream(scripted_openai: ScriptedProvider) -> None:
    import openai  # noqa: PLC0415 -- takes a second, and only this test wants it

    async with (
        running_sidecar(build.push(build.built(scripted_openai), profile=COALESCED)) as sidecar,
        openai.AsyncOpenAI(base_url=f"{sidecar.proxy_url}/v1", api_key="x", max_retries=0) as client,
    ):

        async def read() -> str:
            messages: Any = WHOLE["messages"]
            stream = await client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
            return "".join([part.choices[0].delta.content or "" async for part in stream if part.choices])

        texts = await asyncio.gather(*(read() for _ in range(4)))
    assert len(set(texts)) == 1
    assert "Hello" in texts[0]
