"""The suite's invariants: each violation is found, and nothing else is taken for one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cliproxy_dev.faults.checks import STORM, Agreement, Asked, Cooldown, Seen, busiest, judge, stale

GOOD = Asked(
    pod="app-1", model="claude-x", began_s=50.0, ended_s=50.1, status=200, provider="claude", attempts=1
)
COOLDOWN = Cooldown(
    provider="claude", pod="app-1", met_s=100.0, until_s=110.0, known_s={"app-1": 100.0, "app-2": 101.0}
)


def test_a_whole_world_passes() -> None:
    seen = Seen(
        asked=[GOOD, replace(GOOD, began_s=110.0)],
        cooldowns=[COOLDOWN],
        agreements=[Agreement(ends_s={"app-1": 110.0, "status": 111.0})],
        writes_s=[1.0, 2.0],
    )

    verdict = judge(seen)

    assert verdict.passed
    assert (verdict.requests, verdict.cooldowns, verdict.writes, verdict.peak) == (2, 1, 2, 2)


@pytest.mark.parametrize("status", [0, 429, 502])
def test_whatever_is_not_answered_200_is_lost(status: int) -> None:
    verdict = judge(Seen(asked=[GOOD, replace(GOOD, status=status)]))

    assert (verdict.lost, verdict.passed) == (1, False)
    assert f"answered {status}" in verdict.words[0]


@pytest.mark.parametrize(
    ("asked", "lost"),
    [
        (replace(GOOD, began_s=105.0), 1),
        (replace(GOOD, began_s=100.0), 0),  # sent on before it was met
        (replace(GOOD, began_s=110.0), 0),
        (replace(GOOD, pod="app-2", began_s=100.5), 0),  # could not know yet
        (replace(GOOD, pod="app-2", began_s=101.5), 1),
        (replace(GOOD, pod="app-3", began_s=105.0), 0),  # need not know
        (replace(GOOD, provider="claude-backup", began_s=105.0), 0),
    ],
)
def test_who_knows_of_a_cooldown_does_not_ask(asked: Asked, lost: int) -> None:
    verdict = judge(Seen(asked=[asked], cooldowns=[COOLDOWN]))

    assert verdict.cooldowns_lost == lost
    assert verdict.passed is (lost == 0)


@pytest.mark.parametrize(
    ("ends_s", "words"),
    [
        ({"app-1": 110.0, "app-2": None}, "app-2 did not know"),
        ({"app-1": 110.0, "status": 120.0}, "did not agree"),
    ],
)
def test_everybody_agrees_when_it_ends(ends_s: dict[str, float | None], words: str) -> None:
    verdict = judge(Seen(agreements=[Agreement(ends_s=ends_s)]))

    assert verdict.cooldowns_lost == 1
    assert words in verdict.words[0]


def test_what_is_stuck_stale_or_against_the_rules_fails_a_run() -> None:
    for seen in (Seen(stuck=["x"]), Seen(stale=["x"]), Seen(other=["x"])):
        assert not judge(seen).passed


def test_a_storm_is_many_writes_at_once() -> None:
    slow = [float(number) for number in range(10 * STORM)]
    assert judge(Seen(writes_s=slow)).passed
    storm = [*slow, *[5.0] * STORM]
    assert not judge(Seen(writes_s=storm)).passed
    assert judge(Seen(writes_s=storm, objects=STORM)).passed


def test_the_busiest_ten_seconds_do_not_depend_on_order() -> None:
    assert busiest([]) == 0
    assert busiest([30.0, 0.0, 9.9, 10.0]) == 2
    assert busiest([0.0, 5.0, 9.9, 30.0]) == 3


def test_stale_names_who_runs_what() -> None:
    wanted = {"claude": 2, "new": 1}

    assert stale(wanted, {"app-1": {"claude": 2, "new": 1}}) == []
    words = stale(wanted, {"app-1": {"claude": 1, "gone": 4}, "app-2": None})

    assert words == [
        "app-1 runs claude of generation 1, wanted of generation 2",
        "app-1 runs gone of generation 4, wanted not at all",
        "app-1 runs new not at all, wanted of generation 1",
        "app-2 does not say what it runs",
    ]
