"""An AlertRule as a PrometheusRule: its fields, and that real promtool sees it fire and resolve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.alert_export import groups, prometheus_rule, rule_name, selected
from cliproxy_api.alert_promql import NotExpressibleError
from support.objects import alert_rule, llm
from support.promtool import check_rules, run_rules

WHERE = 'provider_namespace="team", provider="claude", pod="a"'
CLASSIC = {
    "error-rate": "error_rate > 5% && requests_per_minute > 10",
    "provider-down": 'provider_health == "unhealthy"',
    "rate-limit": "rate_limit_count > 5",
    "slow": "p95_latency > 5s",
}


def line(name: str, values: str, **labels: str) -> dict[str, str]:
    more = "".join(f', {key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{WHERE}{more}}}", "values": values}


OUTAGE = [
    line("cliproxy_provider_attempts_total", "0+10x32"),
    # 0 for two minutes, then every attempt, then none again
    line("cliproxy_provider_failures_total", "0x8 10+10x11 120x12", reason="rate_limited"),
    line("cliproxy_provider_phase", "0x8 1x11 0x12", phase="Unhealthy"),
    line("cliproxy_provider_attempt_duration_seconds_bucket", "0+10x8 80x11 90+10x12", le="1.0"),
    line("cliproxy_provider_attempt_duration_seconds_bucket", "0+10x32", le="10.0"),
    line("cliproxy_provider_attempt_duration_seconds_bucket", "0+10x32", le="+Inf"),
]


@pytest.mark.parametrize("name", CLASSIC)
def test_each_classic_rule_fires_in_an_outage_and_resolves_after_it(name: str, tmp_path: Path) -> None:
    rule = alert_rule(name, condition=CLASSIC[name], duration="30s", severity="critical")
    rendered = groups(rule, frozenset({"claude"}))
    assert "1 rules found" in check_rules(rendered, tmp_path)
    labels = {"severity": "critical", "namespace": "team", "provider": "claude"}

    def at(when: str, *, fires: bool) -> dict[str, Any]:
        alerts = [{"exp_labels": labels, "exp_annotations": {"summary": "claude"}}] if fires else []
        return {"eval_time": when, "alertname": name, "exp_alerts": alerts}

    # The values of the alert are part of no annotation here: they are estimates.
    rendered[0]["rules"][0]["annotations"] = {"summary": "{{ $labels.provider }}"}
    times = [at("105s", fires=False), at("285s", fires=True), at("7m30s", fires=False)]
    run_rules(
        [{"interval": "15s", "input_series": OUTAGE, "alert_rule_test": times}], tmp_path, groups=rendered
    )


def test_the_object_has_what_the_rule_says() -> None:
    rule = alert_rule(
        "failing",
        condition="error_rate > 5%",
        duration="5m",
        severity="critical",
        resolve={"after": "2m"},
        export="PrometheusRule",
    )
    found = prometheus_rule(rule, None)
    assert found["metadata"]["name"] == "cliproxy-failing"
    assert found["metadata"]["namespace"] == "team"
    ((one,),) = [group["rules"] for group in found["spec"]["groups"]]
    assert (one["alert"], one["for"], one["keep_firing_for"]) == ("failing", "5m", "2m")
    assert one["labels"] == {"severity": "critical", "namespace": "team"}
    assert one["annotations"]["condition"] == "error_rate > 5%"
    assert "provider=~" not in one["expr"]


def test_what_is_zero_is_left_out_and_what_rests_has_no_rules(tmp_path: Path) -> None:
    (group,) = groups(alert_rule(condition="in_cooldown"), None)
    assert not {"for", "keep_firing_for"} & group["rules"][0].keys()
    resting = groups(alert_rule(condition="in_cooldown", suspend=True), None)
    assert resting == []
    assert "0 rules found" in check_rules(resting, tmp_path)


def test_a_condition_without_an_equal_is_refused_even_while_it_rests() -> None:
    with pytest.raises(NotExpressibleError):
        groups(alert_rule(condition="p95_latency == 5s", suspend=True), None)


def test_providers_are_those_selected_and_enabled() -> None:
    gold = {"labels": {"tier": "gold"}}
    all_ = [
        llm("a", meta=gold),
        llm("b"),
        llm("c", meta=gold, enabled=False),
        llm("d", namespace="other", meta=gold),
    ]
    everything = alert_rule(condition="in_cooldown")
    chosen = alert_rule(condition="in_cooldown", providerSelector={"matchLabels": {"tier": "gold"}})
    assert selected(everything, all_[:2]) is None
    assert selected(everything, all_) == {"a", "b"}
    assert selected(chosen, all_) == {"a"}
    assert selected(chosen, []) == frozenset()


def test_a_name_that_would_be_too_long_ends_in_a_digest() -> None:
    first, second = rule_name("a" * 250 + "b"), rule_name("a" * 250 + "c")
    assert len(first) == 253
    assert first != second
    assert rule_name("a" * 244) == "cliproxy-" + "a" * 244
