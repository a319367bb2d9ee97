"""What each metric of a condition means: facts about one provider -> a figure, or None while nobody knows.

Exact figures, not those rounded for status. Comparing them with a condition's literals is `judge`'s.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cliproxy_api.alert_condition import METRICS, Sort
from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_api.percentile import percentile_ms
from cliproxy_api.report import ProviderTraffic
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.vocabulary import CooldownPhase, ProviderPhase
from cliproxy_operator.view import SidecarsView

Figure = float | str | bool | None
"""A number (shares 0 to 1, latencies in seconds), a health word, a flag; None: not known now."""

_HEALTH: Final = {
    ProviderPhase.HEALTHY: "healthy",
    ProviderPhase.DEGRADED: "degraded",
    ProviderPhase.COOLING_DOWN: "degraded",
    ProviderPhase.UNHEALTHY: "unhealthy",
    ProviderPhase.MISCONFIGURED: "unhealthy",
    ProviderPhase.UNKNOWN: "unknown",
}
_OUT: Final = (CooldownPhase.COOLING, CooldownPhase.HALF_OPEN)
_SILENT: Final = ProviderTraffic()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the fleet knows about one provider."""

    status: LLMProviderStatus
    """As last written: phase, cooldowns."""
    traffic: ProviderTraffic | None = None
    """All sidecars' last minute together; None: nobody has told of any."""
    reported: bool = False
    """Whether any sidecar that runs the provider is connected: then no traffic means none, not unknown."""
    sidecars: SidecarsView = field(default_factory=SidecarsView)
    budget_used: float | None = None
    """The used share of the fullest budget of any consumer who may use the provider; None: no budgets."""
    hit_ratio: float | None = None
    """Of the last minute's lookups for kept answers at its sidecars; None: there were none."""


def figure(metric: str, facts: Facts) -> Figure:
    """Return a metric's figure; None while nobody knows it.

    Raises:
        KeyError: not a metric of the language; a bug of the caller.

    """
    return _READERS[metric](facts)


def spoken(metric: str, value: Figure) -> str:
    """Return a figure for people, with its unit."""
    if value is None:
        return "unknown"
    if isinstance(value, bool | str):
        return str(value).lower()
    match METRICS.get(metric):
        case Sort.RATIO:
            return f"{_digits(value * 100)} %"
        case Sort.LATENCY:
            return f"{_digits(value)} s"
        case Sort.USD:
            return f"{_digits(value)} USD"
        case _:
            return _digits(value)


def _digits(value: float) -> str:
    rounded = float(f"{value:.3g}")
    return str(int(rounded)) if rounded.is_integer() else f"{rounded:g}"


def _traffic(facts: Facts) -> ProviderTraffic | None:
    return facts.traffic or (_SILENT if facts.reported else None)


def _error_rate(facts: Facts) -> Figure:
    traffic = _traffic(facts)
    return traffic.errors / traffic.requests if traffic is not None and traffic.requests else None


def _count(name: str) -> Callable[[Facts], Figure]:
    def read(facts: Facts) -> Figure:
        traffic = _traffic(facts)
        return float(getattr(traffic, name)) if traffic is not None else None

    return read


def _latency(share: float) -> Callable[[Facts], Figure]:
    def read(facts: Facts) -> Figure:
        found_ms = percentile_ms(facts.traffic.latency_buckets, share) if facts.traffic is not None else None
        return found_ms / 1000 if found_ms is not None else None

    return read


def _health(facts: Facts) -> Figure:
    return _HEALTH.get(facts.status.phase) if facts.status.phase is not None else None


def _cooldown_count(facts: Facts) -> Figure:
    return float(sum(entry.phase in _OUT for entry in facts.status.cooldowns))


def _quota_remaining(facts: Facts) -> Figure:
    quota = facts.status.quota
    if quota is None or quota.used is None or quota.remaining is None:
        return None
    try:
        used, remaining = float(quota.used), float(quota.remaining)
    except ValueError:  # somebody else's edit
        return None
    return max(remaining, 0.0) / (used + remaining) if used + remaining > 0 else None


def _unsynced(facts: Facts) -> Figure:
    return float(max(facts.sidecars.total - facts.sidecars.synced, 0))


def _cost_per_hour(facts: Facts) -> Figure:
    traffic = _traffic(facts)
    return traffic.nano_usd * 60 / NANO_USD_PER_USD if traffic is not None else None


_READERS: Final[Mapping[str, Callable[[Facts], Figure]]] = {
    "error_rate": _error_rate,
    "rate_limit_count": _count("rate_limited"),
    "p50_latency": _latency(0.50),
    "p95_latency": _latency(0.95),
    "p99_latency": _latency(0.99),
    "requests_per_minute": _count("requests"),
    "tokens_per_minute": _count("tokens"),
    "provider_health": _health,
    "in_cooldown": lambda facts: facts.status.in_cooldown,
    "cooldown_count": _cooldown_count,
    "quota_remaining_ratio": _quota_remaining,
    "cost_per_hour": _cost_per_hour,
    "authentication_failures": _count("key_refusals"),
    "sidecars_unsynced": _unsynced,
    "budget_used_ratio": lambda facts: facts.budget_used,
    "cache_hit_ratio": lambda facts: facts.hit_ratio,
}
TRAFFIC: Final = frozenset(
    (
        "error_rate",
        "rate_limit_count",
        "p50_latency",
        "p95_latency",
        "p99_latency",
        "requests_per_minute",
        "tokens_per_minute",
        "cost_per_hour",
        "authentication_failures",
    )
)
"""Metrics that are read off `Facts.traffic`."""
