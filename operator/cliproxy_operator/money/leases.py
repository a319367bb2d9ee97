"""What sidecars are told of rates, quotas and budgets: shares and sums, steady while they hardly change.

Every change is a push to each sidecar of a namespace, so figures move in steps; the closer to the limit, the
smaller, and reaching it shows at once. Parts of rates that follow demand are each sidecar's own (`shares`).
Pure; `host` asks.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from cliproxy_api.periods import period_end
from cliproxy_api.snapshot import Budget, Consumer, Provider, Quota, RateLimit
from cliproxy_api.state import Amount, FleetState, Spent
from cliproxy_api.vocabulary import QuotaReset, QuotaUnit
from cliproxy_operator.money.figures import Figures
from cliproxy_operator.money.totals import Owner, Totals

ACTIVE_S: Final = 120.0
"""Who has used nothing for so long has no part in a rate: longer than a used-up minute holds anybody back."""
UNHEARD: Final = timedelta(seconds=15)
"""So long after its beginning a leader may not have heard from all who are active."""
STEP_OF_LIMIT: Final = 0.01
STEP_OF_REST: Final = 0.1
FEWER: Final = 0.8
"""Parts grow again only when so many fewer share: a fleet that breathes is no reason to push."""


@dataclass(frozen=True, slots=True)
class Leases:
    """The parts of a namespace's state document that are about limits and money."""

    sharers: Mapping[str, int] = field(default_factory=dict)
    consumer_sharers: Mapping[str, int] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)
    consumer_floors: Mapping[str, int] = field(default_factory=dict)
    quotas: Mapping[str, Amount] = field(default_factory=dict)
    budgets: Mapping[str, Spent] = field(default_factory=dict)


def leases(  # noqa: PLR0917 -- one namespace and what is known of it
    namespace: str,
    providers: Mapping[str, Provider],
    consumers: Mapping[str, tuple[Consumer, ...]],
    totals: Totals,
    before: Leases,
    now_utc: datetime,
    *,
    sidecars: Callable[[Owner], int],
    floors: Mapping[Owner, int] | None = None,
) -> Leases:
    """Return a namespace's leases; `consumers` by profile, `before` is what was told last.

    `floors` are those of rates that are divided by demand (`shares`); None: all are divided by equal parts.

    `sidecars` says how many there are that could use something of an owner's: a new leader, whom nobody has
    told anything yet, counts those, lest each takes itself for the only one.
    """
    unheard = now_utc - totals.began_utc < UNHEARD

    def count(owner: Owner, limit: RateLimit | None, known: int | None) -> int:
        active = totals.sharers(owner, now_utc, within_s=_active_s(limit, known))
        return max(active, sidecars(owner)) if unheard else active

    sharers: dict[str, int] = {}
    quotas: dict[str, Amount] = {}
    for provider_id, provider in providers.items():
        if provider.quota is None and (provider.rate_limit is None or floors is not None):
            continue
        known = before.sharers.get(provider_id)
        active = count(("provider", provider_id), provider.rate_limit, known)
        _put(sharers, provider_id, steady_sharers(known, active))
        if provider.quota is not None:
            used = totals.used(("provider", provider_id), provider.quota.reset, now_utc)
            quotas[provider_id] = _steady(
                before.quotas.get(provider_id),
                quota_used(used, provider.quota),
                provider.quota.limit,
                period_end(provider.quota.reset, now_utc),
            )
    consumer_sharers: dict[str, int] = {}
    budgets: dict[str, Spent] = {}
    for profile, members in consumers.items():
        for consumer in members:
            key = f"{profile}/{consumer.name}"
            owner = ("consumer", f"{namespace}/{key}")
            if consumer.rate_limit is not None and floors is None:
                known = before.consumer_sharers.get(key)
                active = count(owner, consumer.rate_limit, known)
                _put(consumer_sharers, key, steady_sharers(known, active))
            if consumer.budget is not None:
                told = before.budgets.get(key, Spent())
                spent = _spent(consumer.budget, told, totals, owner, now_utc)
                if any(part is not None and part.used for part in (spent.day, spent.week, spent.month)):
                    budgets[key] = spent
    least, consumers_least = _floors(namespace, providers, consumers, floors or {})
    return Leases(sharers, consumer_sharers, least, consumers_least, quotas, budgets)


def _floors(
    namespace: str,
    providers: Iterable[str],
    consumers: Mapping[str, tuple[Consumer, ...]],
    floors: Mapping[Owner, int],
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the floors of a namespace's providers and consumers."""
    keys = [f"{profile}/{consumer.name}" for profile, members in consumers.items() for consumer in members]
    return (
        {name: floors["provider", name] for name in providers if ("provider", name) in floors},
        {key: floors[owner] for key in keys if (owner := ("consumer", f"{namespace}/{key}")) in floors},
    )


def _active_s(limit: RateLimit | None, sharers: int | None) -> float:
    """Return how long a silent sidecar counts: parts of less than one request a minute take their time."""
    per_minute = limit.requests_per_minute if limit is not None else None
    if per_minute is None or sharers is None:
        return ACTIVE_S
    return ACTIVE_S * max(sharers / per_minute, 1.0)


def _put(sharers: dict[str, int], name: str, count: int) -> None:
    """Leave out what goes without saying: documents are sent often."""
    if count > 1:
        sharers[name] = count


def with_leases(state: FleetState, told: Leases) -> FleetState:
    """Return a state document with these leases in it."""
    return msgspec.structs.replace(
        state,
        sharers=dict(told.sharers),
        consumer_sharers=dict(told.consumer_sharers),
        floors=dict(told.floors),
        consumer_floors=dict(told.consumer_floors),
        quotas=dict(told.quotas),
        budgets=dict(told.budgets),
    )


def steady_sharers(before: int | None, count: int) -> int:
    """Return among how many a rate is divided: more at once, fewer when it is worth a push; at least one."""
    if before is None or count > before or count < FEWER * before:
        return max(count, 1)
    return before


def quota_used(used: Figures, quota: Quota) -> int:
    """Return what is used in the quota's unit."""
    match quota.unit:
        case QuotaUnit.REQUESTS:
            return used.requests
        case QuotaUnit.TOKENS:
            return used.tokens
        case QuotaUnit.USD:
            return used.nano_usd


def budget_used(totals: Totals, consumer: Consumer, name: str, now_utc: datetime) -> float | None:
    """Return the used share of a consumer's fullest period (above 1: over it); None without a budget."""
    if consumer.budget is None:
        return None
    limits = (
        (QuotaReset.DAILY, consumer.budget.daily),
        (QuotaReset.WEEKLY, consumer.budget.weekly),
        (QuotaReset.MONTHLY, consumer.budget.monthly),
    )
    owner = ("consumer", name)
    shares = [
        # Nothing may be spent: whatever the sum, that is all of it.
        totals.used(owner, reset, now_utc).nano_usd / limit if limit else 1.0
        for reset, limit in limits
        if limit is not None
    ]
    return max(shares, default=None)


def _spent(budget: Budget, before: Spent, totals: Totals, owner: tuple[str, str], now_utc: datetime) -> Spent:
    def part(reset: QuotaReset, limit: int | None, told: Amount | None) -> Amount | None:
        if limit is None:
            return None
        used = totals.used(owner, reset, now_utc).nano_usd
        return _steady(told, used, limit, period_end(reset, now_utc))

    return Spent(
        day=part(QuotaReset.DAILY, budget.daily, before.day),
        week=part(QuotaReset.WEEKLY, budget.weekly, before.week),
        month=part(QuotaReset.MONTHLY, budget.monthly, before.month),
    )


def _steady(before: Amount | None, used: int, limit: int, until_utc: datetime) -> Amount:
    """Return the figure to tell: the one before, while the difference says little."""
    if before is not None and before.until_utc == until_utc and used >= before.used:
        step = min(STEP_OF_LIMIT * limit, STEP_OF_REST * max(limit - before.used, 0))
        if used - before.used < max(step, 1) or before.used >= limit:
            return before
    return Amount(used=used, until_utc=until_utc)
