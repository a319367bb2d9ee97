"""Real traffic, a real Prometheus: every panel and every rule answers, sanely, and sums are what was sent."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.monitoring.trial import Answer, Trial, running_trial

ONLY_IN_TROUBLE = {"cliproxy_operator_loop_failures_total"}
"""Counters that begin with a defect of ours."""
_METRIC = re.compile(r"\b(?:cliproxy|process|up)[:a-z0-9_]*\b(?![\"\.])")
CHATS = {"openai": "/v1/chat/completions", "vllm": "/v1/chat/completions", "claude": "/v1/messages"}


def complaints(answer: Answer) -> list[str]:
    # A quantile of what began in the last moment, or has rested for a minute, is no number yet.
    values = [sample.value for sample in answer.samples if not math.isnan(sample.value)]
    said = [] if values else ["answers nothing"]
    said += [f"{value}" for value in values if math.isinf(value) or value < 0]
    if answer.unit == "percentunit":
        said += [f"{value} is no share" for value in values if value > 1]
    return [f"{answer.board}, {answer.panel}: {one}: {answer.expr}" for one in said]


async def total(trial: Trial, expr: str) -> float:
    (sample,) = await trial.prometheus.query(expr)
    return sample.value


@pytest.mark.timeout(420)
async def test_dashboards_and_rules_on_real_traffic(tmp_path: Path) -> None:
    try:
        async with running_trial(tmp_path, Narrator()) as trial:
            answers = await trial.answers()
            assert [one for answer in answers for one in complaints(answer)] == []
            await sums_are_what_was_sent(trial)
            await the_operator_and_its_sidecars_agree(trial)
            await rules_have_what_they_ask_for(trial)
    except CannotObtain as error:
        pytest.skip(str(error))


async def sums_are_what_was_sent(trial: Trial) -> None:
    assert await total(trial, "sum(cliproxy_requests_total)") == trial.sent.requests
    assert await total(trial, "sum(cliproxy_request_duration_seconds_count)") == trial.sent.requests
    assert await total(trial, "sum(cliproxy_cache_hits_total)") == trial.sent.hits > 0
    assert await total(trial, 'sum(cliproxy_requests_total{status="429"})') == trial.sent.statuses[429]
    for provider, path in CHATS.items():
        asked = await trial.world.requests_count(provider, path)
        where = f'{{provider_namespace="demo", provider="{provider}"}}'
        assert await total(trial, f"sum(cliproxy_provider_attempts_total{where})") == asked, provider
        durations = f"sum(cliproxy_provider_attempt_duration_seconds_count{where})"
        assert asked == 0 or await total(trial, durations) == asked
    by_request = await total(trial, "sum(cliproxy_cost_usd_total)")
    assert await total(trial, "sum(cliproxy_provider_cost_usd_total)") == pytest.approx(by_request)
    assert by_request > 0
    by_request = await total(trial, "sum(cliproxy_tokens_total)")
    assert await total(trial, "sum(cliproxy_provider_tokens_total)") == by_request > 0


async def the_operator_and_its_sidecars_agree(trial: Trial) -> None:
    assert await total(trial, "sum(cliproxy_provider_sidecars_unsynced)") == 0
    limited = 'sum(cliproxy_provider_failures_total{provider="openai", reason="rate_limited"})'
    assert await total(trial, limited) >= 1
    ratio = await total(trial, 'cliproxy_provider_cache_hit_ratio{provider="openai"}')
    assert 0 < ratio < 1
    assert await total(trial, 'cliproxy_provider_budget_used_ratio{provider="openai"}') > 1


async def rules_have_what_they_ask_for(trial: Trial) -> None:
    rules = await trial.prometheus.rules()
    assert {rule["health"] for rule in rules} == {"ok"}, rules
    for rule in rules:
        if rule["type"] == "recording":
            values = [sample.value for sample in await trial.prometheus.query(rule["name"])]
            assert values, rule["name"]
            assert any(value >= 0 for value in values), rule["name"]
            assert not any(value < 0 for value in values), rule["name"]
            assert "ratio" not in rule["name"] or max(values) <= 1, rule["name"]
        for metric in set(_METRIC.findall(rule["query"])) - ONLY_IN_TROUBLE:
            assert await trial.prometheus.query(f"count({metric})"), f"{rule['name']} asks for {metric}"
    firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
    assert firing == {"CliproxyBudgetNearlyUsed"}, "a consumer is over its budget, and all else is well"
