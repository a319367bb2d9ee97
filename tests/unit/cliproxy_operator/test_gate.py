"""A gate bounds what is under way, first come first served, and the slow do not hold it up."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cliproxy_operator.gate import Gate
from cliproxy_operator.tasks import Tasks

pytestmark = pytest.mark.looptime


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    made = Tasks()
    yield made
    await made.stop()


class Work:
    """One user of the gate that notes when it came in."""

    def __init__(self, gate: Gate, log: list[str]) -> None:
        self.gate, self.log = gate, log

    async def __call__(self, name: str, size: int, takes_s: float) -> None:
        async with self.gate.passing(size):
            self.log.append(name)
            await asyncio.sleep(takes_s)


async def settle() -> None:
    await asyncio.sleep(0.001)


async def test_only_as_much_as_fits_is_under_way_and_in_order(tasks: Tasks) -> None:
    log: list[str] = []
    work = Work(gate := Gate(10, patience_s=60), log)
    for name, size in (("a", 6), ("b", 6), ("c", 3), ("d", 4)):
        tasks.spawn(work(name, size, 1.0), name)

    await settle()
    assert (log, gate.used) == (["a"], 6)
    await asyncio.sleep(1)
    assert (log, gate.used) == (["a", "b", "c"], 9)
    await asyncio.sleep(1)
    assert log == ["a", "b", "c", "d"]
    await asyncio.sleep(1)
    assert gate.used == 0


async def test_what_is_larger_than_the_gate_passes_alone(tasks: Tasks) -> None:
    log: list[str] = []
    work = Work(gate := Gate(10, patience_s=60), log)
    for name, size in (("small", 1), ("huge", 1000), ("next", 1)):
        tasks.spawn(work(name, size, 1.0), name)

    await settle()
    assert log == ["small"]
    await asyncio.sleep(1)
    assert (log, gate.used) == (["small", "huge"], 1000)
    await asyncio.sleep(1)
    assert (log, gate.used) == (["small", "huge", "next"], 1)


async def test_the_slow_give_their_place_back_once(tasks: Tasks) -> None:
    log: list[str] = []
    work = Work(gate := Gate(2, patience_s=0.5), log)
    for name in ("hangs-1", "hangs-2", "quick"):
        tasks.spawn(work(name, 1, 100 if name.startswith("hangs") else 0.1), name)

    await settle()
    assert log == ["hangs-1", "hangs-2"]
    await asyncio.sleep(0.5)
    assert log == ["hangs-1", "hangs-2", "quick"]
    await asyncio.sleep(200)
    assert gate.used == 0


async def test_who_gives_up_waiting_leaves_no_trace(tasks: Tasks) -> None:
    log: list[str] = []
    work = Work(gate := Gate(1, patience_s=60), log)
    tasks.spawn(work("first", 1, 1.0), "first")
    await settle()
    quitter = tasks.spawn(work("quitter", 1, 1.0), "quitter")
    tasks.spawn(work("last", 1, 1.0), "last")
    await settle()
    quitter.cancel()

    await asyncio.sleep(1)
    assert (log, gate.used) == (["first", "last"], 1)
    await asyncio.sleep(1)
    assert gate.used == 0


async def test_a_turn_that_comes_as_one_gives_up_goes_to_the_next(tasks: Tasks) -> None:
    log: list[str] = []
    work = Work(gate := Gate(1, patience_s=60), log)
    holder = tasks.spawn(work("holder", 1, 100), "holder")
    await settle()
    quitter = tasks.spawn(work("quitter", 1, 1.0), "quitter")
    tasks.spawn(work("last", 1, 100), "last")
    await settle()
    holder.cancel()
    await asyncio.sleep(0)  # the holder leaves: the quitter's turn is set, and not yet taken
    quitter.cancel()

    await settle()
    assert log[-1] == "last"
    assert gate.used == 1
