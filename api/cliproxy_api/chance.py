"""Randomness as an argument: the one-method protocol that pure code draws from.

A seeded `random.Random` satisfies it; the shells hand in a real one, tests a scripted one.
"""

from typing import Protocol


class Chance(Protocol):
    """A source of randomness."""

    def random(self) -> float:
        """Return the next number, 0 <= x < 1."""
        ...
