"""Faults of sidecars and of the way to them: cut off, paused, and with clocks that are wrong."""

import asyncio
import os
import signal
from dataclasses import replace
from typing import Final

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.crash import sidecar_pid
from cliproxy_dev.faults.field import Field, Met, NotSeen, until
from cliproxy_dev.faults.netns import Cut
from cliproxy_dev.faults.run import KNOWN_S, TOLD_S, Run, meanwhile

CUT_S: Final = 40.0
"""Longer than a report stream may be silent before the operator takes it for dead (20 s)."""
PAUSED_S: Final = 15.0
OUTLASTS_S: Final = 20.0
"""How much longer than a cut or a pause the cooldowns last that are met meanwhile."""
SKEW_S: Final = 300
RETOLD_S: Final = 2.0
HEALED_S: Final = 10.0
"""Until links stand again after a cut: a pause between tries is 3 s at most, a try 2 s."""


async def cut_half(field: Field, run: Run, number: int) -> None:
    """No packet passes between operator and half the sidecars; some on each side meet a refusal meanwhile."""
    middle = len(field.pods) // 2
    half = set(field.pods[middle:] if number % 2 == 0 else field.pods[:middle])
    rest = set(field.pods) - half
    met: list[Met] = []
    async with Cut(field.world.addresses[pod] for pod in half), meanwhile(field, CUT_S):
        await field.change("vllm")
        while not (half & {one.pod for one in met} and rest & {one.pod for one in met}):
            one = await field.refuse(CUT_S + OUTLASTS_S)
            met.append(one)
            # Linked sidecars are told; those cut off learn only what they meet for themselves.
            run.cooled(_at_least(one), pods=rest if one.pod in rest else ())
            await asyncio.sleep(TOLD_S)
    await field.operator_back(within_s=HEALED_S + 20)
    last = max(met, key=lambda one: one.until_s)
    everybodys = _at_least(last)
    run.cooled(everybodys, told_s=now_s() + TOLD_S)
    await run.known(everybodys, within_s=KNOWN_S)
    await run.agree(last)


def _at_least(met: Met) -> Met:
    """Of two deadlines less than `RETOLD_S` apart the earlier may hold: taken for one refusal, told again."""
    return replace(met, until_s=met.until_s - RETOLD_S)


async def pause_sidecar(field: Field, run: Run, number: int) -> None:
    """One sidecar is stopped (SIGSTOP): the others go on as ever, and it catches up afterwards."""
    paused = field.pods[number % len(field.pods)]
    others = tuple(pod for pod in field.pods if pod != paused)
    pid = sidecar_pid(field.world, paused)
    os.kill(pid, signal.SIGSTOP)
    try:
        async with meanwhile(field, PAUSED_S):
            met = await field.refuse(PAUSED_S + OUTLASTS_S)
            run.cooled(met, pods=others)
            await run.agree(met, pods=others)
            generation = await field.change("vllm")
            await _runs(field, run, others, generation)
    finally:
        os.kill(pid, signal.SIGCONT)
    # What it had already begun may still go out; once it is linked again it knows.
    await field.operator_back(within_s=HEALED_S + 20)
    run.cooled(met, told_s=now_s() + TOLD_S, pods=(paused,))
    await run.known(met, within_s=KNOWN_S)
    await run.agree(met)


async def _runs(field: Field, run: Run, pods: tuple[str, ...], generation: int) -> None:
    async def all_run() -> bool:
        running = [(await field.generations(pod)) or {} for pod in pods]
        return all(its.get("vllm") == generation for its in running)

    await run.note_stuck(all_run, "the others run a change", within_s=KNOWN_S)


async def skewed_clocks(field: Field, run: Run, number: int) -> None:
    """Two sidecars' clocks are five minutes off; hints of both forms mean the same instant to everybody."""
    preset_s = 12 + 4 * (number % 2)
    met = await field.refuse(preset_s)
    run.cooled(met)
    await run.known(met, within_s=KNOWN_S)
    await run.agree(met)
    field.note(f"the 429 was met by a clock {_ahead(met.pod)}")
    await asyncio.sleep(max(0.0, met.until_s - now_s()))

    async def back() -> bool:
        return not (await field.world.status("claude")).get("cooldowns")

    try:
        await until(back, "claude is back", within_s=30, every_s=0.1)
    except NotSeen as error:
        run.seen.stuck.append(str(error))


CLOCKS_S: Final = {"app-1": SKEW_S, "app-2": -SKEW_S}
"""The other two are right."""


def _ahead(pod: str) -> str:
    ahead_s = CLOCKS_S.get(pod, 0)
    return f"{ahead_s:+d} s off" if ahead_s else "that is right"
