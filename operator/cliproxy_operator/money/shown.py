"""Quota, cost and consumers as status shows them: exact enough to begin with after a restart.

A figure stands still until it has moved by a hundredth, so that a busy fleet is not a write every second.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from cliproxy_api.money import parse_nano_usd
from cliproxy_api.periods import period_end
from cliproxy_api.resources.llmprovider_status import CostStatus, LLMProviderStatus, QuotaStatus
from cliproxy_api.resources.proxyprofile import ConsumerSpent, ProxyProfileStatus
from cliproxy_api.snapshot import Consumer, Provider, Quota
from cliproxy_api.vocabulary import QuotaReset, QuotaUnit
from cliproxy_operator.instants import read_instant, write_instant
from cliproxy_operator.money.figures import Figures
from cliproxy_operator.money.history import earlier_days, models_status, restore_models, written
from cliproxy_operator.money.leases import quota_used
from cliproxy_operator.money.totals import Totals

STEP: Final = 0.01
MAX_CONSUMERS: Final = 200


def cost_status(
    totals: Totals, provider: Provider | None, provider_id: str, before: CostStatus | None, now_utc: datetime
) -> CostStatus | None:
    """Return a provider's costs; None while there are none and no prices."""
    owner = ("provider", provider_id)
    today = totals.used(owner, QuotaReset.DAILY, now_utc).nano_usd
    month = totals.used(owner, QuotaReset.MONTHLY, now_utc).nano_usd
    priced = provider is not None and any(model.pricing is not None for model in provider.models)
    days = earlier_days(totals, owner, before, now_utc)
    models = models_status(totals, provider_id, before, now_utc)
    if not (priced or today or month or days or models):
        return None
    day = now_utc.date().isoformat()
    same = before is not None and before.day == day
    old = before if before is not None and same else CostStatus()
    return CostStatus(
        day=day,
        today=_money(today, old.today),
        this_month=_money(month, old.this_month),
        days=days,
        models=models,
    )


def quota_status(
    totals: Totals, quota: Quota | None, provider_id: str, before: QuotaStatus | None, now_utc: datetime
) -> QuotaStatus | None:
    """Return where a provider's quota stands; None if it has none."""
    if quota is None:
        return None
    used = quota_used(totals.used(("provider", provider_id), quota.reset, now_utc), quota)
    ends = write_instant(period_end(quota.reset, now_utc))
    if before is not None and before.resets_at == ends and before.used is not None:
        old = _amount(before.used, quota.unit)
        left = _amount(before.remaining or "0", quota.unit)
        if old is not None and left == max(quota.limit - old, 0):
            crossed = old < quota.limit <= used
            if old <= used < old + max(STEP * quota.limit, 1) and not crossed:
                return before
    return QuotaStatus(
        used=_shown(used, quota.unit),
        remaining=_shown(max(quota.limit - used, 0), quota.unit),
        resets_at=ends,
    )


def consumers_status(  # noqa: PLR0917 -- whose, from what, and what was shown
    totals: Totals,
    namespace: str,
    profile: str,
    consumers: Iterable[Consumer],
    before: ProxyProfileStatus | None,
    now_utc: datetime,
) -> tuple[ConsumerSpent, ...]:
    """Return what a profile's consumers have spent, sorted by name; who has spent nothing is left out."""
    day = now_utc.date().isoformat()
    known = {one.name: one for one in (before.consumers if before is not None else ()) if one.day == day}
    found = []
    for consumer in consumers:
        owner = ("consumer", f"{namespace}/{profile}/{consumer.name}")
        today, week, month = (totals.used(owner, reset, now_utc).nano_usd for reset in QuotaReset)
        if not (today or week or month):
            continue
        old = known.get(consumer.name)
        found.append(
            ConsumerSpent(
                name=consumer.name,
                day=day,
                today=_money(today, old.today if old is not None else None),
                this_week=_money(week, old.this_week if old is not None else None),
                this_month=_money(month, old.this_month if old is not None else None),
            )
        )
    return tuple(sorted(found, key=lambda one: one.name)[:MAX_CONSUMERS])


# -------------------------------------------------------------------- reading back
def restore_provider(
    totals: Totals, provider_id: str, quota: Quota | None, status: LLMProviderStatus, now_utc: datetime
) -> None:
    """Take over what an earlier leader wrote about a provider, as far as it is of the present periods."""
    owner = ("provider", provider_id)
    if status.cost is not None and status.cost.day is not None:
        restore_models(totals, provider_id, status.cost, now_utc)
        _restore_money(totals, owner, QuotaReset.DAILY, status.cost.today, status.cost.day, now_utc)
        _restore_money(totals, owner, QuotaReset.MONTHLY, status.cost.this_month, status.cost.day, now_utc)
    if status.quota is None or quota is None or status.quota.used is None:
        return
    if status.quota.resets_at is None or read_instant(status.quota.resets_at) != period_end(
        quota.reset, now_utc
    ):
        return
    amount = _amount(status.quota.used, quota.unit)
    if amount is None:
        return
    figures = Figures()
    match quota.unit:
        case QuotaUnit.REQUESTS:
            figures.requests = amount
        case QuotaUnit.TOKENS:
            figures.tokens = amount
        case QuotaUnit.USD:
            figures.nano_usd = amount
    totals.restore(owner, quota.reset, figures, now_utc)


def restore_consumers(
    totals: Totals, namespace: str, profile: str, status: ProxyProfileStatus, now_utc: datetime
) -> None:
    """Take over what an earlier leader wrote about a profile's consumers."""
    for one in status.consumers:
        owner = ("consumer", f"{namespace}/{profile}/{one.name}")
        if one.day is None:
            continue
        _restore_money(totals, owner, QuotaReset.DAILY, one.today, one.day, now_utc)
        _restore_money(totals, owner, QuotaReset.WEEKLY, one.this_week, one.day, now_utc)
        _restore_money(totals, owner, QuotaReset.MONTHLY, one.this_month, one.day, now_utc)


def _restore_money(  # noqa: PLR0917 -- one amount and where it belongs
    totals: Totals,
    owner: tuple[str, str],
    reset: QuotaReset,
    amount: str | None,
    day: str,
    now_utc: datetime,
) -> None:
    written = read_instant(f"{day}T00:00:00Z")
    nano_usd = _amount(amount or "0", QuotaUnit.USD)
    if written is not None and nano_usd and period_end(reset, written) == period_end(reset, now_utc):
        totals.restore(owner, reset, Figures(nano_usd=nano_usd), now_utc)


def _money(nano_usd: int, before: str | None) -> str:
    """Return the amount to show; the one before while it has hardly moved."""
    old = None if before is None else _amount(before, QuotaUnit.USD)
    if before is not None and old is not None and old <= nano_usd <= old + STEP * old:
        return before
    return written(nano_usd)


def _shown(amount: int, unit: QuotaUnit) -> str:
    if unit is QuotaUnit.USD:
        return written(amount)
    return str(amount)


def _amount(text: str, unit: QuotaUnit) -> int | None:
    """Read an amount as status writes it; None if somebody else wrote it."""
    try:
        return parse_nano_usd(text) if unit is QuotaUnit.USD else int(text)
    except ValueError:
        return None
