"""Kill -9 of the operator at every step of a cooldown; which one was hit is seen afterwards."""

import asyncio
from typing import Final

from cliproxy_dev.clock import now_s
from cliproxy_dev.faults.field import Field, until
from cliproxy_dev.faults.run import KNOWN_S, Run
from cliproxy_dev.faults.steps import AIMS, Step, step_of

COOLS_S: Final = 8
"""Long enough to start an operator in the middle of it, on a busy machine too."""
FIRST_STEPS_S: Final = 0.06
"""After asking for the 429 to kill, when aiming at a step that is over before anybody outside can look."""
AWAY_S: Final = 1.5
"""How long at most nobody starts the operator again."""


async def kill_operator(field: Field, run: Run, number: int) -> None:
    """Kill it, see at which step, start it again; the cooldown must be everybody's to its end."""
    aim = AIMS[number % len(AIMS)]
    refusing = asyncio.ensure_future(field.refuse(COOLS_S))
    if aim in (Step.MET, Step.TOLD_SOME, Step.TOLD):
        await asyncio.sleep(field.chance.uniform(0.0, FIRST_STEPS_S))
    else:
        await refusing
        await _come_to(field, aim)
    killed_s = now_s()
    await field.world.parts["operator"].kill()
    met = await refusing
    hit = await _seen_step(field)
    field.note(hit.value)
    field.tell.progress(f"killed {killed_s - met.at_s:+.3f} s from the 429: {hit.value}")
    await asyncio.sleep(field.chance.uniform(0.0, AWAY_S))
    await field.start_operator()
    # Those that were not told before can be told now, and no sooner.
    early = hit in (Step.MET, Step.TOLD_SOME)
    run.cooled(met, told_s=now_s() + 1.0 if early else None)
    if hit in (Step.MET, Step.TOLD_SOME, Step.TOLD, Step.WRITTEN):
        await run.known(met, within_s=KNOWN_S)
        await run.agree(met)


async def _come_to(field: Field, aim: Step) -> None:
    """Wait until the cooldown has come as far as the run aims at, and a little more."""
    if aim is Step.CLOSED:
        await _until_step(field, Step.RAMP)
    await _until_step(field, aim)
    more_s = {Step.WRITTEN: COOLS_S / 2, Step.HALF_OPEN: 0.0, Step.RAMP: 1.5}.get(aim, 0.1)
    await asyncio.sleep(field.chance.uniform(0.0, more_s))


async def _until_step(field: Field, step: Step) -> None:
    async def there() -> bool:
        phases = {
            entry.get("phase", "Cooling")
            for entry in (await field.world.status("claude")).get("cooldowns", [])
        }
        wanted = {Step.WRITTEN: "Cooling", Step.HALF_OPEN: "HalfOpen", Step.RAMP: "Ramp"}
        return wanted[step] in phases if step in wanted else not phases

    await until(there, step.value, within_s=COOLS_S + 20, every_s=0.005)


async def _seen_step(field: Field) -> Step:
    cooling = await asyncio.gather(*(field.cooling(pod) for pod in field.pods))
    refraining = {pod: "claude" in its for pod, its in zip(field.pods, cooling, strict=True)}
    return step_of(refraining=refraining, status=await field.world.status("claude"))
