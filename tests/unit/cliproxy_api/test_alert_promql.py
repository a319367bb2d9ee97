"""Every figure of the language in PromQL: what real Prometheus answers is what the operator would judge."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.alert_condition import (
    METRICS,
    All,
    AnyOf,
    Comparison,
    Expression,
    Not,
    Sort,
    parse_condition,
)
from cliproxy_api.alert_promql import NotExpressibleError, to_promql
from cliproxy_operator.alerts.judge import Figures, holds
from support.promtool import run_rules

WHERE = 'provider_namespace="shop", provider="claude"'
POINTS = 25
"""Scrapes, 15 s apart."""


def series(name: str, first: float, step: float, *, more: str = "", **labels: str) -> dict[str, str]:
    extra = "".join(f', {key}="{value}"' for key, value in labels.items()) + more
    return {"series": f"{name}{{{WHERE}{extra}}}", "values": f"{first:g}+{step:g}x{POINTS}"}


def counter(name: str, per_scrape: float, **labels: str) -> list[dict[str, str]]:
    """Half of it in each of two sidecars."""
    return [series(name, 7, per_scrape / 2, pod=pod, **labels) for pod in ("a", "b")]


def gauge(name: str, value: float, **labels: str) -> list[dict[str, str]]:
    return [series(name, value, 0, pod="operator", **labels)]


# 40 attempts a minute, 10 failed, all of them faster than 10 s and half of them than 1 s.
WORLD: list[dict[str, str]] = [
    *counter("cliproxy_provider_attempts_total", 10),
    *counter("cliproxy_provider_failures_total", 1, reason="rate_limited"),
    *counter("cliproxy_provider_failures_total", 0.5, reason="key_refused"),
    *counter("cliproxy_provider_failures_total", 1, reason="other"),
    *counter("cliproxy_provider_tokens_total", 1000),
    *counter("cliproxy_provider_cost_usd_total", 0.5),
    *counter("cliproxy_provider_attempt_duration_seconds_bucket", 0, le="0.5"),
    *counter("cliproxy_provider_attempt_duration_seconds_bucket", 5, le="1.0"),
    *counter("cliproxy_provider_attempt_duration_seconds_bucket", 10, le="10.0"),
    *counter("cliproxy_provider_attempt_duration_seconds_bucket", 10, le="+Inf"),
    *gauge("cliproxy_provider_phase", 1, phase="CoolingDown"),
    *gauge("cliproxy_provider_phase", 0, phase="Healthy"),
    *gauge("cliproxy_provider_phase", 0, phase="Degraded"),
    *gauge("cliproxy_provider_phase", 0, phase="Unhealthy"),
    *gauge("cliproxy_provider_phase", 0, phase="Misconfigured"),
    *gauge("cliproxy_provider_phase", 0, phase="Unknown"),
    *gauge("cliproxy_provider_cooldowns", 2),
    *gauge("cliproxy_provider_quota_remaining_ratio", 0.25),
    *gauge("cliproxy_provider_cache_hit_ratio", 0.5),
    *gauge("cliproxy_provider_sidecars_unsynced", 3),
]
FIGURES: Figures = {
    "error_rate": 0.25,
    "rate_limit_count": 4.0,
    "authentication_failures": 2.0,
    "p50_latency": 1.0,
    "p95_latency": 9.1,
    "p99_latency": 9.82,
    "requests_per_minute": 40.0,
    "tokens_per_minute": 4000.0,
    "cost_per_hour": 120.0,
    "provider_health": "degraded",
    "in_cooldown": True,
    "cooldown_count": 2.0,
    "quota_remaining_ratio": 0.25,
    "cache_hit_ratio": 0.5,
    "sidecars_unsynced": 3.0,
    "budget_used_ratio": None,
}


def query(text: str) -> str:
    expression = parse_condition(text)
    assert not isinstance(expression, str)
    return to_promql(expression, namespace="shop")  # type: ignore[arg-type]


def asked(expression: Expression, verdict: object) -> dict[str, Any]:
    """Return one question to promtool: whether it holds for the provider."""
    found = to_promql(expression, namespace="shop", providers=["claude", "gpt"])
    samples = [{"labels": '{provider="claude"}', "value": 1}] if verdict else []
    return {"expr": f"group by (provider) ({found})", "eval_time": "5m", "exp_samples": samples}


def comparison(chance: random.Random, metric: str, operator: str) -> Comparison:
    match METRICS[metric]:
        case Sort.HEALTH:
            words = ("healthy", "degraded", "unhealthy", "unknown")
            return Comparison(metric, chance.choice(("==", "!=")), chance.choice(words))
        case Sort.FLAG:
            return Comparison(metric, chance.choice(("==", "!=")), value=chance.random() < 0.5)
        case _:
            figure = FIGURES[metric] or 0.5
            return Comparison(metric, operator, float(figure) * chance.choice((0.5, 0.9, 1.1, 3)))


def test_every_metric_answers_as_the_operator_judges(tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311 -- the same cases every time
    simple: list[Expression] = [
        comparison(chance, metric, operator)
        for metric in METRICS
        for operator in ("<", "<=", ">", ">=")
        for _ in range(3)
    ]
    gauges = ("cooldown_count", "quota_remaining_ratio", "sidecars_unsynced", "cache_hit_ratio")
    simple += [Comparison(metric, "==", float(FIGURES[metric] or 0)) for metric in gauges]
    simple += [Comparison(metric, "!=", float(FIGURES[metric] or 0)) for metric in gauges]
    simple += [Comparison("rate_limit_count", "==", 0.0), Comparison("rate_limit_count", "!=", 0.0)]
    every = [*simple, *(Not(one) for one in simple)]
    questions = [asked(one, holds(one, FIGURES)) for one in every]
    assert {bool(question["exp_samples"]) for question in questions} == {True, False}
    run_rules([{"interval": "15s", "input_series": WORLD, "promql_expr_test": questions}], tmp_path)


def test_joined_conditions_answer_as_the_operator_judges(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 -- the same cases every time

    def any_(depth: int) -> Expression:
        if depth == 0 or chance.random() < 0.3:
            metric = chance.choice((*METRICS, "budget_used_ratio"))  # the one that is not known, more often
            return comparison(chance, metric, chance.choice(("<", "<=", ">", ">=")))
        kind = chance.choice((Not, All, AnyOf))
        if kind is Not:
            return Not(any_(depth - 1))
        return kind(tuple(any_(depth - 1) for _ in range(chance.choice((2, 3)))))

    every = [any_(3) for _ in range(150)]
    verdicts = [holds(one, FIGURES) for one in every]
    assert set(verdicts) == {True, False, None}
    questions = [asked(one, verdict) for one, verdict in zip(every, verdicts, strict=True)]
    run_rules([{"interval": "15s", "input_series": WORLD, "promql_expr_test": questions}], tmp_path)


def test_without_attempts_rates_and_latencies_are_not_known(tmp_path: Path) -> None:
    silent = [
        *counter("cliproxy_provider_attempts_total", 0),
        *counter("cliproxy_provider_failures_total", 0, reason="other"),
        *counter("cliproxy_provider_attempt_duration_seconds_bucket", 0, le="0.5"),
        *counter("cliproxy_provider_attempt_duration_seconds_bucket", 0, le="+Inf"),
    ]
    texts = ["error_rate > 0", "error_rate == 0", "error_rate <= 1", "p95_latency > 0s", "p95_latency <= 1h"]
    questions = [
        {"expr": query(text), "eval_time": "5m", "exp_samples": []}
        for text in (*texts, *(f"!({text})" for text in texts))
    ]
    none = {"labels": '{provider="claude"}', "value": 0}
    questions.append({"expr": query("requests_per_minute < 1"), "eval_time": "5m", "exp_samples": [none]})
    run_rules([{"interval": "15s", "input_series": silent, "promql_expr_test": questions}], tmp_path)


def test_other_namespaces_and_other_providers_do_not_count(tmp_path: Path) -> None:
    expression = parse_condition("requests_per_minute > 0")
    questions = [
        {
            "expr": to_promql(expression, namespace=namespace, providers=names),  # type: ignore[arg-type]
            "eval_time": "5m",
            "exp_samples": [{"labels": '{provider="claude"}', "value": 40}] if holds_ else [],
        }
        for namespace, names, holds_ in (
            ("shop", None, True),
            ("shop", ["claude"], True),
            ("shop", ["claud.", "laude"], False),
            ("shop", [], False),
            ("sho.", None, False),
        )
    ]
    run_rules([{"interval": "15s", "input_series": WORLD, "promql_expr_test": questions}], tmp_path)


@pytest.mark.parametrize(
    "text",
    ["p95_latency == 5s", "p50_latency != 0s", "requests_per_minute == 10", "!(error_rate != 5%)"],
)
def test_estimates_are_not_compared_for_equality(text: str) -> None:
    with pytest.raises(NotExpressibleError, match="compare with <, <=, > or >="):
        query(text)


def test_dots_in_names_are_taken_as_dots() -> None:
    expression = parse_condition("in_cooldown")
    found = to_promql(expression, namespace="shop", providers=["a-b.c"])  # type: ignore[arg-type]
    assert 'provider_namespace="shop", provider=~"a-b\\\\.c"' in found
