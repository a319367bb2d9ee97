"""One answer on its way to all who asked the same: each reads it from the beginning, at its own pace.

The exchange runs in a task of its own and sends here, so it lives on while anybody listens; the first caller
is a listener like the others. Who may join is `front`'s to ask, whose fault an error is as well.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from cliproxy_sidecar.core.h1request import Request
from cliproxy_sidecar.core.headers import Header, block_of, headers_of
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.proxy.relay import BrokenAnswer
from cliproxy_sidecar.proxy.reuse.call import MISS, SHARED, Call, own_head, told

MAX_HELD_BYTES: Final = 1024 * 1024
"""Of an answer. Up to here it is held from its beginning, so that others can join; beyond, nobody can, and
what all have read is let go."""
PIECE_BYTES: Final = 64 * 1024
"""That a caller is given at once, so that one that reads slowly can be told from one that does not read."""
STALL_S: Final = 10.0
"""How long a caller that does not read may keep the others waiting once `MAX_HELD_BYTES` are held."""


class Listener:
    """One caller of the answer."""

    __slots__ = ("at", "call", "leads", "task")

    def __init__(self, call: Call, *, leads: bool) -> None:
        self.call = call
        self.leads = leads
        self.at = 0
        """Parts of the body that have gone out."""
        self.task: asyncio.Task[object] | None = None


class Flight:
    """One answer; it is the exchange's `Sink`, `listen` is a caller's end."""

    def __init__(self, request: Request, is_shared: Callable[[], bool]) -> None:
        """`is_shared`: whether the answer that begins is for followers, too."""
        self.request: Request = request
        self.keeps = True
        self.host: asyncio.Task[None] | None = None
        """Runs the exchange."""
        self._is_shared = is_shared
        self._parts: list[bytes] = []
        self._base = 0
        """Parts before those held."""
        self._held_bytes = 0
        self._listeners: set[Listener] = set()
        self._change = asyncio.Event()
        self._progress: asyncio.Event | None = None
        self.status = 0
        self.headers: list[Header] = []
        self._length: int | None = None
        """Of the body, as its head declares it."""
        self._ended = False
        self._alone = False
        """The answer is for the first caller only, or there is none."""
        self._broken = False
        self._settled = False
        self._whole = True
        """Held from its beginning."""
        self.outcome: Outcome | None = None
        self.provider: str | None = None
        self.paid: tuple[str, int] = ("", 0)
        """To whom (its id) and how many nano-dollars, once settled."""

    # ------------------------------------------------------------------ the exchange's end
    def begin(self, status: int, block: bytes, length: int | None = None) -> None:
        """Take the head."""
        self.status, self.headers, self._length = status, headers_of(block), length
        self._alone = not self._is_shared()
        self._moved()

    async def write(self, data: bytes) -> None:
        """Take bytes of the body; waits for the slowest caller once much is held."""
        self._take(data)
        if self._held_bytes > MAX_HELD_BYTES:
            self._whole = False
            await self._slow_down()

    def answer(self, status: int, block: bytes, body: bytes) -> None:
        """Take a whole answer."""
        self.begin(status, block, len(body))
        self.end(body)

    def end(self, data: bytes = b"") -> None:
        """Take the last bytes of the body."""
        self._ended = True
        self._take(data)

    def _take(self, data: bytes) -> None:
        if data:
            self._parts.append(data)
            self._held_bytes += len(data)
        self._moved()

    def settle(self, outcome: Outcome | None, provider: str | None) -> None:
        """Say how the exchange ended; nothing is sent any more."""
        self.outcome, self.provider = outcome, provider
        self._settled = True
        self._broken = not self._ended
        self._alone = self._alone or not self.status
        self._moved()

    def body(self) -> bytes | None:
        """Return the whole body; None: it is not complete, or was not held."""
        return b"".join(self._parts) if self._ended and self._whole else None

    async def _slow_down(self) -> None:
        """Wait until the slowest has read on; one that does not read is taken for gone."""
        while self._trim() > MAX_HELD_BYTES:
            self._progress = asyncio.Event()
            try:
                async with asyncio.timeout(STALL_S):
                    await self._progress.wait()
            except TimeoutError:
                self._drop_slowest()
            finally:
                self._progress = None

    def _trim(self) -> int:
        """Let go of what all have read; return how many bytes are held."""
        read = min([listener.at for listener in self._listeners], default=self._base)
        gone, self._parts = self._parts[: read - self._base], self._parts[read - self._base :]
        self._base = max(read, self._base)
        self._held_bytes -= sum([len(part) for part in gone])
        return self._held_bytes if self._listeners else 0

    def _drop_slowest(self) -> None:
        """Give up who keeps others waiting; where all are equally slow nobody does."""
        places = {listener.at for listener in self._listeners}
        if len(places) < 2:  # noqa: PLR2004 -- a slow one and a faster one
            return
        slowest = min(places)
        for listener in [listener for listener in self._listeners if listener.at == slowest]:
            listener.call.downstream.left = True
            if listener.task is not None:
                listener.task.cancel()

    def _moved(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    # ------------------------------------------------------------------ callers' ends
    @property
    def open(self) -> bool:
        """Whether another caller may join."""
        return self._whole and not (self._ended or self._alone or self._broken) and bool(self._listeners)

    @property
    def callers(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def join(self, call: Call, *, leads: bool = False) -> Listener:
        """Have another caller; it wants `listen`, and `leave` in any case."""
        listener = Listener(call, leads=leads)
        self._listeners.add(listener)
        return listener

    async def listen(self, listener: Listener) -> bool:
        """Give the caller the answer; False: it has none here, and nothing has been sent.

        Raises:
            BrokenAnswer: it broke off.

        """
        listener.task = asyncio.current_task()
        while not self.status and not self._settled:
            await self._change.wait()
        if not self.status or (self._alone and not listener.leads):
            return False
        listener.call.downstream.begin(self.status, block_of(self._head(listener)), self._length)
        await self._pass_on(listener)
        while not self._settled:
            await self._change.wait()
        return True

    def _head(self, listener: Listener) -> list[Header]:
        if listener.leads:
            return [*self.headers, told(MISS)]
        return [*own_head(self.headers, listener.call), told(SHARED)]

    async def _pass_on(self, listener: Listener) -> None:
        downstream = listener.call.downstream
        while True:
            parts = self._next(listener)
            data = parts[0] if len(parts) == 1 else b"".join(parts)
            if self._ended and listener.at + len(parts) == self._base + len(self._parts):
                return downstream.end(data)
            if data:
                await downstream.write(data)
                listener.at += len(parts)
                if self._progress is not None:
                    self._progress.set()
            elif self._broken:
                raise BrokenAnswer("the answer broke off")
            else:
                await self._change.wait()

    def _next(self, listener: Listener) -> list[bytes]:
        """Return what the caller has not got yet, not much more than `PIECE_BYTES` of it."""
        parts: list[bytes] = []
        size, at = 0, listener.at - self._base
        while size < PIECE_BYTES and at < len(self._parts):
            parts.append(self._parts[at])
            size += len(self._parts[at])
            at += 1
        return parts

    def leave(self, listener: Listener) -> None:
        """Forget a caller; when the last has left, the exchange is cancelled."""
        self._listeners.discard(listener)
        if self._progress is not None:
            self._progress.set()
        if not self._listeners and not self._ended and not self._settled and self.host is not None:
            self.host.cancel()
