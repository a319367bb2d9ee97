"""Connections under way when a listener closes."""

import asyncio
import contextlib
import socket

from cliproxy_dev.accepting import all_accepted

CALLERS = 20


def is_accepting(task: asyncio.Task[object]) -> bool:
    return "_accept_connection" in repr(task.get_coro())


async def test_none_is_left_half_made() -> None:
    loop = asyncio.get_running_loop()
    made: list[asyncio.BaseTransport] = []

    class Noting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    server = await loop.create_server(Noting, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    with contextlib.ExitStack() as callers:
        for _ in range(CALLERS):
            callers.enter_context(socket.create_connection(address))
        while not (before := sum(is_accepting(task) for task in asyncio.all_tasks())):  # noqa: ASYNC110
            await asyncio.sleep(0)

        await all_accepted()
        server.close()

        assert before > 0 == sum(is_accepting(task) for task in asyncio.all_tasks())
        for transport in made:
            transport.close()
        await server.wait_closed()
    assert len(made) >= before
