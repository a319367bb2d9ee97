"""The steps of a cooldown, told apart by what the world looks like, and what makes each of them last. Pure.

    met ──> heard ──> told ──> written ──> (cooling) ──> half-open ──> trial ──> ramp ──> closed

An operator tells its sidecars and writes the status at the same time, and each of them can be late: so each
move has steps at which some, all or none have been told, and status has been written or has not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, Self


class Step(StrEnum):
    """How far a cooldown had come when the operator died."""

    MET = "a sidecar has met the 429, the operator has not heard"
    HEARD = "the operator has heard, nobody has been told, status has not"
    TOLD_SOME = "some of the other sidecars have been told, status has not"
    TOLD = "all sidecars have been told, status has not"
    WRITTEN_SOME = "status has been written, some sidecars have not been told"
    WRITTEN = "all have been told, status has been written, it cools"
    HALF_OPEN_UNTOLD = "half-open: status has been written, no sidecar has been told"
    HALF_OPEN_UNWRITTEN = "half-open: the permit is given, status has not been written"
    TRIAL = "half-open: the trial is under way"
    TRIAL_PASSED = "half-open: the trial has passed, the operator has not heard"
    RAMP_SOME = "coming back: the next step has been told to some, status has not"
    RAMP_TOLD = "coming back: the next step has been told to all, status has not"
    RAMP = "coming back: the step is told and written"
    CLOSED_SOME = "closed again: some have been told, status has not"
    CLOSED_TOLD = "closed again: all have been told, status has not"
    CLOSED = "closed again, told and written"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """How far somebody says that a cooldown is; a later place is greater."""

    stage: int
    share_percent: int = 0

    @classmethod
    def read(cls, phase: str | None, share_percent: int | None, *, over: bool) -> Self:
        """Return the place; None: it does not cool any more (`over`), or not yet."""
        if phase is None:
            return cls(_CLOSED if over else _UNKNOWN)
        return cls(_STAGES[phase], int(share_percent or 0) if phase == "Ramp" else 0)


_UNKNOWN, _COOLING, _HALF_OPEN, _RAMP, _CLOSED = range(5)
_STAGES: Final = {"Cooling": _COOLING, "HalfOpen": _HALF_OPEN, "Ramp": _RAMP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The world at one moment."""

    pods: Mapping[str, Place]
    status: Place
    heard: bool = False
    """Whether the operator's own figures have the cooldown."""
    tried: bool = False
    """Whether the provider has been asked since the cooldown's end came near ..."""
    passed: bool = False
    """... and whether an answer has come."""

    @property
    def front(self) -> Place:
        """How far the foremost has come."""
        return max(self.status, *self.pods.values())

    @property
    def told(self) -> tuple[str, ...]:
        """Who among the sidecars has come as far."""
        return tuple(pod for pod, place in self.pods.items() if place == self.front)

    @property
    def all_told(self) -> bool:
        """Whether all sidecars have come as far."""
        return len(self.told) == len(self.pods)

    @property
    def written(self) -> bool:
        """Whether status has come as far."""
        return self.status == self.front


def step_of(look: Look) -> Step:
    """Return how far it has come."""
    match look.front.stage:
        case 1 if look.written or len(look.told) > 1:
            return _of_three(
                look, Step.TOLD_SOME, Step.TOLD, Step.WRITTEN if look.all_told else Step.WRITTEN_SOME
            )
        case 1:
            return Step.HEARD if look.heard else Step.MET
        case 2:
            return _half_open(look)
        case 3:
            return _of_three(look, Step.RAMP_SOME, Step.RAMP_TOLD, Step.RAMP)
        case _:
            return _of_three(look, Step.CLOSED_SOME, Step.CLOSED_TOLD, Step.CLOSED)


def _of_three(look: Look, some: Step, told: Step, written: Step) -> Step:
    if look.written:
        return written
    return told if look.all_told else some


def _half_open(look: Look) -> Step:
    if look.passed:
        return Step.TRIAL_PASSED
    if not look.written:
        return Step.HALF_OPEN_UNWRITTEN
    return Step.TRIAL if look.tried else Step.HALF_OPEN_UNTOLD


From = Literal["the refusal", "the end of cooling", "the first ramp step", "the last ramp step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is held back, and from when on, so that a step lasts."""

    since: From
    told: Literal["all", "some", "none"] = "all"
    """Which sidecars still hear what the operator tells."""
    heard: bool = True
    """Whether the operator hears what sidecars tell."""
    written: bool = True
    """Whether its writes arrive."""
    slow: bool = False
    """Whether the trial's answer takes its time."""


HELD: Final[Mapping[Step, Held]] = {
    Step.MET: Held(since="the refusal", heard=False),
    Step.HEARD: Held(since="the refusal", told="none", written=False),
    Step.TOLD_SOME: Held(since="the refusal", told="some", written=False),
    Step.TOLD: Held(since="the refusal", written=False),
    Step.WRITTEN_SOME: Held(since="the refusal", told="some"),
    Step.WRITTEN: Held(since="the refusal"),
    Step.HALF_OPEN_UNTOLD: Held(since="the end of cooling", told="none"),
    Step.HALF_OPEN_UNWRITTEN: Held(since="the end of cooling", written=False, slow=True),
    Step.TRIAL: Held(since="the end of cooling", slow=True),
    Step.TRIAL_PASSED: Held(since="the end of cooling", heard=False),
    Step.RAMP_SOME: Held(since="the first ramp step", told="some", written=False),
    Step.RAMP_TOLD: Held(since="the first ramp step", written=False),
    Step.RAMP: Held(since="the first ramp step"),
    Step.CLOSED_SOME: Held(since="the last ramp step", told="some", written=False),
    Step.CLOSED_TOLD: Held(since="the last ramp step", written=False),
    Step.CLOSED: Held(since="the last ramp step"),
}


def next_aim(hit: Mapping[str, int]) -> Step:
    """Return the step that was hit least often so far: a run that came too late is made good by the next."""
    return min(Step, key=lambda step: hit.get(step.value, 0))


def place_in_status(status: Mapping[str, Any], *, over: bool) -> Place:
    """Return how far a provider's status says that its cooldown is."""
    entries = status.get("cooldowns") or ()
    if not entries:
        return Place.read(None, None, over=over)
    return min(Place.read(one.get("phase", "Cooling"), one.get("sharePercent"), over=over) for one in entries)
