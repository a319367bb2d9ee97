"""A Pod's status from what its containers do. Pure; writing it is left to `pod`.

Source: kubernetes.io, "Pod Lifecycle".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from cliproxy_dev.kube import Json

OWN_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running yet, or not again yet."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """A process (`pid`), or nothing but the claim (None)."""

    since_utc: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The process ended and its code was `exit_code` (128 + n: by signal n)."""

    exit_code: int
    since_utc: str
    at_utc: str


State = Waiting | Running | Ended


@dataclass(frozen=True, slots=True)
class ContainerView:
    """What a status needs to know of one container.

    `finished`: it will not be started again. `helper`: it stands among the init containers; `once`: and the
    others wait until it has ended.
    """

    name: str
    image: str
    state: State
    last: Ended | None
    ready: bool
    restarts: int
    finished: bool = False
    helper: bool = False
    once: bool = False


def build(
    previous: Json, containers: Sequence[ContainerView], *, pod_ip: str, started_utc: str, now_utc: str
) -> Json:
    """Return the whole status; conditions of others in `previous` stay as they are."""
    main = [view for view in containers if not view.helper]
    status: Json = {
        "phase": _phase(main, [view for view in containers if view.once]),
        "hostIP": "127.0.0.1",
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": started_utc,
        "qosClass": previous.get("qosClass", "BestEffort"),
        "conditions": _conditions(previous, containers, now_utc),
        "containerStatuses": [_container(view) for view in main],
    }
    if helpers := [_container(view) for view in containers if view.helper]:
        status["initContainerStatuses"] = helpers
    return status


def _phase(containers: Sequence[ContainerView], before: Sequence[ContainerView]) -> str:
    if any(view.finished and isinstance(view.state, Ended) and view.state.exit_code for view in before):
        return "Failed"
    if all(view.finished for view in containers):
        failed = any(isinstance(view.state, Ended) and view.state.exit_code for view in containers)
        return "Failed" if failed else "Succeeded"
    begun = [not isinstance(view.state, Waiting) or view.last is not None for view in containers]
    return "Running" if all(begun) else "Pending"


def _conditions(previous: Json, containers: Sequence[ContainerView], now_utc: str) -> list[Json]:
    unready = [view.name for view in containers if not view.ready]
    ready: Json = {"status": "True"}
    if unready:
        names = " ".join(unready)
        ready = {
            "status": "False",
            "reason": "ContainersNotReady",
            "message": f"containers with unready status: [{names}]",
        }
    wanted: dict[str, Json] = {"PodScheduled": {"status": "True"}, "Initialized": {"status": "True"}}
    wanted |= {"ContainersReady": ready, "Ready": ready}
    before = {entry["type"]: entry for entry in previous.get("conditions") or []}
    own = []
    for name in OWN_CONDITIONS:
        old = before.get(name, {})
        flipped = old.get("status") != wanted[name]["status"]
        since = now_utc if flipped else old.get("lastTransitionTime") or now_utc
        own.append({"type": name, **wanted[name], "lastTransitionTime": since})
    return own + [entry for name, entry in before.items() if name not in OWN_CONDITIONS]


def _container(view: ContainerView) -> Json:
    entry: Json = {
        "name": view.name,
        "image": view.image,
        "imageID": "",
        "ready": view.ready,
        "started": isinstance(view.state, Running),
        "restartCount": view.restarts,
        "state": _state(view.state),
    }
    if isinstance(view.state, Running) and view.state.pid is not None:
        entry["containerID"] = f"process://{view.state.pid}"
    if view.last is not None:
        entry["lastState"] = _state(view.last)
    return entry


def _state(state: State) -> Json:
    match state:
        case Waiting():
            return {
                "waiting": {"reason": state.reason} | ({"message": state.message} if state.message else {})
            }
        case Running():
            return {"running": {"startedAt": state.since_utc}}
        case Ended():
            return {
                "terminated": {
                    "exitCode": state.exit_code,
                    "reason": "Error" if state.exit_code else "Completed",
                    "startedAt": state.since_utc,
                    "finishedAt": state.at_utc,
                }
            }
    assert_never(state)
