"""Pure: the bodies of the fleet's operations API, made from providers' status (shapes: design section 12).

Names are the objects' names; where two namespaces use the same one, "namespace/name".
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from cliproxy_api.report import Reused
from cliproxy_api.resources.llmprovider_status import CooldownStatus, LLMProviderStatus
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, ProviderPhase
from cliproxy_operator.view import InjectionView

Provider = tuple[str, str, LLMProviderStatus]
"""(namespace, name, status)."""

_STATUS: Final = {
    ProviderPhase.HEALTHY: "healthy",
    ProviderPhase.UNKNOWN: "healthy",
    ProviderPhase.DEGRADED: "degraded",
    ProviderPhase.COOLING_DOWN: "degraded",
    ProviderPhase.UNHEALTHY: "unhealthy",
    ProviderPhase.DISABLED: "unhealthy",
    ProviderPhase.MISCONFIGURED: "unhealthy",
}
"""Three words for scripts; `phase` beside it tells more. Unknown: nothing speaks against the provider."""
_REASONS: Final = {
    OutcomeClass.RATE_LIMITED: "rate_limit",
    OutcomeClass.RAMP: "rate_limit",
    OutcomeClass.QUOTA_LONG: "quota",
    OutcomeClass.QUOTA_MONEY: "quota",
    OutcomeClass.AUTH: "auth",
    OutcomeClass.OVERLOADED: "overloaded",
}
_CIRCUIT: Final = {
    CooldownPhase.COOLING: "open",
    CooldownPhase.HALF_OPEN: "half_open",
    CooldownPhase.RAMP: "half_open",
}


def providers_status(providers: Iterable[Provider]) -> dict[str, Any]:
    """Return the body of `providers/status`."""
    return {"providers": {label: _provider(*entry) for label, entry in _labelled(providers)}}


def cache_stats(told: Mapping[str, Reused | None]) -> dict[str, Any]:
    """Return the body of `cache/stats`: all sidecars together, and each that told any ("namespace/pod")."""
    sidecars = {name: reused for name, reused in sorted(told.items()) if reused is not None}
    total = Counter[str]()
    for reused in sidecars.values():
        total.update(msgspec.structs.asdict(reused))
    fleet = _reused(msgspec.convert(dict(total), Reused))
    each = {name: _reused(reused) for name, reused in sidecars.items()}
    return {"fleet": {"sidecars": len(each), **fleet}, "sidecars": each}


def _reused(reused: Reused) -> dict[str, Any]:
    hits = reused.hits + reused.redis_hits
    asked = hits + reused.misses
    return {
        "cache": {
            "entries": reused.entries,
            "bytes": reused.bytes,
            "hits": {"local": reused.hits, "redis": reused.redis_hits},
            "misses": reused.misses,
            "hit_ratio": round(hits / asked, 4) if asked else None,
        },
        "coalescing": {"shared": reused.shared},
        "batching": {"batches": reused.batches, "requests": reused.batched},
    }


def injection_status(
    groups: Mapping[tuple[str, str], InjectionView], namespace: str | None
) -> dict[str, Any]:
    """Return the body of `injection/status`: pods that ask for a sidecar, by namespace and profile."""
    return {
        "groups": [
            {
                "namespace": home,
                "profile": profile,
                "current": view.current,
                "stale": view.stale,
                "missing": view.missing,
                "worst": [
                    {"pod": one.sidecar.pod, "reason": one.reason, "message": one.message}
                    for one in view.worst
                ],
            }
            for (home, profile), view in sorted(groups.items(), key=lambda entry: entry[0])
            if namespace in (None, home)
        ]
    }


def cooldown_status(providers: Iterable[Provider], now_utc: datetime) -> dict[str, Any]:
    """Return the body of `cooldown/status`; of several cooldowns of a provider the latest to end counts."""
    periods = {}
    for label, (namespace, _, status) in _labelled(providers):
        cooling = [entry for entry in status.cooldowns if entry.until is not None]
        if cooling:
            latest = max(cooling, key=lambda entry: entry.until or "")
            periods[label] = {
                "namespace": namespace,
                **_period(latest, now_utc),
                "cooldowns": [_period(entry, now_utc) for entry in cooling],
            }
    return {"providers_in_cooldown": sorted(periods), "cooldown_periods": periods}


def load_balancing_status(providers: Iterable[Provider]) -> dict[str, Any]:
    """Return the body of `load_balancing/status`: who takes which share now, fleet-wide."""
    rows = {}
    entries = _labelled(providers)
    total = sum(_requests(status) for _, (_, _, status) in entries)
    for label, (namespace, _, status) in entries:
        requests = _requests(status)
        rows[label] = {
            "namespace": namespace,
            "available": not status.in_cooldown and _word(status) != "unhealthy",
            "requests_last_minute": requests,
            "share_percent": round(100 * requests / total, 1) if total else 0.0,
        }
    return {"providers": rows}


def circuit_breakers(providers: Iterable[Provider]) -> dict[str, Any]:
    """Return the body of `circuit_breakers`: closed passes, open refuses, half_open is on its way back."""
    return {
        "circuit_breakers": {
            label: {
                "namespace": namespace,
                "state": _circuit(status),
                "scopes": [
                    {
                        "scope": entry.scope.value,
                        "credential": entry.credential,
                        "model": entry.model,
                        "state": _CIRCUIT[entry.phase or CooldownPhase.COOLING],
                        "share_percent": entry.share_percent,
                        "level": entry.level or 0,
                    }
                    for entry in status.cooldowns
                ],
            }
            for label, (namespace, _, status) in _labelled(providers)
        }
    }


def _labelled(providers: Iterable[Provider]) -> list[tuple[str, Provider]]:
    entries = sorted(providers, key=lambda entry: entry[:2])
    uses = Counter(name for _, name, _ in entries)
    return [(name if uses[name] == 1 else f"{ns}/{name}", (ns, name, status)) for ns, name, status in entries]


def _provider(namespace: str, name: str, status: LLMProviderStatus) -> dict[str, Any]:
    health, traffic, sidecars = status.health, status.traffic, status.sidecars
    return {
        "namespace": namespace,
        "name": name,
        "status": _word(status),
        "phase": (status.phase or ProviderPhase.UNKNOWN).value,
        "reason": status.reason,
        "in_cooldown": bool(status.in_cooldown),
        "cooldown_until": status.cooldown_until,
        "last_check": health.last_check if health else None,
        "uptime_percent": _or(health.uptime_percent if health else None, 100.0),
        "consecutive_failures": _or(health.consecutive_failures if health else None, 0),
        "requests_last_minute": _requests(status),
        "errors_last_minute": _or(traffic.errors_last_minute if traffic else None, 0),
        "average_latency_ms": _or(traffic.average_latency_ms if traffic else None, 0),
        "p95_latency_ms": _or(traffic.p95_latency_ms if traffic else None, 0),
        "tokens_last_minute": _or(traffic.tokens_last_minute if traffic else None, 0),
        "sidecars": {
            "total": _or(sidecars.total if sidecars else None, 0),
            "ready": _or(sidecars.ready if sidecars else None, 0),
            "synced": _or(sidecars.synced if sidecars else None, 0),
        },
    }


def _period(entry: CooldownStatus, now_utc: datetime) -> dict[str, Any]:
    until = datetime.fromisoformat(entry.until) if entry.until else now_utc
    return {
        "started_at": entry.since,
        "ends_at": entry.until,
        "remaining_seconds": max(0, round((until - now_utc).total_seconds())),
        "reason": "manual" if entry.class_ is None else _REASONS.get(entry.class_, "error"),
        "class": entry.class_.value if entry.class_ else None,
        "message": entry.reason,
        "scope": entry.scope.value,
        "credential": entry.credential,
        "model": entry.model,
        "phase": (entry.phase or CooldownPhase.COOLING).value,
    }


def _circuit(status: LLMProviderStatus) -> str:
    states = {_CIRCUIT[entry.phase or CooldownPhase.COOLING] for entry in status.cooldowns}
    return "open" if "open" in states else "half_open" if states else "closed"


def _word(status: LLMProviderStatus) -> str:
    return _STATUS[status.phase or ProviderPhase.UNKNOWN]


def _requests(status: LLMProviderStatus) -> int:
    return (status.traffic.requests_last_minute if status.traffic else None) or 0


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value
