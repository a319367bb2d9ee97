"""The only reader of time and randomness in the operator.

Everything else takes a `Clock` (shells) or an instant (pure modules), so that tests decide what time it is.
"""

import datetime as dt
import random
import time
from typing import Final

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock:
    """Time as the shells read it; tests hand in one with the same methods."""

    def __init__(self) -> None:
        self.chance = random.SystemRandom()

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything.

        They go on while the machine is suspended: a leader that wakes up must know that its lease is over.
        """
        return time.clock_gettime(_CLOCK)

    def utc(self) -> dt.datetime:
        """Return the aware wall-clock time."""
        return dt.datetime.now(tz=dt.UTC)  # noqa: TID251 -- this module is where time is read


def rfc3339(moment_utc: dt.datetime) -> str:
    """Write an aware time as Kubernetes does: UTC, whole seconds and a Z."""
    return moment_utc.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment_utc: dt.datetime) -> str:
    """Write an aware time as Kubernetes' MicroTime, which a Lease and an Event want."""
    return moment_utc.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
