"""Spend by provider, model, consumer and day; what caches saved; the trend and the month as it may end.

Every figure comes from what was used. Where there is too little to go by, there is no figure, and it is said
why.
"""

import calendar
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from cliproxy_api.costs.advice import advice
from cliproxy_api.costs.spent import ConsumerTotals, ProviderSpent
from cliproxy_api.costs.words import dollars, share_of, usd
from cliproxy_api.pricing import price_list

WEEK: Final = 7
MAX_SHOWN_DAYS: Final = 31


def cost_report(
    providers: Iterable[ProviderSpent], consumers: Iterable[ConsumerTotals], now_utc: datetime
) -> dict[str, Any]:
    """Return the whole report, JSON-ready; amounts in dollars, days in UTC."""
    known = sorted(providers, key=lambda one: one.id)
    today = now_utc.date()
    days = _days(known, today)
    month = sum(one.month for one in known)
    return {
        "currency": "USD",
        "as_of": now_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "day": today.isoformat(),
        "month": today.isoformat()[:7],
        "today_usd": usd(sum(one.today for one in known)),
        "this_month_usd": usd(month),
        "by_provider": [_provider(one, month) for one in _dearest(known)],
        "by_model": _models(known),
        "by_consumer": [_consumer(one) for one in sorted(consumers, key=lambda one: (-one.month, one.id))],
        "by_day": [
            {"day": day.isoformat(), "cost_usd": usd(days[day])}
            for day in sorted(days)
            if (today - day).days < MAX_SHOWN_DAYS
        ],
        "cache": _cache(known),
        "trend": _trend(days, today),
        "projected_month": _projection(days, month, today),
        "recommendations": advice(known),
    }


def _dearest(providers: Sequence[ProviderSpent]) -> list[ProviderSpent]:
    return sorted(providers, key=lambda one: (-one.month, -one.today, one.id))


def _provider(one: ProviderSpent, month: int) -> dict[str, Any]:
    return {
        "provider": one.id,
        "today_usd": usd(one.today),
        "this_month_usd": usd(one.month),
        "share": round(one.month / month, 4) if month else 0.0,
    }


def _models(providers: Iterable[ProviderSpent]) -> list[dict[str, Any]]:
    rows = [(provider, model) for provider in providers for model in provider.models]
    rows.sort(key=lambda row: (-row[1].nano_usd, row[1].model, row[0].id))
    return [
        {
            "model": model.model,
            "provider": provider.id,
            "requests": model.requests,
            "input_tokens": model.tokens.input,
            "cached_input_tokens": model.tokens.cached_input,
            "cache_write_tokens": model.tokens.cache_write,
            "output_tokens": model.tokens.output,
            "reasoning_tokens": model.tokens.reasoning,
            "cost_usd": usd(model.nano_usd),
            "estimated_usd": usd(model.estimated_nano_usd),
            "reused": model.reused,
            "saved_usd": usd(model.saved_nano_usd),
        }
        for provider, model in rows
    ]


def _consumer(one: ConsumerTotals) -> dict[str, Any]:
    return {
        "consumer": one.id,
        "today_usd": usd(one.today),
        "this_week_usd": usd(one.week),
        "this_month_usd": usd(one.month),
    }


def _days(providers: Iterable[ProviderSpent], today: date) -> dict[date, int]:
    """Return all days' costs, today's included if there are any."""
    days: dict[date, int] = {}
    for one in providers:
        for day, nano_usd in one.days.items():
            days[day] = days.get(day, 0) + nano_usd
        if one.today:
            days[today] = days.get(today, 0) + one.today
    return days


def _cache(providers: Iterable[ProviderSpent]) -> dict[str, Any]:
    """Return what was saved this month: by prompt caches, at the present prices, and by answers reused."""
    read = written = reused = saved_reused = 0
    saved_read = extra_written = 0
    for provider in providers:
        for model in provider.models:
            reused += model.reused
            saved_reused += model.saved_nano_usd
            pricing = provider.prices.get(model.model)
            if pricing is None:
                continue
            prices, tokens = price_list(pricing), model.tokens
            read += tokens.cached_input
            written += tokens.cache_write
            saved_read += share_of(tokens.cached_input, prices.input - prices.cached_input)
            extra_written += share_of(tokens.cache_write, prices.cache_write - prices.input)
    return {
        "prompt_cache": {
            "read_tokens": read,
            "written_tokens": written,
            "saved_usd": usd(saved_read - extra_written),
            "arithmetic": f"{read:,} tokens read for {_signed(saved_read)} less than fresh ones, "
            f"{written:,} written for {_signed(extra_written)} more",
        },
        "reused_answers": {
            "requests": reused,
            "saved_usd": usd(saved_reused),
            "arithmetic": f"{reused:,} requests got an answer that had been made before; "
            f"making those answers had cost {dollars(saved_reused)}",
        },
    }


def _signed(nano_usd: int) -> str:
    return dollars(nano_usd) if nano_usd >= 0 else f"-{dollars(-nano_usd)}"


def _trend(days: dict[date, int], today: date) -> dict[str, Any]:
    last, before = (_sum(days, today - timedelta(days=back), WEEK) for back in (1, 1 + WEEK))
    first = min(days, default=today)
    enough = first <= today - timedelta(days=2 * WEEK)
    change = round((last - before) / before, 4) if enough and before else None
    told: dict[str, Any] = {
        "last_7_days_usd": usd(last),
        "previous_7_days_usd": usd(before) if enough else None,
        "change": change,
    }
    if change is None:
        known = (today - first).days
        told["unknown_because"] = (
            "nothing was spent in the seven days before"
            if enough
            else f"two whole weeks are needed; {known} {'day is' if known == 1 else 'days are'} known"
        )
    return told


def _sum(days: dict[date, int], last: date, count: int) -> int:
    return sum(days.get(last - timedelta(days=back), 0) for back in range(count))


def _projection(days: dict[date, int], month: int, today: date) -> dict[str, Any]:
    first = min(days, default=today)
    complete = min((today - first).days, WEEK)
    if complete < 1:
        return {"usd": None, "unknown_because": "no whole day is known yet"}
    mean = _sum(days, today - timedelta(days=1), complete) // complete
    left = calendar.monthrange(today.year, today.month)[1] - today.day + 1
    so_far = max(month - days.get(today, 0), 0)
    total = max(so_far + mean * left, month)
    of = "1 whole day" if complete == 1 else f"{complete} whole days"
    return {
        "usd": usd(total),
        "arithmetic": f"{dollars(so_far)} before today + {dollars(mean)} a day (mean of the last {of}) x "
        f"{left} days left with today",
    }
