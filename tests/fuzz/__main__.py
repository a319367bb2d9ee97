"""Fuzz all targets in turn: `python tests/fuzz --seconds 180`; `make fuzz` does.

Ends with a table of inputs, time and failures per target, and with status 1 if there were failures. A failure
is named with the round that repeats it: `--only NAME --round NUMBER`.
"""

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.fuzz_targets import Target, targets

MAX_SHOWN = 3
"""Failures shown per target; all are counted."""
SLICE = 50
"""Inputs per look at the clock."""


def say(line: str) -> None:
    """Write a line for people."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def one(target: Target, number: int) -> None:
    """Feed the input of one round; the number alone decides what it is."""
    chance = random.Random(f"{target.name} {number}")  # noqa: S311 -- a seeded chance
    target.run(chance.choice(target.seeds), chance)


def fuzz(target: Target, seconds: float, first: int) -> tuple[int, int]:
    """Return how many inputs were fed in the time given, and how many failed."""
    ends, number, failures = time.monotonic() + seconds, first, 0  # noqa: TID251 -- a tool
    while time.monotonic() < ends:  # noqa: TID251 -- a tool
        for _ in range(SLICE):
            try:
                one(target, number)
            except Exception:  # noqa: BLE001 -- whatever comes out is what is looked for
                failures += 1
                if failures <= MAX_SHOWN:
                    say(f"{target.name!r} failed; repeat with --only {target.name!r} --round {number}")
                    traceback.print_exc(limit=-4)
            number += 1
    return number - first, failures


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="for all targets together")
    parser.add_argument("--only", help="a target's name")
    parser.add_argument("--round", type=int, help="feed this one input (with --only)")
    parser.add_argument(
        "--start", type=int, default=0, help="the first round's number: another one, other inputs"
    )
    given = parser.parse_args()
    chosen = [target for target in targets() if given.only in (None, target.name)]
    if not chosen:
        parser.error(f"--only is one of {', '.join(target.name for target in targets())}")
    if given.round is not None:
        one(chosen[0], given.round)
        return 0
    total, failed = 0, 0
    say(f"{'target':32}{'seeds':>8}{'inputs':>12}{'failures':>10}")
    for target in chosen:
        inputs, failures = fuzz(target, given.seconds / len(chosen), given.start)
        say(f"{target.name:32}{len(target.seeds):>8}{inputs:>12,}{failures:>10}")
        total, failed = total + inputs, failed + failures
    say(f"{len(chosen)} targets, {total:,} inputs, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
