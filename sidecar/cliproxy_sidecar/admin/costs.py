"""What this sidecar has spent since it started, and where limits and budgets stand: for people and scripts.

Pure, like `views`. The fleet's figures are the operator's to tell; of quotas and budgets they are in here as
far as they are known.
"""

from collections.abc import Iterable
from typing import Any

from cliproxy_api.costview import sums
from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_api.report import UsedEntry
from cliproxy_sidecar.admin.views import Now
from cliproxy_sidecar.core.limits.callers import Caller
from cliproxy_sidecar.core.limits.spending import Figures, Key
from cliproxy_sidecar.runtime.machines import Machines


def costs(machines: Machines, now: Now) -> dict[str, Any]:
    """Return today's and this month's costs by provider, model and consumer (UTC), limits and budgets."""
    limits = machines.limits
    limits.spending.at(now.utc)
    names = {provider.id: provider.name for provider in machines.providers}
    day = now.utc.strftime("%Y-%m-%d")
    return {
        "scope": "sidecar",
        "currency": "USD",
        "today": {"day": day, **sums(_entries(limits.spending.today.items()), names)},
        "this_month": {"month": day[:7], **sums(_entries(limits.spending.month()), names)},
        "limits": {gate.provider.name: gate.view(now.mono_s) for gate in limits.gates.values()},
        "consumers": {name: _caller(caller, now.mono_s) for name, caller in sorted(limits.callers.items())},
    }


def _entries(figures: Iterable[tuple[Key, Figures]]) -> Iterable[UsedEntry]:
    for (provider, model, consumer), one in figures:
        yield UsedEntry(
            day="",
            provider=provider,
            model=model,
            consumer=consumer,
            requests=one.requests,
            tokens=one.tokens,
            nano_usd=one.nano_usd,
            estimated_nano_usd=one.estimated_nano_usd,
            reused=one.reused,
            saved_nano_usd=one.saved_nano_usd,
        )


def _caller(caller: Caller, now: float) -> dict[str, Any]:
    consumer, told = caller.consumer, dict[str, Any]()
    told["tier"] = consumer.tier
    told["has_key"] = bool(consumer.secret)
    if caller.limiter is not None:
        requests, tokens = caller.limiter.used(now)
        told["rate_limit"] = {
            "requests_last_minute": requests,
            "tokens_last_minute": tokens,
            "in_flight": caller.limiter.in_flight,
        }
    if consumer.budget is not None:
        budget = consumer.budget
        exceeded = caller.exceeded(now)
        named = {"daily": budget.daily, "weekly": budget.weekly, "monthly": budget.monthly}
        told["budget"] = {
            "on_exceeded": budget.on_exceeded.value,
            "exceeded": None if exceeded is None else exceeded.period.value,
            **{
                reset.value: {
                    "limit_usd": (named[reset.value] or 0) / NANO_USD_PER_USD,
                    "spent_usd": period.used(now) / NANO_USD_PER_USD,
                    "resets_at": period.ends_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
                for reset, period in caller.periods.items()
            },
        }
    return told
