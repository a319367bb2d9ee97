"""Kill -9 of the operator at every step of a cooldown: held there by valves, seen, and then killed.

Who goes on is the same one, started again, or a standby; what must hold is the same.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from cliproxy_dev.clock import now_s
from cliproxy_dev.faults.aiming import SLOW_S, Aim, Stopped
from cliproxy_dev.faults.field import Field, NotSeen, Replica, until
from cliproxy_dev.faults.run import KNOWN_S, TOLD_S, Run
from cliproxy_dev.faults.steps import HELD, Place, Step, next_aim, place_in_status
from cliproxy_dev.tasks import Tasks

AWAY_S: Final = 1.5
"""How long at most nobody starts the operator again."""
LATE_S: Final = 0.5
"""How much later than others the sidecar that met the refusal is heard again, in every other run of a step:
what others have been told must not depend on its telling it first."""
BACK_S: Final = 40.0
NEARLY_S: Final = 1.0
"""Before a slow trial ends: what comes after it is not counted."""
ALL_LINKED: Final = "... the next leader was linked with all while the trial was still under way"
ATTEMPTS: Final = 3

GoOn = Callable[[Field], Awaitable[None]]
"""Makes somebody lead again, sooner or later."""


async def kill_operator(field: Field, run: Run, _: int) -> None:
    """Kill it at the step that was hit least often so far, and start it again."""
    await kill_at(next_aim(field.notes), field, run)


async def kill_leader(field: Field, run: Run, _: int) -> None:
    """Kill it at the step that was hit least often so far; a standby goes on, and it stands by in the end."""
    killed = field.world.parts["operator"], field.world.operator_url
    try:
        await kill_at(next_aim(field.notes), field, run, take_over)
    finally:
        field.standby = Replica(*killed)
        if killed[0].pid is None:
            killed[0].start()
    await field.stands_by()


async def start_again(field: Field) -> None:
    """Start the operator that was killed, after a while."""
    await asyncio.sleep(field.chance.uniform(0.0, AWAY_S))
    field.world.parts["operator"].start()


async def take_over(field: Field) -> None:
    """From now on the standby is the operator: it takes the Lease by itself."""
    if field.standby is None:
        raise RuntimeError("this world has no second replica")
    field.world.parts["operator"], field.world.operator_url = field.standby.process, field.standby.url


async def kill_at(step: Step, field: Field, run: Run, go_on: GoOn = start_again) -> None:
    """Kill it at this step; the cooldown must be everybody's to its end, and its way back go on."""
    stopped = await reach(field, step)
    await field.world.parts["operator"].kill()
    field.valves.lose()
    field.valves.open()
    late = field.notes.get(stopped.step.value, 0) % 2 == 0
    field.note(stopped.step.value)
    field.tell.progress(f"killed {now_s() - stopped.met.at_s:.3f} s after the 429: {stopped.step}")
    async with _never_back(field, run, stopped.look.status), one_trial(field, run, stopped):
        if HELD[stopped.step].since != "the refusal":
            await go_on(field)
            await field.operator_back()
            run.cooled(stopped.met)
        else:
            await _heard_again(field, stopped, go_on, late=late)
            # Those that were not told before can be told now, and no sooner.
            run.cooled(stopped.met, told_s=now_s() + TOLD_S, early=stopped.look.told)
            await run.known(stopped.met, within_s=KNOWN_S)
            await run.agree(stopped.met)
        within_s = max(0.0, stopped.met.until_s - now_s()) + BACK_S
        await run.note_stuck(partial(nothing_cools, field), "the way back has ended", within_s=within_s)


async def reach(field: Field, step: Step) -> Stopped:
    """Bring a cooldown to a step; on a busy machine it may be past it before it is held: then another one.

    Raises:
        NotSeen: it was never reached.

    """
    for left in reversed(range(ATTEMPTS)):
        try:
            return await Aim(field, step).reach()
        except NotSeen as error:
            field.valves.open()
            if not left:
                raise
            field.tell.progress(f"{error}; once more")
            await until(partial(nothing_cools, field), "nothing cools any more", within_s=BACK_S)
    raise AssertionError


async def nothing_cools(field: Field) -> bool:
    """Whether nothing cools, in no sidecar and not in status."""
    cooling = await asyncio.gather(*(field.cooling(pod) for pod in field.pods))
    return not any(cooling) and not (await field.world.status("claude")).get("cooldowns")


async def _heard_again(field: Field, stopped: Stopped, go_on: GoOn, *, late: bool) -> None:
    """Let the operator come back; `late`: it hears from who met the refusal only after all others."""
    if late:
        field.valves.hold(back=[stopped.met.pod])
        try:
            await go_on(field)
            others = len(field.pods) - 1
            await until(lambda: field.linked(pods=others), "the operator has the others", within_s=BACK_S)
            await asyncio.sleep(LATE_S)
        finally:
            field.valves.open()
    else:
        await go_on(field)
    await field.operator_back()


@asynccontextmanager
async def _never_back(field: Field, run: Run, written: Place) -> AsyncIterator[None]:
    """Hold what comes next to this: status never says again that the cooldown is at an earlier phase."""
    tasks = Tasks()
    tasks.spawn(_watch(field, run, written), "status goes on only")
    try:
        yield
    finally:
        await tasks.stop()


@asynccontextmanager
async def one_trial(field: Field, run: Run, stopped: Stopped) -> AsyncIterator[None]:
    """Hold what comes next to this: while the slow trial is under way, nobody else asks the provider."""
    tasks = Tasks()
    if HELD[stopped.step].slow and stopped.tried_s is not None:
        over_s = stopped.tried_s + SLOW_S - NEARLY_S
        tasks.spawn(_count_trials(field, run, stopped.asked + 1, over_s), "one trial at a time")
        yield
        await asyncio.sleep(max(0.0, over_s - now_s()))
    else:
        yield
    await tasks.stop()


async def _count_trials(field: Field, run: Run, allowed: int, over_s: float) -> None:
    is_led = False
    while now_s() < over_s:
        if not is_led and await field.linked():
            is_led = True
            field.note(ALL_LINKED)
        asked = await field.world.requests_count("claude", "/v1/messages")
        if asked > allowed and now_s() < over_s:
            run.seen.other.append(f"{asked - allowed + 1} requests tried claude at once")
            return
        await asyncio.sleep(0.02)


async def _watch(field: Field, run: Run, furthest: Place) -> None:
    while True:
        status = await field.world.status("claude")
        place = place_in_status(status, over=False)
        if status.get("cooldowns") and place.stage < furthest.stage:
            run.seen.other.append(f"status went back from {furthest} to {place}")
            return
        furthest = max(furthest, place)
        await asyncio.sleep(0.05)
