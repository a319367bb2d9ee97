"""Which step of a cooldown an operator was killed at, read from the world."""

from __future__ import annotations

from typing import Any

import pytest

from cliproxy_dev.faults.steps import AIMS, Step, step_of


def status(*phases: str) -> dict[str, Any]:
    return {"cooldowns": [{"phase": phase} for phase in phases]}


@pytest.mark.parametrize(
    ("refraining", "written", "step"),
    [
        ([True, False, False], {}, Step.MET),
        ([True, True, False], {}, Step.TOLD_SOME),
        ([True, True, True], {}, Step.TOLD),
        ([True, True, True], status("Cooling"), Step.WRITTEN),
        ([True, True, True], {"cooldowns": [{}]}, Step.WRITTEN),
        ([True, True, True], status("Ramp", "HalfOpen"), Step.HALF_OPEN),
        ([True, True, True], status("Ramp"), Step.RAMP),
        ([False, False, False], {}, Step.CLOSED),
    ],
)
def test_the_step_is_read_from_sidecars_and_status(
    refraining: list[bool], written: dict[str, Any], step: Step
) -> None:
    pods = {f"app-{number}": it for number, it in enumerate(refraining)}

    assert step_of(refraining=pods, status=written) is step


def test_runs_aim_at_every_step() -> None:
    assert set(AIMS) == set(Step)
