"""Adds up what sidecars report as used: by provider and by consumer, in days, weeks and months (UTC).

Reports are cumulative within a sidecar's life and day, so repeated and late ones do no harm. A new leader
begins with what its predecessor wrote into status; what older sidecars had used before that is in there
already, so of the two the greater counts. Bounded by the sidecars, providers and consumers there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from cliproxy_api.periods import period_start
from cliproxy_api.report import Used, UsedEntry
from cliproxy_api.vocabulary import QuotaReset
from cliproxy_operator.view import SidecarId

MAX_KEYS: Final = 5000
"""Of a day, over all sidecars; whatever comes beyond counts under `other`."""
OTHER: Final = "other"
MAX_TOLD: Final = 1500
"""Keys of one sidecar: three days of as many as it keeps. More is no sidecar of ours."""
MAX_SKEW_DAYS: Final = 1
"""A sidecar's clock may be off; entries of other days than these are no news but an error."""

Owner = tuple[str, str]
"""("provider", id) or ("consumer", "namespace/profile/name")."""
Key = tuple[str, str, str]
"""Provider id, model, consumer as "namespace/profile/name" ("" without)."""


@dataclass(frozen=True, slots=True)
class Group:
    """What a sidecar may speak of: what its own snapshot holds."""

    profile: str
    providers: frozenset[str]
    """Ids."""
    consumers: frozenset[str] = frozenset()
    """Names."""


@dataclass(slots=True)
class Figures:
    """Sums; money in nano-dollars."""

    requests: int = 0
    tokens: int = 0
    nano_usd: int = 0
    estimated_nano_usd: int = 0

    def add(self, other: "Figures") -> None:
        """Add up."""
        self.requests += other.requests
        self.tokens += other.tokens
        self.nano_usd += other.nano_usd
        self.estimated_nano_usd += other.estimated_nano_usd

    def since(self, before: "Figures") -> "Figures":
        """Return what has come on top; never negative."""
        return Figures(
            max(self.requests - before.requests, 0),
            max(self.tokens - before.tokens, 0),
            max(self.nano_usd - before.nano_usd, 0),
            max(self.estimated_nano_usd - before.estimated_nano_usd, 0),
        )


@dataclass(slots=True)
class Sum:
    """One owner's figures in one period."""

    restored: Figures = field(default_factory=Figures)
    """As an earlier leader wrote them."""
    older: Figures = field(default_factory=Figures)
    """What sidecars told first that are older than this leadership."""
    newer: Figures = field(default_factory=Figures)

    def total(self) -> Figures:
        """Return what all this comes to."""
        return Figures(
            max(self.restored.requests, self.older.requests) + self.newer.requests,
            max(self.restored.tokens, self.older.tokens) + self.newer.tokens,
            max(self.restored.nano_usd, self.older.nano_usd) + self.newer.nano_usd,
            max(self.restored.estimated_nano_usd, self.older.estimated_nano_usd)
            + self.newer.estimated_nano_usd,
        )


@dataclass(slots=True)
class _Heard:
    """The latest of one sidecar."""

    boot: str
    older: bool
    """Its first lines tell what an earlier leader may have counted."""
    entries: dict[tuple[str, str, str, str], Figures] = field(default_factory=dict)
    """By day, provider, model, consumer."""


class Totals:
    """All sums of one leadership, which began at `began_utc`."""

    def __init__(self, began_utc: datetime) -> None:
        self.began_utc = began_utc
        self._sums: dict[tuple[Owner, QuotaReset, date], Sum] = {}
        self._heard: dict[SidecarId, _Heard] = {}
        self._active: dict[Owner, dict[SidecarId, datetime]] = {}
        self._days: dict[str, dict[Key, Figures]] = {}
        """Today's and yesterday's figures by key, as told to this leader."""
        self._months: dict[str, dict[Key, Figures]] = {}

    # ---------------------------------------------------------------- reports
    def hear(self, sidecar: SidecarId, group: Group, report: Used, now_utc: datetime) -> frozenset[Owner]:
        """Take one report; return whose sums have changed.

        What a sidecar says of others' providers is passed over: it would use up quotas that are not its own.
        """
        known = self._heard.get(sidecar)
        if known is None or known.boot != report.boot:
            older = known is None and self._is_older(report, now_utc)
            known = self._heard[sidecar] = _Heard(report.boot, older)
        known.older = known.older and report.standing
        changed: set[Owner] = set()
        today = now_utc.date()
        for entry in report.entries:
            day = _day(entry.day)
            if day is None or abs((day - today).days) > MAX_SKEW_DAYS:
                continue
            if entry.provider in group.providers or entry.provider == OTHER:
                changed.update(self._take(sidecar, group, known, entry, day, now_utc))
        self._prune(known, today)
        return frozenset(changed)

    def _is_older(self, report: Used, now_utc: datetime) -> bool:
        return now_utc - timedelta(seconds=report.age_s) < self.began_utc

    def _take(  # noqa: PLR0917 -- one entry and where it comes from
        self,
        sidecar: SidecarId,
        group: Group,
        known: _Heard,
        entry: UsedEntry,
        day: date,
        now_utc: datetime,
    ) -> Iterable[Owner]:
        key = (entry.day, entry.provider, entry.model, entry.consumer)
        if key not in known.entries and len(known.entries) >= MAX_TOLD:
            return ()
        told = Figures(entry.requests, entry.tokens, entry.nano_usd, entry.estimated_nano_usd)
        news = told.since(known.entries.get(key, Figures()))
        known.entries[key] = told
        if not (news.requests or news.tokens or news.nano_usd):
            return ()
        owners: list[Owner] = [("provider", entry.provider)]
        consumer = ""
        if entry.consumer in group.consumers:
            consumer = f"{sidecar.namespace}/{group.profile}/{entry.consumer}"
            owners.append(("consumer", consumer))
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for owner in owners:
            self._active.setdefault(owner, {})[sidecar] = now_utc
            for reset in QuotaReset:
                found = self._sums.setdefault((owner, reset, period_start(reset, at).date()), Sum())
                (found.older if known.older else found.newer).add(news)
        self._detail((entry.provider, entry.model, consumer), entry.day, news)
        return owners

    def _detail(self, key: Key, day: str, news: Figures) -> None:
        for table, period in ((self._days, day), (self._months, day[:7])):
            figures = table.setdefault(period, {})
            if key not in figures and len(figures) >= MAX_KEYS:
                key = (OTHER, OTHER, OTHER)
            figures.setdefault(key, Figures()).add(news)

    def forget(self, sidecar: SidecarId) -> None:
        """A pod is gone; what it has used stays."""
        self._heard.pop(sidecar, None)
        for sharers in self._active.values():
            sharers.pop(sidecar, None)

    # ---------------------------------------------------------------- restoring
    def restore(self, owner: Owner, reset: QuotaReset, figures: Figures, at_utc: datetime) -> None:
        """Take over what an earlier leader wrote for the period that `at_utc` lies in; the greater counts."""
        found = self._sums.setdefault((owner, reset, period_start(reset, at_utc).date()), Sum())
        known = found.restored
        found.restored = Figures(
            max(known.requests, figures.requests),
            max(known.tokens, figures.tokens),
            max(known.nano_usd, figures.nano_usd),
            max(known.estimated_nano_usd, figures.estimated_nano_usd),
        )

    # ---------------------------------------------------------------- questions
    def used(self, owner: Owner, reset: QuotaReset, now_utc: datetime) -> Figures:
        """Return an owner's figures in the present period."""
        found = self._sums.get((owner, reset, period_start(reset, now_utc).date()))
        return found.total() if found is not None else Figures()

    def sharers(self, owner: Owner, now_utc: datetime, *, within_s: float) -> int:
        """Return how many sidecars have used something of the owner's lately."""
        sharers = self._active.get(owner, {})
        recent = now_utc - timedelta(seconds=within_s)
        for sidecar in [sidecar for sidecar, at in sharers.items() if at < recent]:
            del sharers[sidecar]
        return len(sharers)

    def details(self, period: str) -> dict[Key, Figures]:
        """Return a day's ("2026-11-21") or a month's figures by key, since this leadership began."""
        return self._days.get(period) or self._months.get(period) or {}

    # ---------------------------------------------------------------- bounds
    def _prune(self, known: _Heard, today: date) -> None:
        oldest = (today - timedelta(days=MAX_SKEW_DAYS)).isoformat()
        if any(key[0] < oldest for key in known.entries):
            known.entries = {key: value for key, value in known.entries.items() if key[0] >= oldest}
        if any(day < oldest for day in self._days):
            self._days = {day: table for day, table in self._days.items() if day >= oldest}
            self._months = {month: table for month, table in self._months.items() if month >= oldest[:7]}
            first = today - timedelta(days=40)
            self._sums = {key: found for key, found in self._sums.items() if key[2] >= first}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
