"""What was used and what it cost, by day, provider, model and consumer: bounded, and told to the operator.

Figures only grow within a day, so telling them twice does no harm. What is done about them is `gates`' and
`callers`' business.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Final

from cliproxy_api.report import Used, UsedEntry
from cliproxy_sidecar.core.usage import Usage

MAX_KEYS: Final = 500
"""Of a day; whatever comes beyond counts under `other`, so that sums stay right."""
MAX_ENTRIES: Final = 200
"""In one report line; it stays far below the codec's bound."""
OTHER: Final = "other"

Key = tuple[str, str, str]
"""Provider id, model as callers name it, consumer ("" without)."""
_REST: Final[Key] = (OTHER, OTHER, OTHER)


class Figures:
    """Sums of one key; the buckets of tokens are disjoint."""

    __slots__ = (
        "cache_write",
        "cached_input",
        "estimated_nano_usd",
        "input",
        "nano_usd",
        "output",
        "reasoning",
        "requests",
        "reused",
        "saved_nano_usd",
        "tokens",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.tokens = 0
        self.nano_usd = 0
        self.estimated_nano_usd = 0
        """Part of `nano_usd` that stands on estimated tokens."""
        self.input = self.cached_input = self.cache_write = self.output = self.reasoning = 0
        self.reused = 0
        """Answers that were another request's."""
        self.saved_nano_usd = 0
        """What those had cost."""

    def add(self, other: "Figures") -> None:
        """Add up."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Spending:
    """The figures of this sidecar since it started."""

    def __init__(self) -> None:
        self.day = ""
        self._date: date | None = None
        self.today: dict[Key, Figures] = {}
        self.earlier: dict[Key, Figures] = {}
        """Of this month's days before today."""
        self._changed: dict[Key, None] = {}
        self._ended: list[UsedEntry] = []
        """What the operator has not been told of yesterday."""

    def add(self, key: Key, usage: Usage, nano_usd: int, at_utc: datetime) -> None:
        """Count one attempt that was answered."""
        figures = self._of(key, at_utc)
        figures.requests += 1
        figures.tokens += usage.total
        figures.nano_usd += nano_usd
        figures.input += usage.input
        figures.cached_input += usage.cached_input
        figures.cache_write += usage.cache_write
        figures.output += usage.output
        figures.reasoning += usage.reasoning
        if usage.estimated:
            figures.estimated_nano_usd += nano_usd

    def reuse(self, key: Key, nano_usd: int, at_utc: datetime) -> None:
        """Count a request that was given an answer which had cost so much when it was made."""
        figures = self._of(key, at_utc)
        figures.reused += 1
        figures.saved_nano_usd += nano_usd

    def _of(self, key: Key, at_utc: datetime) -> Figures:
        if at_utc.date() != self._date:
            self.at(at_utc)
        figures = self.today.get(key)
        if figures is None:
            if len(self.today) >= MAX_KEYS:
                key = _REST
            figures = self.today.setdefault(key, Figures())
        self._changed[key] = None
        return figures

    def at(self, now_utc: datetime) -> None:
        """Note the date, so that a new day begins although nobody asks for anything."""
        today = now_utc.date()
        if today != self._date:
            self._date = today
            self._begin(today.isoformat())

    def month(self) -> Iterator[tuple[Key, Figures]]:
        """Return this month's figures by key."""
        for key in self.earlier.keys() | self.today.keys():
            figures = Figures()
            for part in (self.earlier.get(key), self.today.get(key)):
                if part is not None:
                    figures.add(part)
            yield key, figures

    def reports(self, boot: str, age_s: float) -> tuple[Used, ...]:
        """Return what changed since the last call, as cumulative figures of their day."""
        entries = [*self._ended, *_entries(self.day, ((key, self.today[key]) for key in self._changed))]
        self._ended = []
        self._changed = {}
        return _lines(boot, age_s, entries)

    def standing(self, boot: str, age_s: float) -> tuple[Used, ...]:
        """Return all of today, for an operator that may know nothing."""
        entries = [*self._ended, *_entries(self.day, self.today.items())]
        self._ended = []
        self._changed = {}
        return _lines(boot, age_s, entries, standing=True)

    def _begin(self, day: str) -> None:
        self._ended = [
            *self._ended,
            *_entries(self.day, ((key, self.today[key]) for key in self._changed)),
        ][-MAX_KEYS:]
        self._changed = {}
        if day[:7] == self.day[:7]:
            for key, figures in self.today.items():
                known = key in self.earlier or len(self.earlier) < MAX_KEYS
                self.earlier.setdefault(key if known else _REST, Figures()).add(figures)
        else:
            self.earlier = {}
        self.day, self.today = day, {}


def _entries(day: str, figures: Iterable[tuple[Key, Figures]]) -> Iterator[UsedEntry]:
    for (provider, model, consumer), one in figures:
        yield UsedEntry(
            day=day,
            provider=provider,
            model=model,
            consumer=consumer,
            requests=one.requests,
            tokens=one.tokens,
            nano_usd=one.nano_usd,
            estimated_nano_usd=one.estimated_nano_usd,
            input=one.input,
            cached_input=one.cached_input,
            cache_write=one.cache_write,
            output=one.output,
            reasoning=one.reasoning,
            reused=one.reused,
            saved_nano_usd=one.saved_nano_usd,
        )


def _lines(boot: str, age_s: float, entries: list[UsedEntry], *, standing: bool = False) -> tuple[Used, ...]:
    return tuple(
        Used(boot=boot, age_s=age_s, standing=standing, entries=tuple(entries[start : start + MAX_ENTRIES]))
        for start in range(0, len(entries), MAX_ENTRIES)
    )
