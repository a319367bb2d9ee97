"""Shared answers, whatever comes between: who stays gets every byte, and what is held is bounded."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cliproxy_sidecar.proxy.reuse import flight as flights
from cliproxy_sidecar.proxy.reuse.flight import Flight, Listener

TURNS = 6
"""Of the loop after each action: more than any of them needs."""
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "write", "join", "leave", "block", "free"]), st.integers(0, 4)
    ),
    max_size=30,
)
SIZE = 400_000
"""Of a piece: three of them are more than is held."""


@dataclass(eq=False)
class Caller:
    """Who listens; reads only while its gate is open."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    got: bytearray = field(default_factory=bytearray)
    begun: int = 0
    ended: bool = False
    left: bool = False

    def begin(self, status: int, block: bytes, length: int | None) -> None:
        assert status == 200
        self.begun += 1

    async def write(self, data: bytes) -> None:
        assert self.begun == 1
        assert not self.ended
        self.got += data
        await self.gate.wait()

    def end(self, data: bytes = b"") -> None:
        assert not self.ended
        self.got += data
        self.ended = True


class Scene:
    """One flight, its callers, and the exchange that writes."""

    def __init__(self) -> None:
        request: Any = SimpleNamespace(method="POST")
        self.flight = Flight(request, lambda: True)
        self.sent = bytearray()
        self.callers: list[tuple[Caller, Listener, asyncio.Task[bool]]] = []
        self.unsent: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.join(leads=True)
        self.host = asyncio.ensure_future(self.exchange())

    async def exchange(self) -> None:
        self.flight.begin(200, b"")
        while (data := await self.unsent.get()) is not None:
            self.sent += data
            await self.flight.write(data)
        self.flight.end()
        self.flight.settle(None, "gpt")

    def join(self, *, leads: bool = False) -> None:
        if not leads and not self.flight.open:
            return
        caller = Caller()
        caller.gate.set()
        ledger = SimpleNamespace(request_id="r", notes=())
        call: Any = SimpleNamespace(downstream=caller, ledger=ledger, operation=SimpleNamespace(dialect=None))
        listener = self.flight.join(call, leads=leads)
        self.callers.append((caller, listener, asyncio.ensure_future(self.flight.listen(listener))))

    async def act(self, what: str, which: int) -> None:
        if what == "write":
            self.unsent.put_nowait(bytes([len(self.sent) % 251]) * SIZE)
        elif what == "join":
            self.join()
        elif which < len(self.callers):
            caller, listener, task = self.callers[which]
            if what == "leave" and len(self.callers) > 1:
                del self.callers[which]
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                self.flight.leave(listener)
            elif what == "block":
                caller.gate.clear()
            elif what == "free":
                caller.gate.set()


async def played(actions: list[tuple[str, int]]) -> None:
    scene = Scene()
    for what, which in actions:
        await scene.act(what, which)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        assert scene.flight._held_bytes <= flights.MAX_HELD_BYTES + SIZE
    for caller, _, _ in scene.callers:
        caller.gate.set()
    scene.unsent.put_nowait(None)
    async with asyncio.timeout(20):
        await scene.host
        assert all(await asyncio.gather(*(task for _, _, task in scene.callers)))
    for caller, _, _ in scene.callers:
        assert caller.ended
        assert caller.got == scene.sent


@settings(max_examples=60)
@given(ACTIONS)
@example([("block", 0), *[("write", 0)] * 6])
@example([("join", 0), ("block", 1), *[("write", 0)] * 6, ("leave", 1), ("write", 0)])
def test_who_stays_gets_every_byte(actions: list[tuple[str, int]]) -> None:
    asyncio.run(played(actions))
