"""The steps of a cooldown, told apart by what the world looks like. Pure.

    met ──> told ──> written ──> (cooling) ──> half-open ──> ramp ──> closed

Between two steps an operator may die; where it did is read from the world right afterwards, since nobody else
moves these things on.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final


class Step(StrEnum):
    """How far a cooldown had come."""

    MET = "a sidecar has met the 429, no other knows"
    TOLD_SOME = "some of the other sidecars have been told"
    TOLD = "all sidecars have been told, status has not"
    WRITTEN = "status has been written, it cools"
    HALF_OPEN = "half-open: a trial is due or under way"
    RAMP = "coming back in steps"
    CLOSED = "closed again"


AIMS: Final = (
    Step.MET,
    Step.MET,
    Step.TOLD_SOME,
    Step.TOLD,
    Step.WRITTEN,
    Step.WRITTEN,
    Step.HALF_OPEN,
    Step.RAMP,
    Step.RAMP,
    Step.CLOSED,
)
"""What runs aim at, in turn; the first steps are over in milliseconds, so aiming is all one can do."""


def step_of(*, refraining: Mapping[str, bool], status: Mapping[str, Any]) -> Step:
    """Return how far it has come: by pod whether it refrains, and the provider's status."""
    phases = {entry.get("phase", "Cooling") for entry in status.get("cooldowns") or ()}
    if "Cooling" in phases:
        return Step.WRITTEN
    if "HalfOpen" in phases:
        return Step.HALF_OPEN
    if "Ramp" in phases:
        return Step.RAMP
    count = sum(refraining.values())
    if count == 0:
        return Step.CLOSED
    if count == len(refraining):
        return Step.TOLD
    return Step.MET if count == 1 else Step.TOLD_SOME
