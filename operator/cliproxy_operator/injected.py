"""Pure: pods that ask for a sidecar, told apart by whether they have the current one, and summed up.

Which pods are looked at is `survey.py`'s, what a profile's status says of them is `status`'.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from cliproxy_api.conditions import Reason
from cliproxy_api.vocabulary import (
    INJECT_LABEL,
    INJECTED_ANNOTATION,
    NOT_INJECTED_ANNOTATION,
    PROFILE_ANNOTATION,
)
from cliproxy_operator.inject.verdict import MIRROR_ANNOTATION
from cliproxy_operator.store import Object
from cliproxy_operator.view import InjectionView, Lagging, SidecarId

MAX_WORST: Final = 10
MISSED: Final = (
    "the webhook was not asked, or did not answer, when the pod was made;"
    " delete the pod or restart its workload"
)
OUTDATED: Final = "its sidecar is of an older version or setting; restart its workload"

Group = tuple[str, str]
"""(namespace, profile)."""


class State(StrEnum):
    """How a pod that asks for a sidecar is served; the worse, the later."""

    CURRENT = "current"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Asking:
    """One pod that asks for a sidecar."""

    group: Group
    pod: str
    state: State
    reason: str
    message: str
    since_utc: datetime
    """When the pod was made."""


def injected(pod: Object, digest: str) -> Asking | None:
    """Return how a pod with a sidecar stands, None if its sidecar was written by hand."""
    held = _annotations(pod).get(INJECTED_ANNOTATION)
    if held is None:
        return None
    if held == digest:
        return _asking(pod, State.CURRENT, "", "")
    return _asking(pod, State.STALE, Reason.OUTDATED_SIDECAR, OUTDATED)


def missing(pod: Object) -> Asking | None:
    """Return how a pod without a sidecar, of those that are asked for, stands; None: it declined, or goes."""
    annotations = _annotations(pod)
    metadata = pod["metadata"]
    declined = "false" in (annotations.get(INJECT_LABEL), (metadata.get("labels") or {}).get(INJECT_LABEL))
    if declined or MIRROR_ANNOTATION in annotations or metadata.get("deletionTimestamp"):
        return None
    reason, _, message = annotations.get(NOT_INJECTED_ANNOTATION, "").partition(": ")
    if not message:
        reason, message = Reason.NOT_INJECTED, MISSED
    return _asking(pod, State.MISSING, reason, message)


def sum_up(asking: Iterable[Asking]) -> dict[Group, InjectionView]:
    """Return counts and the worst few of each group: what has none first, then the oldest."""
    groups: dict[Group, list[Asking]] = {}
    for one in asking:
        groups.setdefault(one.group, []).append(one)
    return {group: _view(members) for group, members in groups.items()}


def _view(members: list[Asking]) -> InjectionView:
    counts = {state: sum(one.state is state for one in members) for state in State}
    behind = [one for one in members if one.state is not State.CURRENT]
    behind.sort(key=lambda one: (one.state is State.STALE, one.since_utc, one.pod))
    return InjectionView(
        current=counts[State.CURRENT],
        stale=counts[State.STALE],
        missing=counts[State.MISSING],
        worst=tuple(
            Lagging(SidecarId(one.group[0], one.pod), one.reason, one.message, one.since_utc)
            for one in behind[:MAX_WORST]
        ),
    )


def _asking(pod: Object, state: State, reason: str, message: str) -> Asking:
    metadata = pod["metadata"]
    group = str(metadata.get("namespace", "")), str(_annotations(pod).get(PROFILE_ANNOTATION, ""))
    return Asking(group, str(metadata["name"]), state, reason, message, _made(metadata))


def _made(metadata: Mapping[str, object]) -> datetime:
    try:
        return datetime.fromisoformat(str(metadata.get("creationTimestamp"))).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _annotations(pod: Object) -> Mapping[str, str]:
    return pod["metadata"].get("annotations") or {}
