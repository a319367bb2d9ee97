"""Waits for connections that are being accepted, so that a listener can close without leaving one half made.

asyncio takes a connection off the listening socket, then makes its transport in a task of its own. If the
listener closes between the two, that task fails quietly and nobody closes the connection ever after (CPython
3.11: `Server._attach` asserts that the server still has sockets).
"""

import asyncio
from typing import Final

_ACCEPTING: Final = "_accept_connection2"
"""Of asyncio.selector_events; uvloop has no such task, and nothing to wait for."""


async def all_accepted() -> None:
    """Return when every connection taken off a listening socket of this loop has its protocol.

    Close the listener without awaiting anything in between.
    """
    while any(_is_accepting(task) for task in asyncio.all_tasks()):  # noqa: ASYNC110 -- asyncio tells nobody
        await asyncio.sleep(0)


def _is_accepting(task: asyncio.Task[object]) -> bool:
    return getattr(task.get_coro(), "__name__", "") == _ACCEPTING
