"""Who is probed when: own duties at once, others' only when the operator is away for long."""

import asyncio
from collections import Counter

import pytest

from cliproxy_api.snapshot import HealthCheck, Position, Provider
from cliproxy_api.state import FleetState, StatePush
from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.prober import MAX_START_DELAY_S, STAND_IN_AFTER_S, Prober
from cliproxy_sidecar.runtime.tasks import Tasks
from support.cooling import ME, SENT, Scripted, provider

pytestmark = pytest.mark.looptime

INTERVAL_S = 30.0
MANY = 50
OWN, OTHERS = "ns/p0", [f"ns/p{number}" for number in range(1, MANY)]


class World:
    """One sidecar that has to probe one of many providers, and what it asked."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self.tasks = Tasks()
        self.asked: Counter[str] = Counter()
        self.machines = Machines(sidecar=ME, chance=Scripted(), tell=lambda _reports: None)
        self.prober = Prober(self.machines, self.tasks, Scripted(), self._ask)
        check = HealthCheck(enabled=True, interval_s=interval_s)
        self.machines.configure(tuple(provider(f"p{n}", health_check=check) for n in range(MANY)))
        self.attach(attached=True)
        self.lead(own=(OWN,))

    def attach(self, *, attached: bool) -> None:
        self.machines.attach(attached)
        self.prober.follow()

    def lead(self, own: tuple[str, ...], sequence: int = 1) -> None:
        probes = {f"ns/p{n}": "another" for n in range(MANY)} | dict.fromkeys(own, ME)
        position = Position(1, sequence)
        self.machines.adopt(StatePush(position=position, sent_at_utc=SENT, state=FleetState(probes=probes)))
        self.prober.follow()

    async def _ask(self, asked: Provider) -> int:
        self.asked[asked.id] += 1
        return 200


async def test_only_its_own_duty_is_probed() -> None:
    world = World()
    await asyncio.sleep(INTERVAL_S / 2)
    assert world.asked == {OWN: 1}
    await world.tasks.stop()


async def test_a_change_of_leaders_begins_and_ends_nothing() -> None:
    world = World()
    await asyncio.sleep(1.0)
    before = asyncio.all_tasks()
    for _ in range(3):
        world.attach(attached=False)
        await asyncio.sleep(STAND_IN_AFTER_S * 0.9)
        assert asyncio.all_tasks() == before
        world.attach(attached=True)
    await asyncio.sleep(2 * STAND_IN_AFTER_S)
    assert asyncio.all_tasks() == before
    assert set(world.asked) == {OWN}
    await world.tasks.stop()


async def test_cut_off_it_probes_all_after_an_interval_and_leaves_it_again() -> None:
    world = World()
    world.attach(attached=False)
    await asyncio.sleep(INTERVAL_S * 0.9)
    assert set(world.asked) == {OWN}
    await asyncio.sleep(INTERVAL_S * 0.2)
    assert set(world.asked) == {OWN, *OTHERS}
    world.attach(attached=True)
    await asyncio.sleep(0.0)
    asked = dict(world.asked)
    await asyncio.sleep(3 * INTERVAL_S)
    assert {one for one, count in world.asked.items() if count > asked[one]} == {OWN}
    await world.tasks.stop()


async def test_a_duty_that_is_handed_over_begins_at_once() -> None:
    world = World()
    world.lead(own=(OWN, OTHERS[0]), sequence=2)
    await asyncio.sleep(MAX_START_DELAY_S / 2)
    assert set(world.asked) == {OWN, OTHERS[0]}
    await world.tasks.stop()


async def test_short_intervals_are_not_waited_out_for_longer_than_they_are() -> None:
    world = World(interval_s=2.0)
    world.attach(attached=False)
    await asyncio.sleep(1.9)
    assert set(world.asked) == {OWN}
    await asyncio.sleep(0.2)
    assert set(world.asked) == {OWN, *OTHERS}
    await world.tasks.stop()
