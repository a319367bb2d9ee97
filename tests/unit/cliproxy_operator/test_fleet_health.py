"""Health from probes: verdict, share of a day, who probes, and what a new leader takes over."""

from datetime import timedelta

import msgspec
import pytest

from cliproxy_api.resources.common import Condition, to_wire
from cliproxy_api.resources.llmprovider_status import HealthStatus, LLMProviderStatus
from cliproxy_api.snapshot import HealthCheck
from cliproxy_api.vocabulary import ConditionStatus
from cliproxy_operator.fleet_health import ProviderHealth, stale_after
from cliproxy_operator.status.provider import merge_provider_status
from cliproxy_operator.view import HealthView, ProviderView, SidecarId
from support.cooling import provider
from support.fleets import BEGIN, WEB_0, WEB_1, WEB_2, TimedFleet, probed

NAMES = frozenset({"ns/p"})


def health_of(timed: TimedFleet) -> HealthView:
    return timed.fleet.health("ns/p", timed.now)


class TestVerdict:
    def test_unknown_until_a_probe_has_ended(self) -> None:
        assert health_of(TimedFleet()) == HealthView()

    def test_an_unhealthy_provider_is_in_the_document(self) -> None:
        timed = TimedFleet()
        assert timed.hear(probed(ok=False, healthy=False))
        assert timed.fleet.state("ns", NAMES).unhealthy == ("ns/p",)
        assert timed.hear(probed())
        assert timed.fleet.state("ns", NAMES).unhealthy == ()

    def test_the_same_verdict_again_is_no_change(self) -> None:
        timed = TimedFleet()
        timed.hear(probed())
        assert not timed.hear(probed())

    def test_figures_of_a_day(self) -> None:
        timed = TimedFleet()
        for _ in range(3):
            timed.hear(probed())
        timed.wait(3600)
        timed.hear(probed(ok=False, healthy=True))
        view = health_of(timed)
        assert (view.uptime_percent, view.error_count, view.consecutive_failures) == (75.0, 1, 1)
        assert (view.last_check_utc, view.last_success_utc) == (timed.now, BEGIN)
        assert view.error == "refused"
        timed.wait(23.5 * 3600)
        assert health_of(timed).uptime_percent == 0.0
        timed.wait(2 * 3600)
        assert health_of(timed).uptime_percent is None

    def test_a_passed_probe_ends_the_row_of_failures(self) -> None:
        timed = TimedFleet()
        timed.hear(probed(ok=False))
        timed.hear(probed())
        assert (health_of(timed).consecutive_failures, health_of(timed).error) == (0, "")

    def test_a_verdict_that_nobody_renews_grows_stale(self) -> None:
        timed = TimedFleet()
        timed.hear(probed(ok=False))
        timed.wait(stale_after(HealthCheck()).total_seconds() - 1)
        assert timed.fleet.state("ns", NAMES).unhealthy == ("ns/p",)
        assert timed.wait(1)
        assert timed.fleet.state("ns", NAMES).unhealthy == ()
        assert timed.fleet.wake_at() is None

    def test_switching_probes_off_or_moving_the_provider_drops_it(self) -> None:
        for changed in (provider(health_check=HealthCheck(enabled=False)), provider(base_url="http://x/v1")):
            timed = TimedFleet()
            timed.hear(probed(ok=False))
            assert timed.configure(changed)
            assert health_of(timed).healthy is None

    def test_probes_that_nobody_asked_for_do_not_count(self) -> None:
        timed = TimedFleet(provider(health_check=HealthCheck(enabled=False)))
        assert not timed.hear(probed(ok=False))
        assert not timed.hear(probed(ok=False, provider_id="ns/x"))
        assert timed.fleet.health("ns/x", timed.now) == HealthView()

    def test_slow_probes_are_stale_later(self) -> None:
        assert stale_after(HealthCheck(interval_s=600.0, timeout_s=5.0)) == timedelta(seconds=1805)


class TestWhoProbes:
    def probes(self, timed: TimedFleet) -> dict[str, str]:
        return timed.fleet.state("ns", frozenset(timed.providers)).probes

    def test_one_sidecar_for_each_provider_and_evenly(self) -> None:
        timed = TimedFleet(*(provider(f"p{number}") for number in range(6)), sidecars=[])
        timed.configure()
        for sidecar in (WEB_0, WEB_1, WEB_2):
            timed.fleet.present(sidecar, frozenset(f"ns/p{number}" for number in range(6)), timed.now)
        timed.configure(*(provider(f"p{number}") for number in range(6)))
        assert sorted(self.probes(timed).values()) == ["web-0", "web-0", "web-1", "web-1", "web-2", "web-2"]

    def test_it_stays_until_its_sidecar_goes(self) -> None:
        timed = TimedFleet(provider("p"), provider("q"))
        before = self.probes(timed)
        assert not timed.present(WEB_1)
        assert self.probes(timed) == before
        assert timed.gone(WEB_0)
        assert set(self.probes(timed).values()) == {"web-1"}
        timed.gone(WEB_1)
        assert self.probes(timed) == {}

    def test_only_one_that_runs_the_provider(self) -> None:
        timed = TimedFleet(sidecars=[])
        timed.fleet.present(WEB_0, frozenset({"ns/other"}), timed.now)
        assert self.probes(timed) == {}
        timed.fleet.present(WEB_1, frozenset({"ns/p"}), timed.now)
        assert self.probes(timed) == {"ns/p": "web-1"}
        timed.fleet.present(WEB_1, frozenset(), timed.now)
        assert self.probes(timed) == {}

    def test_none_where_probes_are_off(self) -> None:
        timed = TimedFleet(provider(health_check=HealthCheck(enabled=False)))
        assert self.probes(timed) == {}

    def test_a_sidecar_that_never_came_may_go(self) -> None:
        assert not TimedFleet().gone(SidecarId("ns", "ghost"))


class TestTakingOver:
    def status(self, timed: TimedFleet) -> LLMProviderStatus:
        view = ProviderView(provider=provider(), health=health_of(timed), reported=True)
        status = merge_provider_status(
            None, generation=1, enabled=True, diagnostics=(), view=view, now_utc=timed.now
        )
        return msgspec.convert(to_wire(status), LLMProviderStatus)

    def test_verdict_and_figures_survive_a_new_leader(self) -> None:
        timed = TimedFleet()
        for ok in [True] * 96 + [False] * 4:
            timed.hear(probed(ok=ok))
        heir = TimedFleet()
        assert heir.fleet.restore("ns/p", self.status(timed), heir.now)
        assert heir.fleet.state("ns", NAMES).unhealthy == ("ns/p",)
        told, was = health_of(heir), health_of(timed)
        assert (told.healthy, told.consecutive_failures, told.error_count) == (False, 4, 4)
        assert (told.last_check_utc, told.last_success_utc) == (was.last_check_utc, was.last_success_utc)
        assert told.uptime_percent == pytest.approx(was.uptime_percent, abs=0.5)

    @pytest.mark.parametrize(
        ("figures", "uptime"),
        [
            (HealthStatus(uptime_percent=100.0, error_count=0), 100.0),
            (HealthStatus(uptime_percent=0.0, error_count=7), 0.0),
            (HealthStatus(uptime_percent=100.0, error_count=3), 99.9),
            (HealthStatus(), None),
            (HealthStatus(last_check="yesterday"), None),
        ],
    )
    def test_sums_are_spread_over_the_day(self, figures: HealthStatus, uptime: float | None) -> None:
        health = ProviderHealth()
        assert not health.restore(LLMProviderStatus(health=figures), HealthCheck(), BEGIN)
        view = health.view(BEGIN)
        assert view.uptime_percent == (pytest.approx(uptime, abs=0.05) if uptime is not None else None)
        assert view.last_check_utc is None

    def test_no_verdict_for_a_provider_that_is_not_probed(self) -> None:
        condition = Condition(
            type="Healthy",
            status=ConditionStatus.FALSE,
            reason="ProbeFailed",
            message="probes fail",
            last_transition_time="2026-11-30T12:00:00Z",
        )
        status = LLMProviderStatus(conditions=(condition,))
        health = ProviderHealth()
        assert not health.restore(status, HealthCheck(enabled=False), BEGIN)
        assert health.restore(status, HealthCheck(), BEGIN)
        assert health.healthy is False
        assert health.expire(BEGIN + stale_after(HealthCheck()))
        assert not health.forget()
