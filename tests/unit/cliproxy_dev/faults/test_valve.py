"""Bytes pass, are held, come late, or never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cliproxy_dev.faults.valve import Valve

HOST = "127.0.0.1"


class Far:
    """Who is connected to: keeps what it has read, and answers each line."""

    def __init__(self) -> None:
        self.read = b""
        self.lines = asyncio.Event()
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self.read += line
                self.lines.set()
                writer.write(b"re: " + line)
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Far, Valve, asyncio.StreamReader, asyncio.StreamWriter]]:
    far = Far()
    server = await asyncio.start_server(far.serve, HOST, 0)
    valve = Valve(HOST, server.sockets[0].getsockname()[1])
    async with valve.listening(HOST, 0) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            yield far, valve, reader, writer
        finally:
            writer.close()
            server.close()
    await far.ended.wait()


async def test_bytes_pass_both_ways() -> None:
    async with connected() as (far, _, reader, writer):
        writer.write(b"one\n")
        assert await reader.readline() == b"re: one\n"
        assert far.read == b"one\n"


async def test_what_is_held_comes_when_the_valve_opens() -> None:
    async with connected() as (far, valve, reader, writer):
        writer.write(b"one\n")
        await reader.readline()
        valve.hold(there=True)
        writer.write(b"two\n")
        far.lines.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(far.lines.wait(), 0.05)
        valve.open()
        assert await reader.readline() == b"re: two\n"


async def test_an_answer_is_held_while_the_question_passes() -> None:
    async with connected() as (far, valve, reader, writer):
        valve.hold(back=True)
        writer.write(b"one\n")
        await far.lines.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.05)
        valve.open()
        assert b"one" in await reader.readline()


async def test_what_is_held_is_lost_with_its_connection() -> None:
    async with connected() as (far, valve, reader, writer):
        writer.write(b"one\n")
        await reader.readline()
        valve.hold(there=True)
        writer.write(b"two\n")
        await asyncio.sleep(0)
        valve.lose()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await far.ended.wait()
        valve.open()
        assert far.read == b"one\n"


async def test_the_end_of_either_side_ends_the_other() -> None:
    async with connected() as (far, _, _, writer):
        writer.write(b"one\n")
        await far.lines.wait()
        writer.transport.abort()
        await far.ended.wait()
