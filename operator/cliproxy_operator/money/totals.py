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
from cliproxy_operator.money.figures import Figures
from cliproxy_operator.view import SidecarId

MAX_KEYS: Final = 5000
"""Of a day, over all sidecars; whatever comes beyond counts under `other`."""
OTHER: Final = "other"
MAX_TOLD: Final = 1500
"""Keys of one sidecar: three days of as many as it keeps. More is no sidecar of ours."""
MAX_AGE_S: Final = 10 * 365 * 86_400.0
"""No sidecar lives longer."""
MAX_SKEW_DAYS: Final = 1
"""A sidecar's clock may be off; entries of other days than these are no news but an error."""

MAX_MODELS_TOLD: Final = 200
"""Models of one provider in one month; more would be a sidecar's invention."""

Owner = tuple[str, str]
"""("provider", id), ("consumer", "namespace/profile/name"), or `model_owner`."""
Key = tuple[str, str, str]
"""Provider id, model, consumer as "namespace/profile/name" ("" without)."""
Place = tuple[Owner, QuotaReset, date]
"""Whose, which kind of period, when it began."""


def model_owner(provider: str, model: str) -> Owner:
    """Name one model of a provider; only its months are added up."""
    return ("model", f"{provider} {model}")


@dataclass(frozen=True, slots=True)
class Group:
    """What a sidecar may speak of: what its own snapshot holds."""

    profile: str
    providers: frozenset[str]
    """Ids."""
    consumers: frozenset[str] = frozenset()
    """Names."""


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
        total = self.restored.greater(self.older)
        total.add(self.newer)
        return total


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
        self._sums: dict[Place, Sum] = {}
        self._models: dict[tuple[str, date], set[str]] = {}
        """Known models by provider and month."""
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
        age_s = min(max(report.age_s, 0.0), MAX_AGE_S)
        return now_utc - timedelta(seconds=age_s) < self.began_utc

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
        told = Figures.told(entry)
        news = told.since(known.entries.get(key, Figures()))
        known.entries[key] = told
        if not news:
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
                self._add((owner, reset, period_start(reset, at).date()), news, older=known.older)
        self._model(entry, news, at, older=known.older)
        self._detail((entry.provider, entry.model, consumer), entry.day, news)
        return owners

    def _add(self, place: "Place", news: Figures, *, older: bool) -> None:
        found = self._sums.setdefault(place, Sum())
        (found.older if older else found.newer).add(news)

    def _model(self, entry: UsedEntry, news: Figures, at: datetime, *, older: bool) -> None:
        """Count a provider's model in its month; models beyond the bound count under one name."""
        month = period_start(QuotaReset.MONTHLY, at).date()
        models = self._models.setdefault((entry.provider, month), set())
        name = entry.model if entry.model in models or len(models) < MAX_MODELS_TOLD else OTHER
        models.add(name)
        self._add((model_owner(entry.provider, name), QuotaReset.MONTHLY, month), news, older=older)

    def models(self, provider: str, now_utc: datetime) -> frozenset[str]:
        """Return the models of a provider that anything is known of this month."""
        month = period_start(QuotaReset.MONTHLY, now_utc).date()
        return frozenset(self._models.get((provider, month), ()))

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
        found.restored = found.restored.greater(figures)

    def restore_model(self, provider: str, model: str, figures: Figures, at_utc: datetime) -> None:
        """Take over what an earlier leader wrote of a provider's model for the month of `at_utc`."""
        month = period_start(QuotaReset.MONTHLY, at_utc).date()
        self._models.setdefault((provider, month), set()).add(model)
        self.restore(model_owner(provider, model), QuotaReset.MONTHLY, figures, at_utc)

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
            self._models = {key: names for key, names in self._models.items() if key[1] >= first}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
