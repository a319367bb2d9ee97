"""A standby hears that the Lease is free; a watch that is refused or breaks is begun again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cliproxy_operator.kube import ApiError
from cliproxy_operator.leader import Standing
from cliproxy_operator.leasewatch import AGAIN_S, REFUSED_S, LeaseWatch
from cliproxy_operator.settings import read_settings
from cliproxy_operator.tasks import Tasks
from support.manualclock import ManualClock

pytestmark = pytest.mark.looptime


class Server:
    """Gives each watch its events, or its refusal, and then nothing."""

    def __init__(self, *watches: list[dict[str, Any]] | int) -> None:
        self._watches = list(watches)
        self.opened = 0
        self.open = 0

    async def watch(self, _resource: object, _namespace: str, name: str) -> AsyncIterator[dict[str, Any]]:
        assert name == "cliproxy-operator"
        self.opened += 1
        told = self._watches.pop(0) if self._watches else []
        if isinstance(told, int):
            raise ApiError(told, "Refused", "not for you")
        self.open += 1
        try:
            for event in told:
                yield event
                await asyncio.sleep(0.01)
            await asyncio.Event().wait()
        finally:
            self.open -= 1


def event(holder: str, kind: str = "MODIFIED") -> dict[str, Any]:
    return {
        "type": kind,
        "object": {"metadata": {"resourceVersion": "5"}, "spec": {"holderIdentity": holder}},
    }


class World:
    """A watch that runs, and how often it said that the Lease is free."""

    def __init__(self, *watches: list[dict[str, Any]] | int) -> None:
        self.frees = 0
        self.server = Server(*watches)
        self.watch = LeaseWatch(
            kube=self.server,  # type: ignore[arg-type]
            settings=read_settings({"POD_NAME": "me", "CLIPROXY_CONTROL_TOKEN": "x" * 16}),
            clock=ManualClock(),
            free=self._free,
        )
        self.tasks = Tasks()
        self.tasks.forever(self.watch.run, "lease")

    def _free(self) -> None:
        self.frees += 1


@pytest.mark.parametrize(
    ("events", "frees"),
    [
        ([event("another", "ADDED"), event("another"), event("another")], 0),
        ([event("another", "ADDED"), event("")], 1),
        ([event("another", "ADDED"), event("another", "DELETED")], 1),
        ([event("", "ADDED")], 1),
        ([{"type": "ERROR", "object": {"code": 410}}, {"type": "BOOKMARK"}, {}], 0),
    ],
)
async def test_what_says_that_it_is_free(events: list[dict[str, Any]], frees: int) -> None:
    world = World(events)
    world.watch.stands(Standing.STANDBY)
    await asyncio.sleep(1.0)
    assert world.frees == frees
    await world.tasks.stop()
    assert world.server.open == 0


async def test_only_a_standby_watches() -> None:
    world = World([event("another"), event("me"), event("")], [event("")])
    await asyncio.sleep(1.0)
    assert world.server.opened == 0
    world.watch.stands(Standing.STANDBY)
    await asyncio.sleep(0.005)
    world.watch.stands(Standing.LEADING)
    await asyncio.sleep(10 * AGAIN_S)
    assert (world.server.opened, world.server.open, world.frees) == (1, 0, 0)
    world.watch.stands(Standing.STANDBY)
    await asyncio.sleep(AGAIN_S)
    assert (world.server.opened, world.frees) == (2, 1)
    await world.tasks.stop()


async def test_a_broken_watch_is_begun_again_soon_a_forbidden_one_late() -> None:
    world = World(0, 500, 403, [event("")])
    world.watch.stands(Standing.STANDBY)
    await asyncio.sleep(2 * AGAIN_S)
    assert (world.server.opened, world.frees) == (3, 0)
    await asyncio.sleep(REFUSED_S)
    assert (world.server.opened, world.frees) == (4, 1)
    await world.tasks.stop()
