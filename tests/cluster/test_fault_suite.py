"""Short cases of the fault suite, one after the other in one world, each held to all its invariants.

Killed, cut off and paused leaders, and an API server that is away, have tests of their own beside this one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.faults import apiserver, objects, sidecars
from cliproxy_dev.faults.field import Setting, running_field
from cliproxy_dev.faults.run import Run

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
    setting = Setting(clocks_s=sidecars.CLOCKS_S)
    async with running_field(tmp_path, Narrator(sys.stderr), seed=5, setting=setting) as field:
        for play, number in CASES:
            field.tell.chapter(play.__name__)
            run = Run(field)
            await play(field, run, number)
            verdict = await run.finish()
            assert verdict.passed, f"{play.__name__}: {verdict.words}"
            assert verdict.requests > 0
