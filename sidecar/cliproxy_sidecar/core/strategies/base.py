"""What all strategies share: the protocol, what they are told of a request and of an attempt's end.

A strategy narrows candidates down to those that are as good as the best. It keeps figures per target, bounded
by the targets of the snapshot, and never refuses anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cliproxy_api.chance import Chance
from cliproxy_sidecar.core.target import Target, TargetId

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a request before it is sent."""

    body_bytes: int = 0
    stream: bool = False
    max_output_tokens: int | None = None
    """As the caller bounds it."""
    key: int | None = None
    """64 bits that related requests share, for affinity; None: related to none."""


NO_FACTS: Final = Facts()


@dataclass(frozen=True, slots=True)
class Seen:
    """How one attempt ended. Cancelled ones and the caller's own faults say nothing of a target's speed."""

    succeeded: bool
    failed: bool
    """It counts against the provider."""
    latency_ms: float
    """To the first content of a stream, else to the end."""
    stream: bool
    output_tokens: int
    """Reasoning included."""
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Preference:
    """Whom a strategy prefers."""

    best: Sequence[int]
    """Positions among the candidates, at least one: equally good."""
    values: Values = ()
    """Per candidate, in the strategy's unit; None: unknown. Empty: the strategy compares nothing."""
    explores: bool = False
    """Not the best of all it knows, but somebody it knows too little about."""


class Strategy(Protocol):
    """One way to choose. `now` is monotonic seconds."""

    @property
    def name(self) -> str:
        """What profiles call it."""
        ...

    @property
    def unit(self) -> str:
        """What its values are."""
        ...

    def prefer(self, candidates: Sequence[Target], facts: Facts, now: float, chance: Chance) -> Preference:
        """Return the best of the candidates (two at least), unknown ones counting as neither good nor bad."""
        ...

    def began(self, target: Target, now: float) -> None:
        """Note that an attempt has begun; `observe` ends it."""
        ...

    def observe(self, target: Target, seen: Seen, now: float) -> None:
        """Note how an attempt ended."""
        ...

    def figures(self, target: Target, now: float) -> dict[str, float | None]:
        """Return what is known of a target, for people."""
        ...

    def retain(self, known: frozenset[TargetId]) -> None:
        """Forget all other targets."""
        ...


def filled(values: Values) -> list[float]:
    """Give unknown candidates the mean of the known ones; all unknown: all the same."""
    known = [value for value in values if value is not None]
    neutral = sum(known) / len(known) if known else 0.0
    return [neutral if value is None else value for value in values]


def least(values: Sequence[float], tolerance: float) -> list[int]:
    """Return the positions of the smallest value and of those at most `tolerance` (a share) above it."""
    bound = min(values) * (1.0 + tolerance)
    return [position for position, value in enumerate(values) if value <= bound]
