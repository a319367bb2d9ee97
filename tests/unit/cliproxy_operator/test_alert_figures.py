"""What each metric of a condition reads, and what is not known."""

from dataclasses import replace

import pytest

from cliproxy_api.alert_condition import METRICS, ConditionError, parse_condition
from cliproxy_api.report import ProviderTraffic
from cliproxy_api.resources.llmprovider_status import CooldownStatus, LLMProviderStatus, QuotaStatus
from cliproxy_api.vocabulary import CooldownPhase, ProviderPhase, ScopeKind
from cliproxy_operator.alerts.figures import Facts, Figure, figure, spoken
from cliproxy_operator.alerts.judge import Verdict, holds, metrics_of
from cliproxy_operator.view import SidecarsView

BUSY = Facts(
    status=LLMProviderStatus(
        phase=ProviderPhase.COOLING_DOWN,
        in_cooldown=True,
        cooldowns=(
            CooldownStatus(scope=ScopeKind.MODEL, phase=CooldownPhase.COOLING),
            CooldownStatus(scope=ScopeKind.CREDENTIAL, phase=CooldownPhase.RAMP),
        ),
        quota=QuotaStatus(used="75", remaining="25"),
    ),
    traffic=ProviderTraffic(
        requests=10,
        errors=4,
        tokens=500,
        rate_limited=3,
        key_refusals=1,
        nano_usd=50_000_000,
        latency_buckets={1000: 10},
    ),
    reported=True,
    sidecars=SidecarsView(total=5, synced=3),
    budget_used=1.25,
    hit_ratio=0.125,
)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("error_rate", 0.4),
        ("rate_limit_count", 3.0),
        ("p50_latency", 0.75),
        ("p95_latency", 0.975),
        ("p99_latency", 0.995),
        ("requests_per_minute", 10.0),
        ("tokens_per_minute", 500.0),
        ("provider_health", "degraded"),
        ("in_cooldown", True),
        ("cooldown_count", 1.0),
        ("quota_remaining_ratio", 0.25),
        ("cost_per_hour", 3.0),
        ("authentication_failures", 1.0),
        ("sidecars_unsynced", 2.0),
        ("budget_used_ratio", 1.25),
        ("cache_hit_ratio", 0.125),
    ],
)
def test_a_figure(metric: str, value: Figure) -> None:
    assert figure(metric, BUSY) == (pytest.approx(value) if isinstance(value, float) else value)


def test_what_nobody_reports_is_not_known() -> None:
    known = {"sidecars_unsynced", "cooldown_count"}
    assert {metric for metric in METRICS if figure(metric, Facts(LLMProviderStatus())) is not None} == known


def test_no_traffic_is_zero_requests_and_no_error_rate() -> None:
    quiet = Facts(LLMProviderStatus(), reported=True)
    assert figure("requests_per_minute", quiet) == 0.0
    assert figure("rate_limit_count", quiet) == 0.0
    assert figure("error_rate", quiet) is None
    assert figure("p95_latency", quiet) is None


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        (ProviderPhase.HEALTHY, "healthy"),
        (ProviderPhase.UNHEALTHY, "unhealthy"),
        (ProviderPhase.MISCONFIGURED, "unhealthy"),
        (ProviderPhase.UNKNOWN, "unknown"),
        (ProviderPhase.DISABLED, None),
        (None, None),
    ],
)
def test_health_is_the_phase_in_few_words(phase: ProviderPhase | None, word: str | None) -> None:
    assert figure("provider_health", Facts(status=LLMProviderStatus(phase=phase))) == word


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("error_rate", 0.4213, "42.1 %"),
        ("p95_latency", 5.0, "5 s"),
        ("cost_per_hour", 2.5, "2.5 USD"),
        ("rate_limit_count", 12.0, "12"),
        ("requests_per_minute", 123456.0, "123000"),
        ("provider_health", "unhealthy", "unhealthy"),
        ("in_cooldown", True, "true"),
        ("cost_per_hour", None, "unknown"),
    ],
)
def test_figures_are_spoken_with_their_unit(metric: str, value: Figure, text: str) -> None:
    assert spoken(metric, value) == text


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        ("error_rate > 5%", True),
        ("error_rate >= 50%", False),
        ('provider_health == "unhealthy"', False),
        ('provider_health != "healthy"', True),
        ("in_cooldown", True),
        ("!in_cooldown", False),
        ("budget_used_ratio > 80%", None),
        ("!(budget_used_ratio > 80%)", None),
        ("budget_used_ratio > 80% || in_cooldown", True),
        ("budget_used_ratio > 80% && in_cooldown", None),
        ("budget_used_ratio > 80% && !in_cooldown", False),
        ("budget_used_ratio > 80% || !in_cooldown", None),
        ("p95_latency > 900ms && (error_rate > 10% || rate_limit_count > 10)", True),
    ],
)
def test_a_condition_holds_or_not_or_nobody_knows(condition: str, verdict: Verdict) -> None:
    expression = parse_condition(condition)
    assert not isinstance(expression, ConditionError)
    facts = replace(BUSY, budget_used=None)
    assert holds(expression, {metric: figure(metric, facts) for metric in METRICS}) is verdict


def test_metrics_are_listed_once_in_order() -> None:
    expression = parse_condition("p95_latency > 5s || !(error_rate > 1%) && p95_latency < 9s")
    assert not isinstance(expression, ConditionError)
    assert metrics_of(expression) == ("p95_latency", "error_rate")
