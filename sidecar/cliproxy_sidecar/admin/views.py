"""What people see of the machines: plain dictionaries in the shapes that scripts rely on (design section 12).

Pure: machines' values and two clocks in, JSON-ready values out. Who may see or change them is `operations`'.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cliproxy_api.snapshot import Provider, Snapshot
from cliproxy_api.vocabulary import MANUAL_REASON, CooldownPhase, OutcomeClass
from cliproxy_sidecar.core.permit import ActiveCooldown
from cliproxy_sidecar.runtime.machines import Machines

_REASONS: Final = {
    None: MANUAL_REASON,
    OutcomeClass.RATE_LIMITED: "rate_limit",
    OutcomeClass.RAMP: "rate_limit",
    OutcomeClass.QUOTA_LONG: "quota_exhausted",
    OutcomeClass.QUOTA_MONEY: "quota_exhausted",
    OutcomeClass.OVERLOADED: "overloaded",
    OutcomeClass.AUTH: "auth",
    OutcomeClass.CONFIG: "config",
}
_OPEN: Final = {
    CooldownPhase.COOLING: "open",
    CooldownPhase.HALF_OPEN: "half_open",
    CooldownPhase.RAMP: "half_open",
}
_DEGRADED_ERRORS: Final = 0.05
"""Share of failed attempts above which a provider that answers is called degraded."""


@dataclass(frozen=True, slots=True)
class Now:
    """The same instant on both clocks."""

    mono_s: float
    utc: datetime

    def rfc3339(self, at_s: float | None) -> str | None:
        """Write a monotonic instant as RFC 3339 in UTC."""
        if at_s is None:
            return None
        return _rfc3339(self.utc + timedelta(seconds=at_s - self.mono_s))


def providers_status(machines: Machines, snapshot: Snapshot | None, now: Now) -> dict[str, Any]:
    """Return every provider's health, cooldown and last minute, and which generation of it runs here."""
    cooling = _by_provider(machines.active())
    objects = snapshot.objects if snapshot is not None else ()
    generations = {f"{it.namespace}/{it.name}": it.generation for it in objects if it.kind == "LLMProvider"}
    return {
        "providers": {
            provider.name: {
                **_provider_status(machines, provider, cooling.get(provider.id, []), now),
                "generation": generations.get(provider.id),
            }
            for provider in machines.providers
        }
    }


def cooldown_status(machines: Machines, now: Now) -> dict[str, Any]:
    """Return who cools, since when, until when and why; of several scopes the last to return speaks."""
    cooling = _by_provider(machines.active())
    periods = {
        provider.name: cooldown_period(cooling[provider.id], now)
        for provider in machines.providers
        if provider.id in cooling
    }
    return {"providers_in_cooldown": sorted(periods), "cooldown_periods": periods}


def cooldown_period(cooldowns: list[ActiveCooldown], now: Now) -> dict[str, Any]:
    """Return one provider's cooldowns (at least one), the one that lasts longest in front."""
    longest = max(cooldowns, key=lambda item: item.until)
    return {**_scope(longest, now), "scopes": [_scope(item, now) for item in cooldowns]}


def circuit_breakers(machines: Machines, now: Now) -> dict[str, Any]:
    """Return every provider's breaker; a provider is open when all of it is, else its parts are listed."""
    cooling = _by_provider(machines.active())
    return {
        "circuit_breakers": {
            provider.name: {
                "state": _breaker_state(cooling.get(provider.id, [])),
                "scopes": [_scope(item, now) for item in cooling.get(provider.id, [])],
            }
            for provider in machines.providers
        }
    }


def load_balancing_status(machines: Machines, snapshot: Snapshot | None, now: Now) -> dict[str, Any]:
    """Return per model which providers share its traffic, in order of preference."""
    cooling = _by_provider(machines.active())
    models: dict[str, list[dict[str, Any]]] = {}
    for provider in sorted(machines.providers, key=lambda item: (item.priority, item.id)):
        window = machines.windows.of(provider.id).traffic(now.mono_s)
        for model in provider.models:
            parts = [
                item
                for item in cooling.get(provider.id, [])
                if item.scope.model in (None, model.upstream_name)
            ]
            models.setdefault(model.name, []).append(
                {
                    "provider": provider.name,
                    "upstream_model": model.upstream_name,
                    "priority": provider.priority,
                    "weight": provider.weight,
                    "healthy": machines.health.healthy(provider.id),
                    "in_cooldown": bool(parts),
                    "requests_last_minute": window.requests,
                }
            )
    strategy = snapshot.profile.strategy.value if snapshot is not None else None
    affinity = snapshot.profile.affinity.value if snapshot is not None else None
    return {"strategy": strategy, "affinity": affinity, "models": dict(sorted(models.items()))}


def _provider_status(
    machines: Machines, provider: Provider, cooldowns: list[ActiveCooldown], now: Now
) -> dict[str, Any]:
    health = machines.health.view(provider.id, now.mono_s)
    traffic = machines.windows.of(provider.id).traffic(now.mono_s)
    failing = traffic.errors > traffic.requests * _DEGRADED_ERRORS
    status = "healthy" if health.healthy else "unhealthy"
    if health.healthy and (cooldowns or failing):
        status = "degraded"
    return {
        "id": provider.id,
        "type": provider.type.value,
        "status": status,
        "in_cooldown": bool(cooldowns),
        "last_check": now.rfc3339(health.last_check),
        "last_success": now.rfc3339(health.last_success),
        "last_error": health.error or None,
        "uptime_percent": 100.0 if health.uptime_percent is None else round(health.uptime_percent, 3),
        "requests_last_minute": traffic.requests,
        "errors_last_minute": traffic.errors,
        "tokens_last_minute": traffic.tokens,
        "average_latency_ms": round(traffic.latency_sum_ms / traffic.requests, 1)
        if traffic.requests
        else 0.0,
        "priority": provider.priority,
        "weight": provider.weight,
        "models": [model.name for model in provider.models],
    }


def _scope(item: ActiveCooldown, now: Now) -> dict[str, Any]:
    told = item.told
    return {
        "started_at": now.rfc3339(item.since) if told is None else _rfc3339(told.since_utc),
        "ends_at": now.rfc3339(item.until) if told is None else _rfc3339(told.until_utc),
        "remaining_seconds": round(max(item.until - now.mono_s, 0.0), 3),
        "reason": _REASONS.get(item.outcome_class, "error"),
        "detail": item.reason,
        "class": item.outcome_class.value if item.outcome_class is not None else None,
        "phase": item.phase.value,
        "level": item.level,
        "share_percent": item.share_percent,
        "scope": item.scope.kind.value,
        "credential": item.scope.credential,
        "model": item.scope.model,
        "fleet": item.fleet,
    }


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _breaker_state(cooldowns: list[ActiveCooldown]) -> str:
    whole = [item for item in cooldowns if item.scope.credential is None and item.scope.model is None]
    return _OPEN[whole[0].phase] if whole else "closed"


def _by_provider(cooldowns: Iterable[ActiveCooldown]) -> dict[str, list[ActiveCooldown]]:
    grouped: dict[str, list[ActiveCooldown]] = {}
    for item in cooldowns:
        grouped.setdefault(item.scope.provider, []).append(item)
    return grouped
