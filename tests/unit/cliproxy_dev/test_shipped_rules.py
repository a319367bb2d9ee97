"""The chart's rules in real promtool: each alert fires on series that call for it, and is over after them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cliproxy_dev.monitoring.trial import RULES
from support.promtool import check_rules, run_rules

GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
OF = 'provider_namespace="shop", provider="claude"'
SIDECAR = 'job="shop/cliproxy-sidecars", instance="10.0.0.1:9090"'
OPERATOR = 'job="cliproxy-operator", instance="10.0.0.2:8080"'
ATTEMPTS = (f"cliproxy_provider_attempts_total{{{OF}}}", "0+60x160")
LEADS = (f"cliproxy_operator_leader{{{OPERATOR}}}", "1x160")
CHANNEL = 'namespace="shop", rule="failing", channel="oncall", receiver="slack"'
LATENCY = "cliproxy_provider_attempt_duration_seconds_bucket"

Series = list[tuple[str, str]]
"""Series and values, one a minute: good for half an hour, bad for an hour, good for 70 minutes."""


def gauge(name: str, good: float, bad: float) -> tuple[str, str]:
    return name, f"{good:g}x29 {bad:g}x59 {good:g}x70"


def counter(name: str, bad: float, *, good: float = 0.0) -> tuple[str, str]:
    top, end = good * 29, good * 29 + bad * 60
    return name, f"0+{good:g}x29 {top + bad:g}+{bad:g}x59 {end + good:g}+{good:g}x70"


def slow(bound: str) -> Series:
    """All attempts above the bound while it is bad, and none of them else."""
    slow_ = counter(f'{LATENCY}{{{OF}, le="{bound}"}}', 0, good=60)
    return [
        ATTEMPTS,
        slow_,
        (f'{LATENCY}{{{OF}, le="60.0"}}', "0+60x160"),
        (f'{LATENCY}{{{OF}, le="+Inf"}}', "0+60x160"),
    ]


def failures(reason: str, bad: float) -> Series:
    return [ATTEMPTS, counter(f'cliproxy_provider_failures_total{{{OF}, reason="{reason}"}}', bad)]


CASES: dict[str, Series] = {
    "CliproxyOperatorDown": [(LEADS[0], "1x29 _x59 1x70")],
    "CliproxyTargetDown": [gauge(f"up{{{SIDECAR}}}", 1, 0)],
    "CliproxyHighErrorRate": failures("other", 10),
    "CliproxyHighLatency": slow("10.0"),
    "CliproxyVeryHighLatency": slow("30.0"),
    "CliproxyProviderDown": [
        gauge(f'cliproxy_provider_phase{{{OF}, phase="Unhealthy"}}', 0, 1),
        gauge(f'cliproxy_provider_phase{{{OF}, phase="Healthy"}}', 1, 0),
    ],
    "CliproxyRateLimitHit": failures("rate_limited", 3),
    "CliproxyCostBurn": [counter(f"cliproxy_provider_cost_usd_total{{{OF}}}", 0.5, good=0.0001)],
    "CliproxyBudgetNearlyUsed": [gauge(f"cliproxy_provider_budget_used_ratio{{{OF}}}", 0.5, 0.95)],
    "CliproxyLowCacheHitRate": [
        counter('cliproxy_cache_hits_total{level="local"}', 0, good=100),
        ('cliproxy_cache_misses_total{level="local"}', "0+100x160"),
    ],
    "CliproxyAuthenticationFailures": [
        counter('cliproxy_authentication_failures_total{port="proxy", reason="wrong_key"}', 10)
    ],
    "CliproxyProviderKeyRefused": failures("key_refused", 1),
    "CliproxyMemoryHigh": [LEADS, gauge(f"process_resident_memory_bytes{{{SIDECAR}}}", 60e6, 120e6)],
    "CliproxySidecarsOutOfSync": [gauge(f"cliproxy_provider_sidecars_unsynced{{{OF}}}", 0, 2)],
    "CliproxySidecarsUnlinked": [LEADS, gauge(f'cliproxy_operator_links{{{OPERATOR}, state="down"}}', 0, 1)],
    "CliproxyNotificationsWaiting": [gauge(f"cliproxy_notifications_waiting{{{CHANNEL}}}", 0, 1)],
    "CliproxyDefect": [counter('cliproxy_operator_loop_failures_total{loop="status"}', 1)],
}


def test_promtool_takes_them_and_every_alert_has_a_case(tmp_path: Path) -> None:
    assert "23 rules found" in check_rules(GROUPS, tmp_path)
    alerts = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
    assert sorted(alerts) == sorted(CASES)
    for rule in alerts.values():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_each_alert_fires_and_is_over(tmp_path: Path) -> None:
    """One call: promtool takes its time, and each test has series of its own."""

    def at(name: str, when: str, *, fires: bool) -> dict[str, Any]:
        samples = [{"labels": "{}", "value": 1}] if fires else []
        question = f'count(ALERTS{{alertname="{name}", alertstate="firing"}})'
        return {"expr": question, "eval_time": when, "exp_samples": samples}

    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": one, "values": values} for one, values in series],
            "promql_expr_test": [at(name, when, fires=when == "85m") for when in ("28m", "85m", "156m")],
        }
        for name, series in CASES.items()
    ]
    run_rules(tests, tmp_path, groups=GROUPS, every="1m")


def test_an_operator_may_be_larger_than_a_sidecar(tmp_path: Path) -> None:
    memory = (f"process_resident_memory_bytes{{{OPERATOR}}}", "200e6x30")
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in (LEADS, memory)],
        "promql_expr_test": [
            {"expr": 'ALERTS{alertname="CliproxyMemoryHigh"}', "eval_time": "25m", "exp_samples": []}
        ],
    }
    run_rules([test], tmp_path, groups=GROUPS, every="1m")


def test_rules_of_one_name_in_two_namespaces_are_told_apart(tmp_path: Path) -> None:
    other = CHANNEL.replace("shop", "stage")
    waiting = [(f"cliproxy_notifications_waiting{{{one}}}", "1x30") for one in (CHANNEL, other)]
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in waiting],
        "promql_expr_test": [
            {
                "expr": 'count by (namespace) (ALERTS{alertname="CliproxyNotificationsWaiting"})',
                "eval_time": "20m",
                "exp_samples": [
                    {"labels": f'{{namespace="{name}"}}', "value": 1} for name in ("shop", "stage")
                ],
            }
        ],
    }
    run_rules([test], tmp_path, groups=GROUPS, every="1m")


def test_the_rule_of_the_backups_page_fires_when_none_has_succeeded_for_long(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "backup.md"
    found = re.search(r"^```yaml\n(alert: .*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    groups = [{"name": "page", "rules": [yaml.safe_load(found[1])]}]
    job = '{namespace="cliproxy-system", cronjob="cliproxy-operator-backup"}'
    made = (f"kube_cronjob_created{job}", "0x50")
    succeeded = (f"kube_cronjob_status_last_successful_time{job}", "_x9 36000x40")

    def case(series: Series, when: dict[str, bool]) -> dict[str, Any]:
        expression = "count(ALERTS{alertname='CliproxyBackupMissing'})"
        samples = {True: [{"labels": "{}", "value": 1}], False: []}
        return {
            "interval": "1h",
            "input_series": [{"series": name, "values": values} for name, values in series],
            "promql_expr_test": [
                {"expr": expression, "eval_time": one, "exp_samples": samples[fires]}
                for one, fires in when.items()
            ],
        }

    tests = [
        case([made], {"35h": False, "37h": True}),
        case([made, succeeded], {"37h": False, "45h": False, "47h": True}),
    ]
    run_rules(tests, tmp_path, groups=groups, every="1h")
