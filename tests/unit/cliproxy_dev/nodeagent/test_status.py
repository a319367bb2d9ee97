"""A pod's status from what its containers do."""

from __future__ import annotations

from typing import Any

import pytest

from cliproxy_dev.nodeagent.status import ContainerView, Ended, Running, State, Waiting, build

T0, T1 = "2025-01-01T00:00:00Z", "2025-01-01T00:00:01Z"
RUNNING = Running(T0, 42)


def view(state: State, *, name: str = "main", ready: bool = False, **more: Any) -> ContainerView:
    values = {"image": "i", "last": None, "restarts": 0} | more
    return ContainerView(name=name, state=state, ready=ready, **values)


def status(*views: ContainerView, previous: dict[str, Any] | None = None, now: str = T1) -> dict[str, Any]:
    return build(previous or {}, views, pod_ip="127.0.1.10", started_utc=T0, now_utc=now)


def conditions(answer: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {entry["type"]: (entry["status"], entry["lastTransitionTime"]) for entry in answer["conditions"]}


@pytest.mark.parametrize(
    ("views", "phase"),
    [
        ([view(Waiting("ContainerCreating"))], "Pending"),
        ([view(RUNNING), view(Waiting("ContainerCreating"), name="b")], "Pending"),
        ([view(RUNNING), view(RUNNING, name="b")], "Running"),
        ([view(Waiting("CrashLoopBackOff"), last=Ended(1, T0, T1))], "Running"),
        ([view(Ended(1, T0, T1))], "Running"),
        ([view(Ended(0, T0, T1), finished=True)], "Succeeded"),
        ([view(Ended(2, T0, T1), finished=True), view(Ended(0, T0, T1), name="b", finished=True)], "Failed"),
        ([view(Ended(0, T0, T1), finished=True), view(RUNNING, name="b")], "Running"),
        ([view(Ended(0, T0, T1), finished=True), view(RUNNING, name="h", helper=True)], "Succeeded"),
        (
            [view(Waiting("PodInitializing")), view(RUNNING, name="i", helper=True, once=True)],
            "Pending",
        ),
        (
            [
                view(Waiting("PodInitializing")),
                view(Ended(1, T0, T1), name="i", helper=True, once=True, finished=True),
            ],
            "Failed",
        ),
    ],
)
def test_the_phase(views: list[ContainerView], phase: str) -> None:
    assert status(*views)["phase"] == phase


def test_a_pod_is_ready_when_all_its_containers_are() -> None:
    both = status(view(RUNNING, ready=True), view(RUNNING, name="b", ready=True))
    one = status(view(RUNNING, ready=True), view(RUNNING, name="b"))

    assert conditions(both)["Ready"][0] == conditions(both)["ContainersReady"][0] == "True"
    assert conditions(one)["Ready"][0] == "False"
    assert "[b]" in one["conditions"][-1]["message"]


def test_transition_times_move_only_with_the_status() -> None:
    first = status(view(RUNNING), now=T0)
    same = status(view(RUNNING), previous=first, now=T1)
    flipped = status(view(RUNNING, ready=True), previous=first, now=T1)

    assert same == first
    assert conditions(flipped)["Ready"] == ("True", T1)
    assert conditions(flipped)["PodScheduled"] == ("True", T0)


def test_conditions_of_others_are_kept() -> None:
    gate = {"type": "example.com/gate", "status": "True", "lastTransitionTime": T0}

    assert status(view(RUNNING), previous={"conditions": [gate]})["conditions"][-1] == gate


def test_a_containers_entry_tells_its_states() -> None:
    ended = Ended(137, T0, T1)
    [running] = status(view(RUNNING, ready=True, last=ended, restarts=3))["containerStatuses"]
    [waiting] = status(view(Waiting("CrashLoopBackOff", "soon"), last=ended))["containerStatuses"]

    assert running["state"] == {"running": {"startedAt": T0}}
    assert running["containerID"] == "process://42"
    assert (running["restartCount"], running["ready"], running["started"]) == (3, True, True)
    assert running["lastState"]["terminated"] == {
        "exitCode": 137, "reason": "Error", "startedAt": T0, "finishedAt": T1,
    }  # fmt: skip
    assert waiting["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "soon"}}
    assert "containerID" not in waiting


def test_helpers_stand_among_the_init_containers() -> None:
    answer = status(view(RUNNING), view(RUNNING, name="sidecar", helper=True))

    assert [entry["name"] for entry in answer["containerStatuses"]] == ["main"]
    assert [entry["name"] for entry in answer["initContainerStatuses"]] == ["sidecar"]
