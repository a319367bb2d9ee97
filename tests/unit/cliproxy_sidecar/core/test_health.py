import pytest

from cliproxy_api.snapshot import HealthCheck, Provider
from cliproxy_api.state import FleetState
from cliproxy_sidecar.core.health import DAY_HOURS, HOUR_S, Health, ProviderHealth
from support.cooling import provider

A, B = "ns/a", "ns/b"
MINE = FleetState(probes={A: "me", B: "another"})


def health(*providers: Provider, state: FleetState = MINE, attached: bool = True) -> Health:
    machine = Health(sidecar="me")
    machine.configure(providers or (provider("a"), provider("b")))
    machine.adopt(state)
    machine.attach(attached)
    return machine


def probe(machine: Health, results: str, provider_id: str = A) -> list[bool]:
    return [
        machine.record(provider_id, ok=result == "+", now=float(now)) for now, result in enumerate(results)
    ]


@pytest.mark.parametrize(
    ("results", "verdicts"),
    [
        ("--", [True, True]),
        ("---", [True, True, False]),
        ("--+---", [True, True, True, True, True, False]),
        ("---+", [True, True, False, False]),
        ("---++", [True, True, False, False, True]),
        ("---+-++", [True, True, False, False, False, False, True]),
    ],
)
def test_thresholds(results: str, verdicts: list[bool]) -> None:
    machine = health()
    assert probe(machine, results) == verdicts
    assert machine.healthy(A) == verdicts[-1]
    assert machine.is_all_well == verdicts[-1]


def test_unknown_means_healthy() -> None:
    machine = Health(sidecar="me")
    assert machine.healthy(A)
    assert machine.record(A, ok=False, now=0.0)
    assert machine.view(A, 0.0) == ProviderHealth(healthy=True)


def test_the_fleets_word_counts_for_those_that_others_probe() -> None:
    machine = health()
    machine.adopt(FleetState(unhealthy=(A, B), probes=MINE.probes))
    assert not machine.healthy(B)
    # Never probed here yet: the fleet knows better.
    assert not machine.healthy(A)
    machine.adopt(FleetState(probes=MINE.probes))
    assert machine.is_all_well


def test_own_probes_count_for_those_that_are_probed_here() -> None:
    machine = health()
    probe(machine, "---")
    machine.adopt(MINE)
    assert not machine.healthy(A), "the document is older than what was seen here"
    probe(machine, "++")
    machine.adopt(FleetState(unhealthy=(A,), probes=MINE.probes))
    assert machine.healthy(A)


def test_a_duty_that_is_taken_over_begins_with_the_fleets_word() -> None:
    machine = health(state=FleetState(unhealthy=(A,), probes={A: "me"}))
    assert probe(machine, "+") == [False]
    assert probe(machine, "+") == [True]


def test_who_hands_a_duty_on_follows_the_fleet_again() -> None:
    machine = health()
    probe(machine, "---")
    machine.adopt(FleetState(probes={A: "another"}))
    assert machine.healthy(A)


def test_duties() -> None:
    machine = health()
    assert machine.duties() == {A}
    machine.attach(False)  # noqa: FBT003 - the one thing it says
    assert machine.duties() == {A, B}


def test_no_duty_without_a_check_or_a_provider() -> None:
    unchecked = provider("a", health_check=HealthCheck(enabled=False))
    assert health(unchecked).duties() == frozenset()
    assert health(unchecked, attached=False).duties() == frozenset()


def test_cut_off_the_last_word_holds_until_own_probes_know_better() -> None:
    machine = health(state=FleetState(unhealthy=(B,), probes=MINE.probes))
    machine.attach(False)  # noqa: FBT003 - the one thing it says
    assert not machine.healthy(B)
    assert probe(machine, "++", B) == [False, True]
    assert machine.healthy(B)


def test_a_new_snapshot_keeps_verdicts_of_what_did_not_change() -> None:
    machine = health()
    probe(machine, "---")
    machine.configure((provider("a", weight=7),))
    assert not machine.healthy(A)


@pytest.mark.parametrize(
    "changed",
    [
        provider("b"),
        provider("a", base_url="http://127.0.0.1:9"),
        provider("a", health_check=HealthCheck(path="/x")),
    ],
)
def test_a_new_address_or_check_begins_anew(changed: Provider) -> None:
    machine = health()
    probe(machine, "---")
    machine.configure((changed,))
    assert machine.healthy(A)
    assert machine.view(A, 0.0).last_check is None


def test_the_view_for_people() -> None:
    machine = health()
    machine.record(A, ok=True, now=10.0)
    machine.record(A, ok=False, now=20.0)
    machine.record(A, ok=True, now=25.0)
    machine.record(A, ok=False, now=30.0, error="no answer in time")
    assert machine.view(A, 31.0) == ProviderHealth(
        healthy=True,
        last_check=30.0,
        last_success=25.0,
        consecutive_failures=1,
        uptime_percent=50.0,
        error="no answer in time",
    )
    machine.record(A, ok=True, now=40.0)
    assert machine.view(A, 41.0).error == ""


def test_uptime_is_over_the_last_day() -> None:
    machine = health()
    machine.record(A, ok=False, now=0.0)
    for hour in range(1, DAY_HOURS + 1):
        machine.record(A, ok=True, now=hour * HOUR_S)
    assert machine.view(A, DAY_HOURS * HOUR_S).uptime_percent == 100.0
    assert machine.view(A, 3 * DAY_HOURS * HOUR_S).uptime_percent is None


def test_memory_is_bounded() -> None:
    machine = health()
    for hour in range(1000):
        machine.record(A, ok=True, now=hour * HOUR_S)
    assert len(machine._probed[A].hours) == DAY_HOURS


def test_it_stands_in_for_others_only_once_the_fleet_has_given_duties() -> None:
    fresh = Health(sidecar="me")
    fresh.configure((provider("a"), provider("b")))
    assert not fresh.stands_in(A), "who never had an operator probes everything in its own right"
    machine = health(attached=False)
    assert (machine.stands_in(A), machine.stands_in(B)) == (False, True)
    assert machine.duties() == {A, B}
