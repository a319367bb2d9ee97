"""Bounds how much is under way at once, without letting the slow hold up the rest.

First come, first served. Who takes longer than the gate's patience gives its place back and goes on outside:
half a fleet behind a cut network must not keep the other half waiting for as long as its time-outs are.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Room for `limit` units, such as connections or bytes."""

    def __init__(self, limit: int, *, patience_s: float) -> None:
        """`patience_s` is how long a place is held at most."""
        self._limit = limit
        self._patience_s = patience_s
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        """What is taken now."""
        return self._used

    @asynccontextmanager
    async def passing(self, size: int = 1) -> AsyncIterator[None]:
        """Wait for room for `size` units, hold it meanwhile; what is larger than the limit passes alone."""
        await self._enter(size)
        given_back = False

        def give_back() -> None:
            nonlocal given_back
            if not given_back:
                given_back = True
                self._leave(size)

        timer = asyncio.get_running_loop().call_later(self._patience_s, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()

    async def _enter(self, size: int) -> None:
        if not self._waiting and self._fits(size):
            self._used += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(size)  # our turn came at the same moment
            raise

    def _leave(self, size: int) -> None:
        self._used -= size
        while self._waiting:
            wanted, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
            elif self._fits(wanted):
                self._waiting.popleft()
                self._used += wanted
                turn.set_result(None)
            else:
                return

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self._limit
