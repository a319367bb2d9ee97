"""What held a sidecar's loop up, as values: told by `watched`, printed by `bench/tail_latency.py`. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

LONG_S: Final = 0.001
"""A callback that takes longer than this has kept others waiting."""
_OWN_SHARE: Final = 0.5
"""A stall of which at least so much was CPU time is the sidecar's own."""


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """One callback that took longer than `LONG_S`."""

    name: str
    wall_ms: float
    cpu_ms: float

    @property
    def own(self) -> bool:
        """Whether the sidecar worked, rather than was interrupted."""
        return self.cpu_ms >= self.wall_ms * _OWN_SHARE


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the garbage collector."""

    generation: int
    cpu_ms: float


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    callbacks: int
    cpu_p50_us: float
    cpu_p99_us: float
    cpu_max_us: float
    waited_s: float
    """Stood in the kernel's run queue."""
    stalls: list[Stall]
    collections: list[Collection]


def rows(held: Held) -> Iterator[tuple[str, int, float, float]]:
    """Return what took long: whose doing, how often, the longest and all together in milliseconds."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for stall in held.stalls:
        by_name[stall.name if stall.own else "interrupted by the machine"].append(stall.wall_ms)
    for collection in held.collections:
        by_name[f"garbage collection, generation {collection.generation}"].append(collection.cpu_ms)
    yield from sorted(_summed(by_name.items()), key=lambda row: -row[3])


def _summed(named: Iterable[tuple[str, list[float]]]) -> Iterator[tuple[str, int, float, float]]:
    for name, took_ms in named:
        yield name, len(took_ms), max(took_ms), sum(took_ms)
