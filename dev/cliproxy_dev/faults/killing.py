"""Kill -9 of the operator at every step of a cooldown: held there by valves, seen, and then killed."""

import asyncio
from functools import partial
from typing import Final

from cliproxy_dev.clock import now_s
from cliproxy_dev.faults.aiming import Aim, Stopped
from cliproxy_dev.faults.field import Field, NotSeen, until
from cliproxy_dev.faults.run import KNOWN_S, TOLD_S, Run
from cliproxy_dev.faults.steps import HELD, Step, next_aim

AWAY_S: Final = 1.5
"""How long at most nobody starts the operator again."""
LATE_S: Final = 0.5
"""How much later than others the sidecar that met the refusal is heard again, in every other run of a step:
what others have been told must not depend on its telling it first."""
BACK_S: Final = 40.0
ATTEMPTS: Final = 3


async def kill_operator(field: Field, run: Run, _: int) -> None:
    """Kill it at the step that was hit least often so far."""
    await kill_at(next_aim(field.notes), field, run)


async def kill_at(step: Step, field: Field, run: Run) -> None:
    """Kill it at this step, start it again; the cooldown must be everybody's to its end."""
    stopped = await _reach(field, step)
    await field.world.parts["operator"].kill()
    field.valves.lose()
    field.valves.open()
    late = field.notes.get(stopped.step.value, 0) % 2 == 0
    field.note(stopped.step.value)
    field.tell.progress(f"killed {now_s() - stopped.met.at_s:.3f} s after the 429: {stopped.step}")
    await asyncio.sleep(field.chance.uniform(0.0, AWAY_S))
    if HELD[stopped.step].since != "the refusal":
        await field.start_operator()
        run.cooled(stopped.met)
        return
    await _start_again(field, stopped, late=late)
    # Those that were not told before can be told now, and no sooner.
    run.cooled(stopped.met, told_s=now_s() + TOLD_S, early=stopped.look.told)
    await run.known(stopped.met, within_s=KNOWN_S)
    await run.agree(stopped.met)


async def _reach(field: Field, step: Step) -> Stopped:
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
            await until(partial(_nothing_cools, field), "nothing cools any more", within_s=BACK_S)
    raise AssertionError


async def _nothing_cools(field: Field) -> bool:
    cooling = await asyncio.gather(*(field.cooling(pod) for pod in field.pods))
    return not any(cooling) and not (await field.world.status("claude")).get("cooldowns")


async def _start_again(field: Field, stopped: Stopped, *, late: bool) -> None:
    """Start it; `late`: it hears from who met the refusal only after all others."""
    if not late:
        await field.start_operator()
        return
    field.valves.hold(back=[stopped.met.pod])
    try:
        field.world.parts["operator"].start()
        others = len(field.pods) - 1
        await until(lambda: field.linked(pods=others), "the operator has the others", within_s=BACK_S)
        await asyncio.sleep(LATE_S)
    finally:
        field.valves.open()
    await field.operator_back()
