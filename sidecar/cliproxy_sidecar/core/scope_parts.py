"""The values that `scope_state` works with: why a scope cools, what failed, what a document says.

They decide nothing.
"""

from dataclasses import dataclass
from typing import Final

from cliproxy_api.state import Evidence, FleetCooldown
from cliproxy_api.vocabulary import OutcomeClass

GRACE_S: Final = 10.0
"""How long a scope led by the fleet waits for the document after its time has come, before it acts alone."""
TOLERANCE_S: Final = 2.0
"""Deadlines this close are the same: the operator rounds up to whole seconds, and lines take time."""
SOON_S: Final = 1.0
"""When to ask again if no instant is known: a trial is under way, or the operator is about to decide."""
WHOLE: Final = 100
"""A full share, in percent."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a scope cools."""

    outcome_class: OutcomeClass | None = None
    """None: a person asked for it."""
    reason: str = ""
    evidence: Evidence = Evidence()  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt as a scope sees it."""

    outcome_class: OutcomeClass
    cause: Cause
    hint_s: float | None
    late: bool
    """Admitted before the scope came to its present state: what it tells is old."""
    chance: float
    """0 to 1, for jitter."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the newest document says of a scope, in this process's time."""

    cooldown: FleetCooldown
    since: float
    until: float
    here: bool
    """Half-open: this sidecar holds the fleet's permit ..."""
    here_until: float = 0.0
    """... and may begin trials until then, if no document says more."""


class Epochs:
    """Numbers the changes of all scopes, so that a permit tells which of them it came before."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0

    def begin(self) -> int:
        """Return the number of a new change."""
        self.now += 1
        return self.now
