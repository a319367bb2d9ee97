import tracemalloc
from collections.abc import Callable
from functools import partial

from cliproxy_api.scope import Scope
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass
from cliproxy_sidecar.core.choice import Chosen, Lack, NoTarget, Skipped, SkipReason
from cliproxy_sidecar.core.decisions import (
    MAX_BYTES,
    MAX_CANDIDATES,
    MAX_ENTRIES,
    MAX_REQUESTS,
    MAX_SKIPS,
    Choice,
    Decided,
    Decisions,
    How,
    Trail,
    room,
)
from cliproxy_sidecar.core.permit import Blocked
from cliproxy_sidecar.core.recording import record
from support.cooling import ALONE, admitted, machine, provider, target

TARGET = target()
HOW = How((("ns/p", "k", "up"),), "only")


def decided(name: str, trail: Trail) -> Decided:
    return (name, "m" * 200, False, 1.0, 2.0, 200, None, "round_robin", "None", trail)


def blocked(reason: str = "it was too much") -> Blocked:
    return Blocked(
        until=float(id(reason) % 1000),
        scope=Scope(provider="ns/p"),
        phase=CooldownPhase.COOLING,
        outcome_class=OutcomeClass.RATE_LIMITED,
        reason=reason,
    )


def skipped(count: int) -> tuple[Skipped, ...]:
    return tuple(Skipped(TARGET, SkipReason.COOLING, blocked()) for _ in range(count))


def test_the_last_requests_are_found_by_their_ids_the_latest_first() -> None:
    decisions = Decisions()
    for number in range(MAX_REQUESTS + 10):
        decisions.add(decided(f"r{number}", []))
    decisions.add(decided("r500", [(9.0, ("ns/p", "k", "up"), HOW)]))
    assert len(decisions) == MAX_REQUESTS
    assert decisions.find("r10") is None
    found = decisions.find("r500")
    assert found is not None
    assert len(found[-1]) == 1
    assert decisions.find("other") is None


def test_a_plain_choice_is_a_triple_and_a_failed_look_is_noted_once_in_a_row() -> None:
    trail: Trail = []
    permit = admitted(machine(provider(cooldown=ALONE)), 0.0)
    record(trail, Chosen(TARGET, permit, (), HOW), 1.0)
    lack = NoTarget(Lack.ALL_COOLING, skipped=skipped(1))
    for now in (2.0, 3.0, 4.0):
        record(trail, lack, now)
    record(trail, Chosen(TARGET, permit, skipped(2), HOW), 5.0)
    assert trail[0] == (1.0, TARGET.id, HOW)
    assert [entry.lack for entry in trail[1:] if isinstance(entry, Choice)] == ["all_cooling", ""]
    assert room(trail) == MAX_SKIPS - 3


def used_bytes(fill: Callable[[Decisions], None]) -> int:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        decisions = Decisions()
        fill(decisions)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


IDS = tuple((f"ns/p{place}", "k", "up") for place in range(MAX_CANDIDATES))
"""Shared with the snapshot's targets, as they are in a sidecar."""


def storm(decisions: Decisions, *, requests: int, choices: int, over: int) -> None:
    """Every request fails over many times, past a crowd of cooling targets."""
    permit = admitted(machine(provider(cooldown=ALONE)), 0.0)
    for number in range(requests):
        trail: Trail = []
        for attempt in range(choices):
            values = tuple(float(number * 16 + place) for place in range(MAX_CANDIDATES))
            how = HOW if choices == 1 and not over else How(tuple(IDS), "turn", "ms", values, list(IDS))
            record(trail, Chosen(TARGET, permit, skipped(0 if attempt else over), how), float(number))
            trail.append((1.0 + number, IDS[0], OutcomeClass.SERVER_ERROR, 500, "c" * 128, 2.0 + number))
        decisions.add(decided(f"{number:0128}", trail))


def test_a_storm_keeps_fewer_requests_and_stays_within_the_bound() -> None:
    for choices, over in ((1, 40), (20, 40)):
        fill = partial(storm, requests=1200, choices=choices, over=over)
        assert used_bytes(fill) < MAX_BYTES
    decisions = Decisions()
    storm(decisions, requests=1200, choices=20, over=0)
    assert len(decisions) == MAX_ENTRIES // 40


def test_quiet_times_take_little() -> None:
    assert used_bytes(partial(storm, requests=1200, choices=1, over=0)) < 1024 * 1024
