"""What a request looks for and what is found for it: the values that `selection` takes and returns.

Structs, not dataclasses, where one is made per request: that takes a quarter of the time.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from cliproxy_sidecar.core.decisions import How
from cliproxy_sidecar.core.dialect import Need
from cliproxy_sidecar.core.permit import Blocked, Permit
from cliproxy_sidecar.core.strategies.base import NO_FACTS, Facts
from cliproxy_sidecar.core.target import Target, TargetId

NOBODY: Final[frozenset[TargetId]] = frozenset()


class Wanted(msgspec.Struct, frozen=True):
    """What a request needs."""

    model: str
    need: Need
    """What the provider must be able to do."""
    exclude: frozenset[TargetId] = NOBODY
    """Targets that this request has tried."""
    facts: Facts = NO_FACTS
    """Filled in where the profile's preferences look at them."""
    tokens: int = 0
    """Presumably taken by it; filled in where providers have limits of our own."""


class SkipReason(StrEnum):
    """Why a target was passed over."""

    TRIED = "tried"
    UNHEALTHY = "unhealthy"
    COOLING = "cooling"
    """Also: half-open with its trial under way, or out of its share while it ramps up."""
    LIMITED = "limited"
    """At our own limit of its rate or of its requests in flight."""
    QUOTA = "quota_exhausted"
    """Our own quota of it is used up."""


class Lack(StrEnum):
    """Why there is no target."""

    UNKNOWN_MODEL = "unknown_model"
    OTHER_FORMAT = "other_format"
    """The model is served, but by nobody who has this operation."""
    ALL_COOLING = "all_cooling"
    ALL_LIMITED = "all_limited"
    """Those that do not cool are at limits of our own."""
    ALL_UNHEALTHY = "all_unhealthy"
    EXHAUSTED = "exhausted"
    """This request has tried everything."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """One target that was passed over."""

    target: Target
    why: SkipReason
    blocked: Blocked | None = None
    """What cools, if anything does; an unhealthy target may cool as well."""


class Chosen(msgspec.Struct, eq=False):
    """Who takes the request."""

    target: Target
    permit: Permit
    skipped: tuple[Skipped, ...] = ()
    how: How | None = None
    """What it was preferred by."""


@dataclass(frozen=True, slots=True)
class NoTarget:
    """Nobody takes the request as things stand."""

    reason: Lack
    until: float | None = None
    """The soonest return of a target that cools; monotonic seconds. None: not known."""
    skipped: tuple[Skipped, ...] = ()
    least_bad: Target | None = None
    """Whom to ask all the same, if the policy says so (`Cooldowns.force`)."""
