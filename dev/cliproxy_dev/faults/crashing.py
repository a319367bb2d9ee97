"""Kill -9 of a sidecar at every step of a cooldown: the one that it is about, and in other runs another.

The operator is stopped while that happens, and goes on afterwards; the node agent starts the sidecar again.
"""

import signal
from contextlib import nullcontext
from functools import partial
from typing import Final

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo import crash
from cliproxy_dev.faults.aiming import Stopped
from cliproxy_dev.faults.field import Field, until
from cliproxy_dev.faults.killing import BACK_S, nothing_cools, one_trial, reach
from cliproxy_dev.faults.run import KNOWN_S, TOLD_S, Run
from cliproxy_dev.faults.steps import HELD, Step, next_aim

READY_S: Final = 30.0
ABOUT: Final = "... it was the one that had met the refusal, or was trying"


async def kill_sidecar(field: Field, run: Run, _: int) -> None:
    """Kill one at the step that was hit least often so far; all come back to one cooldown and its end."""
    await kill_at(next_aim(field.notes), field, run)


async def kill_at(step: Step, field: Field, run: Run) -> None:
    """Kill a sidecar at this step; the cooldown must be everybody's to its end, and its way back go on."""
    stopped = await reach(field, step)
    about = _about(field, stopped)
    turn = field.notes.get(stopped.step.value, 0)
    victim = about if turn % 2 == 0 else next(pod for pod in field.pods if pod != about)
    killed_s = now_s()
    await crash.kill_sidecar(field.world, victim)
    field.valves.open()
    field.world.parts["operator"].send(signal.SIGCONT)
    field.note(stopped.step.value)
    if victim == about:
        field.note(ABOUT)
    field.tell.progress(f"{victim} killed {killed_s - stopped.met.at_s:.3f} s after the 429: {stopped.step}")
    # With the one that was trying its trial has died as well; with another it has not.
    async with nullcontext() if victim == about else one_trial(field, run, stopped):
        ready = partial(crash.answers_ready, field.world, victim)
        await until(ready, f"{victim} is ready again", within_s=READY_S)
        await field.operator_back()
        run.down(victim, killed_s, now_s())
        await _held_to_it(stopped, run, victim, killed_s)
    within_s = max(0.0, stopped.met.until_s - now_s()) + BACK_S
    await run.note_stuck(partial(nothing_cools, field), "the way back has ended", within_s=within_s)


def _about(field: Field, stopped: Stopped) -> str:
    """Return the sidecar that the step is about: who is trying (that takes longest), or met the refusal."""
    if HELD[stopped.step].slow and field.load.waiting:
        return min(field.load.waiting, key=lambda one: one[1])[0]
    return stopped.met.pod


async def _held_to_it(stopped: Stopped, run: Run, victim: str, killed_s: float) -> None:
    """Hold everybody who must know to the refusal, the one that was killed since it is linked again."""
    met = stopped.met
    if HELD[stopped.step].since != "the refusal":
        run.cooled(met)
    elif stopped.step is Step.MET and victim == met.pod:
        # Nobody else had been told: with its only witness the news may be gone.
        run.begun_cooling(met, until_s=killed_s)
    else:
        early = [pod for pod in stopped.look.told if pod != victim]
        run.cooled(met, told_s=now_s() + TOLD_S, early=early, witness=met.pod != victim)
        await run.known(met, within_s=KNOWN_S)
        await run.agree(met)
