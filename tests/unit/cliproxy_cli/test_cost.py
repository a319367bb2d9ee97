"""`cliproxy cost` tells the report as tables, CSV and JSON."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.commandline import StubApi, listed, run

PROVIDERS = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/llmproviders"
PROFILES = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/proxyprofiles"
NOW = datetime.now(UTC)  # noqa: TID251 -- the command reads the clock, so does the test
TODAY, YESTERDAY = NOW.date().isoformat(), (NOW.date() - timedelta(days=1)).isoformat()


def provider(name: str, price: str, *, cost: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "team-a"},
        "spec": {
            "type": "openai",
            "credentials": [{"name": "k", "secretRef": {"name": "s", "key": "k"}}],
            "models": [{"name": "gpt-4o", "pricing": {"input": price, "output": "10"}}],
        },
        "status": {"cost": cost} if cost is not None else {},
    }


@pytest.fixture
def spent(api: StubApi) -> StubApi:
    cost = {
        "day": TODAY,
        "today": "1.00",
        "thisMonth": "6.00",
        "days": [{"day": YESTERDAY, "cost": "5.00"}],
        "models": [
            {"model": "gpt-4o", "cost": "6.00", "requests": 12, "inputTokens": 2000000, "outputTokens": 0}
        ],
    }
    api.objects[PROVIDERS] = listed(provider("openai", "3", cost=cost), provider("azure", "2"))
    consumers = [{"name": "web", "day": TODAY, "today": "1", "thisWeek": "1", "thisMonth": "4"}]
    api.objects[PROFILES] = listed(
        {"metadata": {"name": "gw", "namespace": "team-a"}, "spec": {}, "status": {"consumers": consumers}}
    )
    return api


def test_tables_tell_spend_and_advice_with_its_sum(spent: StubApi, kubeconfig: Path) -> None:
    ran = run("cost", kubeconfig=kubeconfig)

    assert ran.code == 0
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert "today 1.00" in lines
    assert "this month 6.00" in lines
    assert "team-a/openai 1.00 6.00 100%" in lines
    assert "gpt-4o team-a/openai 12 2,000,000 0 6.00" in lines
    assert "team-a/gw/web 1.00 1.00 4.00" in lines
    assert f"{YESTERDAY} 5.00" in lines
    assert "$6.00 paid - (2,000,000 fresh input x $2.00/M = $4.00) = $2.00" in lines


def test_csv_is_one_figure_a_line(spent: StubApi, kubeconfig: Path) -> None:
    rows = list(csv.DictReader(run("cost", "-o", "csv", kubeconfig=kubeconfig).out.splitlines()))

    assert {row["by"] for row in rows} == {"provider", "model", "consumer", "day"}
    (model,) = [row for row in rows if row["by"] == "model"]
    assert (model["name"], model["provider"], model["tokens"], model["cost_usd"]) == (
        "gpt-4o",
        "team-a/openai",
        "2000000",
        "6.0",
    )


def test_json_is_the_report(spent: StubApi, kubeconfig: Path) -> None:
    told = run("cost", "-o", "json", kubeconfig=kubeconfig).json

    assert told["this_month_usd"] == 6.0
    assert told["recommendations"][0]["kind"] == "cheaper_provider"


def test_an_object_that_cannot_be_read_is_named_and_the_others_count(api: StubApi, kubeconfig: Path) -> None:
    broken = {"metadata": {"name": "bad", "namespace": "team-a"}, "spec": {"type": "telepathy"}}
    api.objects[PROVIDERS] = listed(broken, provider("openai", "3", cost={"day": TODAY, "today": "1.00"}))
    api.objects[PROFILES] = listed()

    ran = run("cost", "-o", "json", kubeconfig=kubeconfig)

    assert ran.json["today_usd"] == 1.0
    assert "left out: team-a/bad: " in ran.err
