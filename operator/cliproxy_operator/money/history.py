"""Earlier days and this month's models as status keeps them: bounded, and good enough to begin with again.

A day's cost only grows while late reports come in; a model's figures stand still until one of them has moved
by a hundredth.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from cliproxy_api.money import format_nano_usd, parse_nano_usd, round_nano_usd
from cliproxy_api.resources.llmprovider_status import (
    MAX_DAYS,
    MAX_MODELS,
    CostStatus,
    DayCost,
    ModelCost,
)
from cliproxy_api.vocabulary import QuotaReset
from cliproxy_operator.bounded import MAX_NANO_USD
from cliproxy_operator.money.figures import Figures
from cliproxy_operator.money.totals import MAX_SKEW_DAYS, Owner, Totals, model_owner

STEP: Final = 0.01
_DECIMALS: Final = 6


def earlier_days(
    totals: Totals, owner: Owner, before: CostStatus | None, now_utc: datetime
) -> tuple[DayCost, ...]:
    """Return the days before today that have cost anything, the latest first; `before` is what is shown."""
    today = now_utc.date()
    known: dict[date, int] = {}
    if before is not None:
        for one in before.days:
            _raise(known, _day(one.day), amount(one.cost))
        _raise(known, _day(before.day), amount(before.today))
    for back in range(1, MAX_SKEW_DAYS + 1):
        day = today - timedelta(days=back)
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        _raise(known, day, totals.used(owner, QuotaReset.DAILY, at).nano_usd)
    first = today - timedelta(days=MAX_DAYS)
    days = sorted((day for day, cost in known.items() if cost and first <= day < today), reverse=True)
    return tuple(DayCost(day=day.isoformat(), cost=written(known[day])) for day in days)


def models_status(
    totals: Totals, provider_id: str, before: CostStatus | None, now_utc: datetime
) -> tuple[ModelCost, ...]:
    """Return this month's models, the dearest `MAX_MODELS`, by name."""
    month = now_utc.date().isoformat()[:7]
    same = before is not None and (before.day or "")[:7] == month
    old = {one.model: one for one in before.models} if before is not None and same else {}
    found = {
        model: totals.used(model_owner(provider_id, model), QuotaReset.MONTHLY, now_utc)
        for model in totals.models(provider_id, now_utc)
    }
    ranked = sorted(found, key=lambda model: (-found[model].nano_usd, -found[model].tokens, model))[
        :MAX_MODELS
    ]
    return tuple(_steady(model, found[model], old.get(model)) for model in sorted(ranked) if found[model])


def restore_models(totals: Totals, provider_id: str, cost: CostStatus, now_utc: datetime) -> None:
    """Take over what an earlier leader wrote of this month's models."""
    if (cost.day or "")[:7] == now_utc.date().isoformat()[:7]:
        for one in cost.models:
            totals.restore_model(provider_id, one.model, _figures(one), now_utc)


def written(nano_usd: int) -> str:
    """Return an amount as status writes it, which has no words for more than a billion dollars."""
    rounded = round_nano_usd(nano_usd, decimals=_DECIMALS)
    return format_nano_usd(min(rounded, MAX_NANO_USD))


def amount(text: str | None) -> int:
    """Read an amount as status writes it; 0 if there is none, or somebody else wrote it."""
    try:
        return parse_nano_usd(text or "0")
    except ValueError:
        return 0


def _raise(known: dict[date, int], day: date | None, nano_usd: int) -> None:
    if day is not None:
        known[day] = max(known.get(day, 0), nano_usd)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _steady(model: str, now: Figures, old: ModelCost | None) -> ModelCost:
    if old is not None:
        told = _figures(old)
        if all(was <= is_ <= was + STEP * was for was, is_ in zip(told.values(), now.values(), strict=True)):
            return old
    return ModelCost(
        model=model,
        cost=written(now.nano_usd),
        estimated_cost=written(now.estimated_nano_usd) if now.estimated_nano_usd else None,
        saved=written(now.saved_nano_usd) if now.saved_nano_usd else None,
        requests=now.requests,
        reused=now.reused or None,
        input_tokens=now.input,
        cached_input_tokens=now.cached_input or None,
        cache_write_tokens=now.cache_write or None,
        output_tokens=now.output,
        reasoning_tokens=now.reasoning or None,
    )


def _figures(one: ModelCost) -> Figures:
    fresh, cached, written, output, reasoning = (
        max(count or 0, 0)
        for count in (
            one.input_tokens,
            one.cached_input_tokens,
            one.cache_write_tokens,
            one.output_tokens,
            one.reasoning_tokens,
        )
    )
    return Figures(
        requests=one.requests or 0,
        tokens=fresh + cached + written + output + reasoning,
        nano_usd=amount(one.cost),
        estimated_nano_usd=amount(one.estimated_cost),
        input=fresh,
        cached_input=cached,
        cache_write=written,
        output=output,
        reasoning=reasoning,
        reused=one.reused or 0,
        saved_nano_usd=amount(one.saved),
    )
