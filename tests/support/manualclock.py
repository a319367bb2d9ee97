"""A clock that stands still until a test moves it, for the operator's shells; chance is scripted."""

from __future__ import annotations

import datetime as dt
import random

from cliproxy_operator.clock import Clock


class ManualClock(Clock):
    """`advance` moves both times; `chance` is seeded."""

    def __init__(self, start_s: float = 1000.0) -> None:
        super().__init__()
        self.seconds = start_s
        self.started_s = start_s
        self.epoch_utc = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
        self.chance = random.Random(1)  # type: ignore[assignment]  # noqa: S311 -- scripted on purpose

    def now(self) -> float:
        return self.seconds

    def utc(self) -> dt.datetime:
        return self.epoch_utc + dt.timedelta(seconds=self.seconds - self.started_s)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
