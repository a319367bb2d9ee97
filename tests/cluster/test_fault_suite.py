"""Short cases of the fault suite, one after the other in one world, each held to all its invariants.

Cut off and paused leaders, and an API server that is away, have tests of their own beside this one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.faults import aiming, apiserver, behind, objects, sidecars
from cliproxy_dev.faults.checks import Verdict
from cliproxy_dev.faults.field import Field, Setting, running_field
from cliproxy_dev.faults.killing import ALL_LINKED, ATTEMPTS, kill_at
from cliproxy_dev.faults.run import Run
from cliproxy_dev.faults.steps import Step

CASES = (
    (sidecars.skewed_clocks, 0),
    (sidecars.pause_sidecar, 2),
    (objects.rotate_secret, 1),
    (objects.make_anew, 1),
    (objects.invalid_objects, 0),
    (apiserver.restored, 1),
)


@pytest.mark.slow
@pytest.mark.timeout(500)
async def test_short_faults_leave_nothing_lost_stuck_or_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecars, "PAUSED_S", 8.0)  # longer than a push may take: the link is made anew
    monkeypatch.setattr(sidecars, "OUTLASTS_S", 6.0)
    monkeypatch.setattr(objects, "INVALID", 100)
    monkeypatch.setattr(apiserver, "RESTORED_S", 30.0)
    monkeypatch.setattr(aiming, "COOLS_S", 15)
    setting = Setting(clocks_s=sidecars.CLOCKS_S)
    async with running_field(tmp_path, Narrator(sys.stderr), seed=5, setting=setting) as field:
        for play, number in CASES:
            field.tell.chapter(play.__name__)
            run = Run(field)
            await play(field, run, number)
            judged(await run.finish(), play.__name__, tmp_path)
        async with behind.valves(field):
            await killed_when_all_were_told_and_nothing_was_written(field, tmp_path)
            await killed_while_a_trial_is_under_way(field, tmp_path)


async def killed_when_all_were_told_and_nothing_was_written(field: Field, run_dir: Path) -> None:
    """Who was told does not ask, although the next leader hears last from who had met the refusal."""
    field.tell.chapter(Step.TOLD)
    field.notes.clear()
    run = Run(field)
    await kill_at(Step.TOLD, field, run)
    judged(await run.finish(), Step.TOLD, run_dir)
    assert field.notes == {Step.TOLD: 1}


async def killed_while_a_trial_is_under_way(field: Field, run_dir: Path) -> None:
    """The next operator is linked with all while the trial still runs, and lets nobody else try.

    On a machine that is busy enough the trial may be over by then, which shows nothing: once more.
    """
    field.tell.chapter(Step.TRIAL)
    field.notes.clear()
    for _ in range(ATTEMPTS):
        run = Run(field)
        await kill_at(Step.TRIAL, field, run)
        judged(await run.finish(), Step.TRIAL, run_dir)
        if ALL_LINKED in field.notes:
            break
    assert field.notes.get(ALL_LINKED) == 1


def judged(verdict: Verdict, name: str, run_dir: Path) -> None:
    assert verdict.passed, f"{name}: {verdict.words}\n{last_words(run_dir)}"
    assert verdict.requests > 0


def last_words(run_dir: Path) -> str:
    """Return the last lines of the operator's log: on another machine nothing else of it is kept."""
    (path,) = run_dir.rglob("operator.log")
    lines = path.read_text("utf-8").splitlines()
    return "\n".join(line[:300] for line in lines[-150:])
