"""The operations API's bodies have the shapes that scripts rely on."""

from datetime import UTC, datetime

import pytest

from cliproxy_api.report import Reused
from cliproxy_api.resources.llmprovider_status import (
    CooldownStatus,
    HealthStatus,
    LLMProviderStatus,
    TrafficStatus,
)
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, ProviderPhase, ScopeKind
from cliproxy_operator import report

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def cooling(
    until: str = "2026-11-20T12:10:00Z",
    class_: OutcomeClass | None = OutcomeClass.RATE_LIMITED,
    phase: CooldownPhase = CooldownPhase.COOLING,
) -> CooldownStatus:
    return CooldownStatus(
        scope=ScopeKind.PROVIDER, class_=class_, phase=phase, since="2026-11-20T11:59:00Z", until=until
    )


def test_providers_status() -> None:
    status = LLMProviderStatus(
        phase=ProviderPhase.DEGRADED,
        health=HealthStatus(last_check="2026-11-20T11:59:30Z", uptime_percent=99.5),
        traffic=TrafficStatus(requests_last_minute=20, errors_last_minute=1, average_latency_ms=350),
    )

    row = report.providers_status([("shop", "claude", status)])["providers"]["claude"]
    expected = {
        "status": "degraded",
        "in_cooldown": False,
        "last_check": "2026-11-20T11:59:30Z",
        "uptime_percent": 99.5,
        "requests_last_minute": 20,
        "errors_last_minute": 1,
        "average_latency_ms": 350,
    }
    assert expected.items() <= row.items()


def test_an_unknown_provider_has_figures_too() -> None:
    row = report.providers_status([("shop", "claude", LLMProviderStatus())])["providers"]["claude"]

    assert row["status"] == "healthy"
    assert row["phase"] == "Unknown"
    assert row["requests_last_minute"] == 0
    assert row["uptime_percent"] == 100.0


@pytest.mark.parametrize("phase", list(ProviderPhase))
def test_every_phase_has_one_of_three_words(phase: ProviderPhase) -> None:
    row = report.providers_status([("shop", "p", LLMProviderStatus(phase=phase))])["providers"]["p"]

    assert row["status"] in {"healthy", "degraded", "unhealthy"}


def test_equal_names_are_told_apart() -> None:
    status = LLMProviderStatus()
    rows = report.providers_status([("a", "twin", status), ("b", "twin", status), ("a", "one", status)])

    assert sorted(rows["providers"]) == ["a/twin", "b/twin", "one"]


def test_cooldown_status_tells_the_latest_to_end() -> None:
    status = LLMProviderStatus(
        in_cooldown=True,
        cooldowns=(cooling("2026-11-20T12:01:00Z", OutcomeClass.SERVER_ERROR), cooling()),
    )

    body = report.cooldown_status([("shop", "claude", status), ("shop", "gpt", LLMProviderStatus())], NOON)
    assert body["providers_in_cooldown"] == ["claude"]
    period = body["cooldown_periods"]["claude"]
    assert (period["started_at"], period["ends_at"]) == ("2026-11-20T11:59:00Z", "2026-11-20T12:10:00Z")
    assert (period["remaining_seconds"], period["reason"]) == (600, "rate_limit")
    assert [entry["reason"] for entry in period["cooldowns"]] == ["error", "rate_limit"]


def test_remaining_is_never_below_zero_and_a_person_is_manual() -> None:
    status = LLMProviderStatus(cooldowns=(cooling("2026-11-20T11:00:00Z", None),))

    period = report.cooldown_status([("shop", "claude", status)], NOON)["cooldown_periods"]["claude"]
    assert (period["remaining_seconds"], period["reason"]) == (0, "manual")


@pytest.mark.parametrize("class_", list(OutcomeClass))
def test_every_class_has_a_reason(class_: OutcomeClass) -> None:
    status = LLMProviderStatus(cooldowns=(cooling(class_=class_),))

    assert report.cooldown_status([("s", "p", status)], NOON)["cooldown_periods"]["p"]["reason"]


@pytest.mark.parametrize(
    ("phases", "state"),
    [
        ((), "closed"),
        ((CooldownPhase.COOLING,), "open"),
        ((CooldownPhase.HALF_OPEN,), "half_open"),
        ((CooldownPhase.RAMP,), "half_open"),
        ((CooldownPhase.RAMP, CooldownPhase.COOLING), "open"),
    ],
)
def test_circuit_breakers(phases: tuple[CooldownPhase, ...], state: str) -> None:
    status = LLMProviderStatus(cooldowns=tuple(cooling(phase=phase) for phase in phases))

    row = report.circuit_breakers([("shop", "claude", status)])["circuit_breakers"]["claude"]
    assert row["state"] == state
    assert len(row["scopes"]) == len(phases)


def test_load_balancing_shares() -> None:
    def traffic(count: int) -> LLMProviderStatus:
        return LLMProviderStatus(traffic=TrafficStatus(requests_last_minute=count))

    body = report.load_balancing_status(
        [("shop", "a", traffic(30)), ("shop", "b", traffic(10)), ("shop", "c", LLMProviderStatus())]
    )

    assert {name: row["share_percent"] for name, row in body["providers"].items()} == {
        "a": 75.0,
        "b": 25.0,
        "c": 0.0,
    }
    assert report.load_balancing_status([])["providers"] == {}


def test_cache_stats_add_up_what_sidecars_told() -> None:
    one = Reused(entries=2, bytes=100, hits=3, redis_hits=1, misses=4, shared=5, batches=1, batched=2)
    body = report.cache_stats({"shop/b": one, "shop/a": Reused(misses=2), "shop/silent": None})
    assert list(body["sidecars"]) == ["shop/a", "shop/b"]
    assert body["sidecars"]["shop/a"]["cache"]["hit_ratio"] == 0.0
    assert body["fleet"] == {
        "sidecars": 2,
        "cache": {
            "entries": 2,
            "bytes": 100,
            "hits": {"local": 3, "redis": 1},
            "misses": 6,
            "hit_ratio": 0.4,
        },
        "coalescing": {"shared": 5},
        "batching": {"batches": 1, "requests": 2},
    }


def test_cache_stats_of_a_fleet_that_keeps_nothing() -> None:
    body = report.cache_stats({"shop/a": None})
    assert body["sidecars"] == {}
    assert body["fleet"]["cache"]["hit_ratio"] is None
