"""Which step of a cooldown an operator was stopped at, read from the world."""

from __future__ import annotations

from typing import Any

import pytest

from cliproxy_dev.faults.steps import HELD, Look, Place, Step, next_aim, place_in_status, step_of

NOTHING = Place.read(None, None, over=False)
COOLING = Place.read("Cooling", None, over=False)
HALF_OPEN = Place.read("HalfOpen", 100, over=True)
RAMP = Place.read("Ramp", 50, over=True)
MORE = Place.read("Ramp", 100, over=True)
CLOSED = Place.read(None, None, over=True)


def look(pods: list[Place], status: Place, **facts: bool) -> Look:
    return Look(pods={f"app-{number}": place for number, place in enumerate(pods)}, status=status, **facts)


def test_places_are_in_the_order_of_the_way() -> None:
    way = [NOTHING, COOLING, HALF_OPEN, RAMP, MORE, CLOSED]
    assert way == sorted(way)
    assert len(set(way)) == len(way)


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (look([COOLING, NOTHING, NOTHING], NOTHING), Step.MET),
        (look([COOLING, NOTHING, NOTHING], NOTHING, heard=True), Step.HEARD),
        (look([COOLING, COOLING, NOTHING], NOTHING, heard=True), Step.TOLD_SOME),
        (look([COOLING, COOLING, COOLING], NOTHING), Step.TOLD),
        (look([COOLING, NOTHING, NOTHING], COOLING), Step.WRITTEN_SOME),
        (look([COOLING, COOLING, NOTHING], COOLING), Step.WRITTEN_SOME),
        (look([COOLING, COOLING, COOLING], COOLING), Step.WRITTEN),
        (look([COOLING, COOLING, COOLING], HALF_OPEN), Step.HALF_OPEN_UNTOLD),
        (look([HALF_OPEN, HALF_OPEN, HALF_OPEN], COOLING, tried=True), Step.HALF_OPEN_UNWRITTEN),
        (look([HALF_OPEN, HALF_OPEN, COOLING], HALF_OPEN, tried=True), Step.TRIAL),
        (look([HALF_OPEN, HALF_OPEN, HALF_OPEN], HALF_OPEN, tried=True, passed=True), Step.TRIAL_PASSED),
        (look([MORE, RAMP, RAMP], RAMP), Step.RAMP_SOME),
        (look([RAMP, HALF_OPEN, HALF_OPEN], HALF_OPEN), Step.RAMP_SOME),
        (look([MORE, MORE, MORE], RAMP), Step.RAMP_TOLD),
        (look([RAMP, RAMP, RAMP], RAMP), Step.RAMP),
        (look([CLOSED, MORE, MORE], MORE), Step.CLOSED_SOME),
        (look([CLOSED, CLOSED, CLOSED], MORE), Step.CLOSED_TOLD),
        (look([CLOSED, CLOSED, CLOSED], CLOSED), Step.CLOSED),
    ],
)
def test_the_step_is_read_from_sidecars_and_status(seen: Look, step: Step) -> None:
    assert step_of(seen) is step


@pytest.mark.parametrize(
    ("status", "over", "place"),
    [
        ({}, False, NOTHING),
        ({"cooldowns": []}, True, CLOSED),
        ({"cooldowns": [{}]}, False, COOLING),
        ({"cooldowns": [{"phase": "Ramp", "sharePercent": 50}]}, True, RAMP),
        ({"cooldowns": [{"phase": "Ramp", "sharePercent": 50}, {"phase": "HalfOpen"}]}, True, HALF_OPEN),
    ],
)
def test_of_several_scopes_the_hindmost_speaks_for_status(
    status: dict[str, Any], *, over: bool, place: Place
) -> None:
    assert place_in_status(status, over=over) == place


def test_every_step_is_aimed_at_until_it_is_hit_as_often_as_the_others() -> None:
    hit: dict[str, int] = {}
    aims = []
    for _ in range(2 * len(Step)):
        aims.append(next_aim(hit))
        hit[aims[-1]] = hit.get(aims[-1], 0) + 1
    assert aims == [*Step, *Step]
    missed = hit | {Step.TOLD: 1}
    assert next_aim(missed) is Step.TOLD


def test_it_is_known_how_to_hold_every_step() -> None:
    assert set(HELD) == set(Step)
