"""Dashboards, the page of metrics and what the registries hold: up to date, named as Prometheus likes it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from cliproxy_dev.monitoring import page
from cliproxy_dev.monitoring.__main__ import FOLDER, generated
from cliproxy_dev.monitoring.boards import BOARDS
from cliproxy_dev.monitoring.trial import concrete
from cliproxy_operator.metrics import Metrics
from support.promtool import check_metrics, check_rules

UNITS = ("seconds", "bytes", "usd", "ratio", "total")
SECTION_13 = (
    "requests_total",
    "errors_total",
    "tokens_total",
    "request_duration_seconds",
    "first_token_seconds",
    "active_requests",
    "queue_size",
    "response_size_bytes",
    "cost_usd_total",
    "provider_health",
    "cooldown_active",
    "cache_hits_total",
    "cache_misses_total",
    "authentication_failures_total",
)


def sidecar() -> CollectorRegistry:
    return asyncio.run(page.sidecar_registry())


def names(registry: CollectorRegistry) -> set[str]:
    return {page.shown_name(metric) for metric in registry.collect()}


def test_what_was_promised_is_there() -> None:
    assert {f"cliproxy_{name}" for name in SECTION_13} <= names(sidecar())
    ours = {
        f"cliproxy_operator_{name}_seconds" for name in ("convergence", "reconcile", "status_write", "push")
    }
    assert ours | {"cliproxy_operator_links", "cliproxy_operator_link_failures_total"} <= names(
        Metrics().registry
    )


@pytest.mark.parametrize("registry", [sidecar, lambda: Metrics().registry], ids=["sidecar", "operator"])
def test_names_help_and_labels(registry: Any) -> None:
    made = registry()
    for metric in made.collect():
        if metric.name.startswith("process_"):
            continue
        assert re.fullmatch(r"cliproxy_[a-z0-9_]+", metric.name), metric.name
        assert metric.documentation.rstrip().endswith("."), f"{metric.name}: HELP is a sentence"
        if metric.type == "histogram" and metric.name != "cliproxy_response_quality":
            assert metric.name.endswith(UNITS), f"{metric.name}: in which unit?"
        for label in page.labels_of(metric, made):
            assert label in page.BOUNDS, f"{metric.name}: what bounds the values of {label}?"


def test_files_are_up_to_date() -> None:
    for path, text in generated().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run `make dashboards`"
    assert {path.stem for path in FOLDER.glob("*.json")} == set(BOARDS)


def test_promtool_takes_every_query(tmp_path: Any) -> None:
    rules = [
        {"record": f"panel:{number}".replace(":", "_"), "expr": concrete(query.expr)}
        for number, query in enumerate(
            query for board in BOARDS.values() for panel in board.panels for query in panel.queries
        )
    ]
    assert f"{len(rules)} rules found" in check_rules([{"name": "panels", "rules": rules}], tmp_path)


def test_panels_do_not_lie_upon_each_other() -> None:
    for path in FOLDER.glob("*.json"):
        model = json.loads(path.read_text("utf-8"))
        taken: set[tuple[int, int]] = set()
        for panel in model["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells


def test_promtool_finds_nothing_to_say_about_the_operators_metrics() -> None:
    done: subprocess.CompletedProcess[str] = check_metrics(Metrics().text())
    assert done.returncode == 0, done.stdout + done.stderr
