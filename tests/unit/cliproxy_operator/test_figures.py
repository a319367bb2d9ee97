"""Figures that stand still, and when a status is worth a write."""

from datetime import timedelta

import msgspec
import pytest

from cliproxy_api.report import ProviderTraffic
from cliproxy_api.resources.common import Condition, SidecarCounts
from cliproxy_api.resources.cooldownpolicy import CooldownPolicyStatus
from cliproxy_api.resources.llmprovider_status import HealthStatus, LLMProviderStatus, TrafficStatus
from cliproxy_api.vocabulary import ConditionStatus, ProviderPhase
from cliproxy_operator.instants import read_instant, rounded_up, write_instant
from cliproxy_operator.status.figures import coarse, health_status, traffic_status, two_digits
from cliproxy_operator.status.writing import worth_writing
from cliproxy_operator.view import HealthView
from support.fleets import BEGIN


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-3, 0), (0, 0), (0.4, 0), (7, 7), (99, 99), (104, 100), (105, 110), (1234, 1200), (98_765, 99_000)],
)
def test_two_digits(value: float, shown: int) -> None:
    assert two_digits(value) == shown


@pytest.mark.parametrize(
    ("value", "before", "shown"),
    [
        (None, 5, None),
        (100, None, 100),
        (110, 100, 100),
        (120, 100, 120),
        (85, 100, 100),
        (80, 100, 80),
        (0, 100, 0),
        (1, 0, 1),
        (6, 5, 6),
        (21, 20, 20),
    ],
)
def test_coarse(value: float | None, before: int | None, shown: int | None) -> None:
    assert coarse(value, before) == shown


def test_traffic_has_no_latency_without_attempts() -> None:
    assert traffic_status(None, None) is None
    idle = traffic_status(ProviderTraffic(), TrafficStatus(requests_last_minute=5, average_latency_ms=100))
    assert idle == TrafficStatus(requests_last_minute=0, errors_last_minute=0, tokens_last_minute=0)


@pytest.mark.parametrize(
    ("value", "before", "shown"),
    [
        (None, 99.0, None),
        (99.94, None, 99.9),
        (99.5, 99.9, 99.9),
        (99.4, 99.9, 99.4),
        (100.0, 99.9, 100.0),
        (0.0, 0.2, 0.0),
    ],
)
def test_uptime(value: float | None, before: float | None, shown: float | None) -> None:
    old = HealthStatus(uptime_percent=before) if before is not None else None
    status = health_status(HealthView(last_check_utc=BEGIN, uptime_percent=value), old)
    assert status is not None
    assert status.uptime_percent == shown


def test_no_health_before_the_first_probe() -> None:
    assert health_status(HealthView(), HealthStatus(error_count=3)) is None


class TestInstants:
    def test_rounding_is_up(self) -> None:
        assert rounded_up(BEGIN) == BEGIN
        assert rounded_up(BEGIN + timedelta(microseconds=1)) == BEGIN + timedelta(seconds=1)

    def test_text_and_back(self) -> None:
        assert write_instant(BEGIN + timedelta(seconds=0.5)) == "2026-11-30T12:00:01Z"
        assert read_instant("2026-11-30T13:00:00+01:00") == BEGIN

    @pytest.mark.parametrize("text", [None, "", "now", "2026-11-30T12:00:00", "0001-01-01T00:00:00+23:00"])
    def test_what_cannot_be_read_is_none(self, text: str | None) -> None:
        assert read_instant(text) is None


def said(message: str = "m", kind: str = "Ready", when: str = "2026-11-30T12:00:00Z") -> Condition:
    return Condition(
        type=kind, status=ConditionStatus.TRUE, reason="R", message=message, last_transition_time=when
    )


BASE = LLMProviderStatus(
    phase=ProviderPhase.HEALTHY,
    traffic=TrafficStatus(requests_last_minute=100),
    health=HealthStatus(last_check="2026-11-30T12:00:00Z", error_count=1),
    sidecars=SidecarCounts(total=2, synced=2),
    conditions=(said(), said(kind="Available")),
)


def changed(**changes: object) -> LLMProviderStatus:
    return msgspec.structs.replace(BASE, **changes)


class TestWorthWriting:
    @pytest.mark.parametrize(
        ("new", "at"),
        [
            (BASE, None),
            (changed(health=HealthStatus(last_check="2026-11-30T13:00:00Z", error_count=1)), None),
            (changed(conditions=(said(when="2026-11-30T13:00:00Z"), said(kind="Available"))), None),
            (changed(phase=ProviderPhase.DEGRADED), 100.0),
            (changed(observed_generation=2), 100.0),
            (changed(conditions=(said(), said("other", kind="Available"))), 100.0),
            (changed(conditions=(said(),)), 100.0),
            (changed(sidecars=SidecarCounts(total=2, synced=1)), 100.5),
            (changed(conditions=(said("1 of 2"), said(kind="Available"))), 100.5),
            (changed(traffic=TrafficStatus(requests_last_minute=200)), 114.5),
            (changed(health=HealthStatus(error_count=2)), 114.5),
            (changed(health=None), 114.5),
        ],
    )
    def test_when(self, new: LLMProviderStatus, at: float | None) -> None:
        assert worth_writing(BASE, new, last_write=99.5, now=100.0) == at

    def test_the_first_status_is_written_at_once(self) -> None:
        assert worth_writing(None, BASE, last_write=None, now=100.0) == 100.0

    def test_figures_are_written_at_once_if_the_last_write_is_long_ago(self) -> None:
        new = changed(traffic=TrafficStatus(requests_last_minute=200))
        assert worth_writing(BASE, new, last_write=None, now=100.0) == 100.0
        assert worth_writing(BASE, new, last_write=10.0, now=100.0) == 100.0

    def test_other_kinds(self) -> None:
        old = CooldownPolicyStatus(provider_count=1, active_cooldowns=0)
        more = msgspec.structs.replace(old, active_cooldowns=1)
        assert worth_writing(old, more, last_write=99.5, now=100.0) == 114.5
        used = msgspec.structs.replace(old, provider_count=2)
        assert worth_writing(old, used, last_write=99.5, now=100.0) == 100.5
