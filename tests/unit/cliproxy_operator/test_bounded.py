"""Whatever numbers a sidecar tells, figures can be made of them, and statuses that the API server takes."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from cliproxy_api.money import MONEY_PATTERN
from cliproxy_api.report import ProviderTraffic, Reused, Traffic, Used, UsedEntry
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.snapshot import Running
from cliproxy_operator import bounded
from cliproxy_operator.alerts.figures import TRAFFIC, Facts, figure
from cliproxy_operator.collect import Collector
from cliproxy_operator.money.shown import cost_status
from cliproxy_operator.money.totals import Group, Totals
from cliproxy_operator.status.figures import traffic_status
from cliproxy_operator.view import SidecarId
from support.manualclock import ManualClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ONE = SidecarId("shop", "app-1")
CLAUDE = "shop/claude"
HUGE = 10**400
INTEGER_MAX = 2**63 - 1
"""The greatest that a custom resource's integer can be."""

ABSURD: dict[str, ProviderTraffic] = {
    "too many of one": ProviderTraffic(requests=1, errors=HUGE, tokens=HUGE, latency_sum_ms=HUGE),
    "too many of all": ProviderTraffic(
        requests=HUGE,
        errors=HUGE,
        tokens=HUGE,
        rate_limited=HUGE,
        key_refusals=HUGE,
        nano_usd=HUGE,
        latency_sum_ms=HUGE,
        latency_buckets={100: HUGE, HUGE: 3, -1: HUGE},
    ),
    "less than none": ProviderTraffic(
        requests=-HUGE, errors=-5, nano_usd=-HUGE, latency_buckets={-HUGE: -HUGE, 5: -1}
    ),
    "too many buckets": ProviderTraffic(requests=5, latency_buckets=dict.fromkeys(range(10000), 1)),
}


def collected(told: Traffic) -> Collector:
    collector = Collector(clock=ManualClock(), wanted=lambda _namespace, _profile: None)
    for number in range(3):
        sidecar = SidecarId("shop", f"app-{number}")
        collector.seen(sidecar, profile="", ready=True)
        collector.linked(sidecar, Running())
        collector.heard_traffic(sidecar, told)
    return collector


@pytest.mark.parametrize("told", ABSURD.values(), ids=list(ABSURD))
def test_alerts_can_judge_whatever_traffic_is_told(told: ProviderTraffic) -> None:
    summed = collected(Traffic(providers={CLAUDE: told})).traffic(CLAUDE)
    facts = Facts(status=LLMProviderStatus(), traffic=summed, reported=True)

    for metric in TRAFFIC:
        value = figure(metric, facts)
        assert value is None or math.isfinite(float(value))


@pytest.mark.parametrize("told", ABSURD.values(), ids=list(ABSURD))
def test_a_status_can_hold_whatever_traffic_is_told(told: ProviderTraffic) -> None:
    shown = traffic_status(collected(Traffic(providers={CLAUDE: told})).traffic(CLAUDE), None)

    assert shown is not None
    assert all(value is None or 0 <= value <= INTEGER_MAX for value in msgspec.structs.astuple(shown))


def test_what_is_within_bounds_stays_as_it_is() -> None:
    told = ProviderTraffic(requests=100, tokens=2**49, nano_usd=10**17, latency_buckets={5: 1, -1: 2})

    assert bounded.traffic(told) is told


@pytest.mark.parametrize(("hits", "misses"), [(HUGE, -HUGE), (HUGE, 1 - HUGE), (-5, 6), (HUGE, HUGE)])
def test_shares_of_kept_answers_are_shares(hits: int, misses: int) -> None:
    collector = Collector(clock=ManualClock(), wanted=lambda _namespace, _profile: None)
    collector.seen(ONE, profile="", ready=True)
    collector.heard_traffic(ONE, Traffic(providers={}, reused=Reused()))
    collector._clock.advance(30)  # type: ignore[attr-defined]
    collector.heard_traffic(ONE, Traffic(providers={}, reused=Reused(hits=hits, misses=misses)))

    ratio = collector.hit_ratio([("shop", "")])
    assert ratio is None or 0 <= ratio <= 1


def used(age_s: float = 0.0, **figures: int) -> Used:
    entry = UsedEntry(day="2026-11-21", provider=CLAUDE, model="m", **figures)
    return Used(boot="b1", age_s=age_s, entries=(entry,))


@pytest.mark.parametrize(
    "figures",
    [
        {"requests": HUGE, "tokens": HUGE, "input": HUGE, "nano_usd": HUGE, "saved_nano_usd": HUGE},
        {"requests": 1, "nano_usd": 3 * 10**18},
        {"requests": -1, "tokens": -HUGE, "nano_usd": -HUGE},
    ],
)
def test_a_status_can_hold_whatever_costs_are_told(figures: dict[str, Any]) -> None:
    totals = Totals(NOON)
    for number in range(3):
        totals.hear(SidecarId("shop", f"app-{number}"), Group("", frozenset({CLAUDE})), used(**figures), NOON)
    shown = cost_status(totals, None, CLAUDE, None, NOON)

    for one in (shown, *shown.models) if shown is not None else ():
        for value in msgspec.structs.asdict(one).values():
            assert not isinstance(value, int) or 0 <= value <= INTEGER_MAX
    if shown is not None:
        amounts = [shown.today, shown.this_month, *(one.cost for one in shown.models)]
        assert all(re.fullmatch(MONEY_PATTERN, str(amount)) for amount in amounts)


@pytest.mark.parametrize("age_s", [1e300, -1e300])
def test_a_life_of_any_length_is_one(age_s: float) -> None:
    totals = Totals(NOON)

    assert totals.hear(ONE, Group("", frozenset({CLAUDE})), used(age_s, requests=1), NOON)
