"""Every target for a moment: a smoke test of what `make fuzz` runs for longer."""

import random

import pytest

from support.fuzz_targets import Target, targets

ROUNDS = 150


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_only_declared_errors(target: Target) -> None:
    chance = random.Random(target.name)  # noqa: S311 -- a seeded chance
    for _ in range(ROUNDS):
        target.run(chance.choice(target.seeds), chance)
