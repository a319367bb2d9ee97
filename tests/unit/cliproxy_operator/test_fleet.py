"""The fleet's cooldowns: one way out and back, whoever tells what in which order."""

from datetime import timedelta

import msgspec
import pytest

from cliproxy_api.report import Applied, Heartbeat, Hello, ProviderTraffic, Recovered, Traffic
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import CooldownRules, HealthCheck, Running
from cliproxy_api.vocabulary import CooldownPhase, CooldownScope, OutcomeClass, RecoveryProbe
from cliproxy_operator.fleet_provider import MAX_MANUAL_S, MAX_SCOPES
from cliproxy_operator.fleet_scope import MAX_LEVEL
from cliproxy_operator.view import SidecarId
from support.cooling import provider, rules
from support.fleets import (
    BEGIN,
    KEY,
    WEB_0,
    WEB_1,
    WEB_2,
    WHOLE,
    TimedFleet,
    counted,
    probed,
    settled,
    started,
    tripped,
    trying,
)

COOLING, HALF_OPEN, RAMP = CooldownPhase.COOLING, CooldownPhase.HALF_OPEN, CooldownPhase.RAMP
SHORT = rules(rules(), recovery={"check_interval_s": 10.0, "ramp_percent": (50, 100)})


class TestTrip:
    def test_a_told_cooldown_is_everybodys_at_once(self) -> None:
        timed = TimedFleet(sidecars=[WEB_0, WEB_1])
        assert timed.hear(tripped(8.0))
        (entry,) = timed.fleet.state("ns", frozenset({"ns/p"})).cooldowns
        assert (entry.scope, entry.phase, entry.outcome_class) == (KEY, COOLING, OutcomeClass.RATE_LIMITED)
        assert timed.seconds(entry.until_utc) == 8
        assert entry.evidence.sidecar == "web-0"
        assert len(entry.evidence.code or "") == len(entry.evidence.header or "") == 128

    def test_the_end_is_rounded_up_to_whole_seconds(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(8.001))
        assert timed.seconds(timed.one().until_utc) == 9

    def test_the_later_end_wins_and_brings_its_reason(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(10.0, reason="first"))
        assert timed.hear(tripped(30.0, reason="second"), WEB_1)
        assert not timed.hear(tripped(5.0, reason="third"))
        assert (timed.seconds(timed.one().until_utc), timed.one().reason) == (30, "second")

    def test_the_same_told_again_changes_nothing(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(10.0))
        timed.now += timedelta(seconds=1)
        assert not timed.hear(tripped(10.0), WEB_1)
        assert timed.seconds(timed.one().until_utc) == 10

    def test_a_higher_level_counts_even_if_it_ends_no_later(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(10.0))
        assert timed.hear(tripped(5.0, level=2))
        assert (timed.one().level, timed.seconds(timed.one().until_utc)) == (2, 10)

    def test_it_never_lasts_longer_than_the_policy_lets_it(self) -> None:
        timed = TimedFleet(provider(cooldown=rules(max_duration_s=60.0)))
        timed.hear(tripped(1e9, level=10**9))
        assert (timed.seconds(timed.one().until_utc), timed.one().level) == (60, 1000)

    def test_a_negative_rest_is_over(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(-5.0))
        assert timed.seconds(timed.one().until_utc) == 0
        timed.wait(0)
        assert timed.phase() is HALF_OPEN

    @pytest.mark.parametrize(
        "scope",
        [
            Scope(provider="ns/other"),
            Scope(provider="ns/p", credential="gone"),
            Scope(provider="ns/p", model="gone"),
        ],
    )
    def test_scopes_of_nothing_known_are_ignored(self, scope: Scope) -> None:
        timed = TimedFleet()
        reports = tripped(scope=scope), counted(99, scope=scope), started(scope=scope), settled(scope=scope)
        assert not any(timed.hear(report) for report in reports)
        assert timed.fleet.state("ns", frozenset({"ns/p", "ns/other"})).cooldowns == ()

    def test_the_number_of_scopes_is_bounded_but_the_widest_is_always_taken(self) -> None:
        models = [(f"m{number}", f"up{number}") for number in range(MAX_SCOPES + 5)]
        timed = TimedFleet(provider(models=models))
        for _, upstream in models:
            scope = Scope(provider="ns/p", model=upstream)
            timed.hear(tripped(scope=scope))
            timed.hear(counted(1, scope=scope))
        assert len(timed.fleet.cooldowns("ns/p")) == MAX_SCOPES
        assert timed.hear(tripped(scope=WHOLE))

    def test_a_disabled_policy_takes_no_trips_but_a_persons_word(self) -> None:
        timed = TimedFleet(provider(cooldown=rules(enabled=False)))
        assert not timed.hear(tripped())
        assert not timed.hear(counted(99))
        assert timed.hear(tripped(cls=None, scope=WHOLE))
        assert timed.one().outcome_class is None


class TestThreshold:
    def test_failures_are_counted_over_all_sidecars(self) -> None:
        timed = TimedFleet(sidecars=[WEB_0, WEB_1, WEB_2])
        assert not timed.hear(counted(2), WEB_0)
        assert not timed.hear(counted(2), WEB_1)
        assert timed.hear(counted(1), WEB_2)
        entry = timed.one()
        assert timed.seconds(entry.until_utc) == 120
        assert (entry.outcome_class, entry.evidence.sidecar) == (OutcomeClass.SERVER_ERROR, "web-2")
        assert "5 failures within 60 s" in entry.reason

    def test_only_those_within_the_window_count(self) -> None:
        timed = TimedFleet()
        timed.hear(counted(4))
        timed.wait(62)
        assert not timed.hear(counted(4))
        assert timed.fleet.cooldowns("ns/p") == ()

    def test_the_class_that_failed_most_names_it(self) -> None:
        timed = TimedFleet()
        timed.hear(counted(1, cls=OutcomeClass.SERVER_ERROR))
        timed.hear(counted(4, cls=OutcomeClass.RATE_LIMITED))
        assert timed.one().outcome_class is OutcomeClass.RATE_LIMITED
        assert timed.seconds(timed.one().until_utc) == 600

    def test_a_count_of_nothing_is_nothing(self) -> None:
        timed = TimedFleet(provider(cooldown=rules(error_threshold=1)))
        assert not timed.hear(counted(0))
        assert not timed.hear(counted(-3))

    def test_a_burst_of_the_moment_does_not_make_a_pause_longer(self) -> None:
        timed = TimedFleet(sidecars=[WEB_0, WEB_1, WEB_2])
        for sidecar in (WEB_0, WEB_1, WEB_2):
            timed.hear(counted(3), sidecar)
            timed.hear(tripped(1.0), sidecar)
        assert timed.seconds(timed.one().until_utc) == 1

    def test_failures_from_before_and_after_a_pause_count_together(self) -> None:
        timed = TimedFleet()
        timed.hear(counted(4))
        timed.hear(tripped(1.0))
        timed.wait(2)
        assert timed.hear(counted(1))
        assert (timed.one().phase, timed.seconds(timed.one().until_utc)) == (COOLING, 32)

    def test_in_the_ramp_it_trips_again_and_longer(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(10.0))
        timed.wait(10)
        timed.hear(settled())
        assert timed.phase() is RAMP
        assert timed.hear(counted(5))
        assert (timed.phase(), timed.one().level, timed.seconds(timed.one().until_utc)) == (COOLING, 1, 40)

    def test_scopes_that_failed_once_long_ago_keep_no_other_from_being_counted(self) -> None:
        names = [f"up-{number}" for number in range(MAX_SCOPES + 2)]
        timed = TimedFleet(provider(models=[(name, name) for name in names]))
        scopes = [Scope(provider="ns/p", credential="k", model=name) for name in names]
        for scope in scopes[:MAX_SCOPES]:
            timed.hear(counted(1, scope=scope))
        assert not timed.hear(counted(5, scope=scopes[-1])), "as many as are counted at a time"

        timed.wait(62)
        assert timed.hear(counted(5, scope=scopes[-1]))
        assert timed.one().scope == scopes[-1]

    def test_failures_of_a_clock_that_was_set_back_do_not_count(self) -> None:
        timed = TimedFleet()
        timed.now += timedelta(days=3650)
        timed.hear(counted(4))
        timed.now = BEGIN
        assert not timed.hear(counted(4))
        assert timed.hear(counted(1))

    def test_old_failures_do_not_trip_what_has_just_come_back(self) -> None:
        timed = TimedFleet(provider(cooldown=rules(detection_window_s=3600.0)))
        timed.hear(tripped(1.0))
        timed.hear(counted(4))
        timed.wait(1)
        timed.hear(settled())
        timed.wait(4 * 30)
        assert timed.phase() is None
        assert not timed.hear(counted(4))


class TestWayBack:
    def test_one_sidecar_tries_then_the_share_grows_then_it_is_over(self) -> None:
        timed = TimedFleet(provider(cooldown=SHORT))
        timed.hear(tripped(10.0))
        timed.wait(9.9)
        assert timed.phase() is COOLING
        timed.wait(0.1)
        assert (timed.phase(), timed.one().trial_sidecar) == (HALF_OPEN, "web-0")
        assert timed.hear(started())
        assert timed.hear(settled())
        assert (timed.phase(), timed.one().share_percent, timed.one().trial_sidecar) == (RAMP, 50, None)
        assert timed.wait(10)
        assert timed.one().share_percent == 100
        assert timed.wait(10)
        assert timed.fleet.cooldowns("ns/p") == ()
        assert timed.fleet.wake_at() is None

    def test_several_trials_if_the_policy_wants_them(self) -> None:
        timed = TimedFleet(provider(cooldown=rules(recovery={"trials": 2})))
        timed.hear(tripped(1.0))
        timed.wait(1)
        timed.hear(started())
        assert timed.hear(settled())
        assert timed.phase() is HALF_OPEN
        timed.hear(settled())
        assert timed.phase() is RAMP

    def test_without_a_probe_the_ramp_begins_at_the_end(self) -> None:
        timed = TimedFleet(provider(cooldown=rules(recovery={"probe": RecoveryProbe.NONE})))
        timed.hear(tripped(1.0))
        timed.wait(1)
        assert timed.phase() is RAMP

    @pytest.mark.parametrize(("cools_s", "step_s"), [(3.0, 3.0), (30.0, 30.0), (600.0, 30.0)])
    def test_no_step_of_the_ramp_is_longer_than_the_cooldown_was(self, cools_s: float, step_s: float) -> None:
        timed = TimedFleet()
        timed.hear(tripped(cools_s))
        timed.wait(cools_s)
        timed.hear(settled())
        shares = []
        while timed.phase() is RAMP:
            shares.append(timed.one().share_percent)
            assert timed.one().cooled_s == cools_s
            assert timed.seconds(timed.one().until_utc) == cools_s + len(shares) * step_s
            timed.wait(step_s)
        assert shares == [10, 25, 50, 100]

    def test_after_a_failed_trial_the_last_pause_counts(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(3.0))
        timed.wait(3)
        timed.hear(tripped(20.0, level=1))
        timed.wait(20)
        timed.hear(settled(1))
        assert timed.seconds(timed.one().until_utc) == 3 + 20 + 20

    def test_without_a_ramp_a_passed_trial_ends_it(self) -> None:
        timed = TimedFleet(provider(cooldown=rules(recovery={"ramp_percent": ()})))
        timed.hear(tripped(1.0))
        timed.wait(1)
        timed.hear(settled())
        assert timed.phase() is None

    def test_late_answers_do_not_count(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(1.0, level=2))
        assert not timed.hear(settled(2))
        timed.wait(1)
        assert not timed.hear(settled(1))
        assert not timed.hear(started(1))
        assert timed.phase() is HALF_OPEN

    def test_a_failed_trial_cools_again_at_the_next_level(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(1.0))
        timed.wait(1)
        assert timed.hear(tripped(30.0, level=1))
        assert (timed.phase(), timed.one().level, timed.seconds(timed.one().until_utc)) == (COOLING, 1, 31)

    def test_old_news_does_not_close_what_is_half_open(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(10.0))
        timed.wait(10)
        assert not timed.hear(tripped(0.0), WEB_1)
        assert not timed.hear(tripped(1.5), WEB_1)
        assert timed.phase() is HALF_OPEN

    def test_a_provider_that_asks_for_more_time_gets_it(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(10.0))
        timed.wait(10)
        assert timed.hear(tripped(60.0), WEB_1)
        assert (timed.phase(), timed.one().level) == (COOLING, 1)

    def test_left_alone_it_closes_all_the_same(self) -> None:
        timed = TimedFleet(provider(cooldown=SHORT), sidecars=[WEB_0, WEB_1])
        timed.hear(tripped(10.0))
        timed.wait(10 + 600)
        assert timed.phase() in (HALF_OPEN, RAMP)
        timed.wait(60 + 20)
        assert timed.phase() is None

    def test_with_no_sidecar_it_closes_too(self) -> None:
        timed = TimedFleet(provider(cooldown=SHORT), sidecars=[])
        timed.hear(tripped(10.0))
        timed.wait(10)
        assert (timed.phase(), timed.one().trial_sidecar) == (HALF_OPEN, None)
        timed.wait(600 + 60 + 20)
        assert timed.phase() is None


class TestHealthCheckAsProbe:
    RULES = rules(recovery={"probe": RecoveryProbe.HEALTH_CHECK})

    def test_a_passed_probe_ends_the_wait(self) -> None:
        timed = TimedFleet(provider(cooldown=self.RULES))
        timed.hear(tripped(10.0))
        timed.hear(probed())
        assert timed.phase() is COOLING
        timed.wait(10)
        assert (timed.phase(), timed.one().trial_sidecar) == (HALF_OPEN, None)
        timed.hear(probed(ok=False, healthy=True))
        assert timed.phase() is HALF_OPEN
        assert not timed.hear(started())
        timed.hear(probed())
        assert timed.phase() is RAMP

    def test_while_probes_fail_it_waits(self) -> None:
        timed = TimedFleet(provider(cooldown=self.RULES))
        timed.hear(tripped(10.0))
        for _ in range(60):
            timed.wait(30)
            timed.hear(probed(ok=False, healthy=False))
        assert timed.phase() is HALF_OPEN

    def test_when_nobody_probes_it_does_not_wait_for_ever(self) -> None:
        timed = TimedFleet(provider(cooldown=self.RULES))
        timed.hear(tripped(60.0))
        timed.wait(700)
        assert timed.phase() is RAMP

    def test_without_probes_a_request_is_the_trial(self) -> None:
        timed = TimedFleet(provider(cooldown=self.RULES, health_check=HealthCheck(enabled=False)))
        timed.hear(tripped(10.0))
        timed.wait(10)
        assert timed.one().trial_sidecar == "web-0"


class TestPermit:
    def half_open(self, *sidecars: SidecarId) -> TimedFleet:
        timed = TimedFleet(sidecars=sidecars)
        timed.hear(tripped(10.0), SidecarId("ns", "nobody"))
        timed.wait(10)
        return timed

    def test_it_goes_to_who_used_the_provider_last(self) -> None:
        timed = TimedFleet(sidecars=[WEB_0, WEB_1, WEB_2])
        for number, sidecar in enumerate([WEB_2, WEB_1]):
            timed.hear(Traffic(providers={"ns/p": ProviderTraffic(requests=1 - number)}), sidecar)
        timed.hear(Traffic(providers={"ns/unknown": ProviderTraffic(requests=1)}), WEB_0)
        timed.hear(tripped(10.0), SidecarId("ns", "nobody"))
        timed.wait(10)
        assert timed.one().trial_sidecar == "web-2"

    def test_unused_it_moves_round_with_a_pause_between(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        seen = [timed.one().trial_sidecar]
        for _ in range(4):
            timed.wait(5)
            seen.append(timed.one().trial_sidecar)
            timed.wait(1)
            seen.append(timed.one().trial_sidecar)
        assert seen == ["web-0", None, "web-1", None, "web-0", "web-0", "web-0", "web-1", "web-1"]

    def test_left_unused_it_moves_less_and_less_often(self) -> None:
        sidecars = [SidecarId("ns", f"web-{number:02}") for number in range(50)]
        timed = self.half_open(*sidecars)
        moves, holder = 0, timed.one().trial_sidecar
        for _ in range(590):
            timed.wait(1)
            moves += timed.one().trial_sidecar != holder
            holder = timed.one().trial_sidecar
        assert 20 <= moves <= 90

    def test_in_use_it_stays_until_the_trial_takes_too_long(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.wait(4.9)
        assert timed.hear(started())
        timed.wait(119)
        assert timed.one().trial_sidecar == "web-0"
        timed.wait(2.1)
        assert timed.one().trial_sidecar == "web-1"

    def test_a_trial_that_began_just_before_the_move_keeps_it(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.wait(5)
        assert timed.one().trial_sidecar is None
        assert timed.hear(started())
        assert timed.one().trial_sidecar == "web-0"
        timed.wait(5)
        assert timed.one().trial_sidecar == "web-0"

    def test_a_trial_that_passes_between_two_holders_counts(self) -> None:
        timed = TimedFleet(provider(cooldown=rules(recovery={"trials": 2})), sidecars=[WEB_0, WEB_1])
        timed.hear(tripped(10.0))
        timed.wait(15)
        assert timed.one().trial_sidecar is None
        assert timed.hear(settled())
        assert timed.one().trial_sidecar is None
        timed.wait(1)
        assert timed.one().trial_sidecar == "web-1"

    def test_a_trial_of_one_that_lost_it_does_not_take_it_back(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.wait(6)
        assert not timed.hear(started(), WEB_0)
        assert timed.one().trial_sidecar == "web-1"

    @pytest.mark.parametrize(("told", "kept_s"), [(True, 181), (False, 126)])
    def test_it_is_kept_back_when_its_holder_goes_for_it_may_be_trying(
        self, *, told: bool, kept_s: float
    ) -> None:
        """It may begin a trial until its permit ends, 60 s at most, a line takes 1 s, a trial 120 s."""
        timed = self.half_open(WEB_0, WEB_1)
        if told:
            timed.hear(started())
        assert timed.gone(WEB_0)
        assert timed.one().trial_sidecar is None
        timed.wait(kept_s - 0.1)
        assert timed.one().trial_sidecar is None
        timed.wait(1)
        assert timed.one().trial_sidecar == "web-1"

    def test_it_moves_at_once_when_its_holder_comes_back_without_a_trial(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.hear(started())
        timed.gone(WEB_0)
        assert timed.greeted(WEB_0)
        assert timed.one().trial_sidecar == "web-0"
        assert timed.seconds(timed.one().until_utc) == 15

    def test_it_is_its_holders_again_that_comes_back_with_its_trial(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.hear(started())
        timed.gone(WEB_0)
        timed.wait(30)
        assert timed.greeted(WEB_0, trying(30.0))
        assert timed.one().trial_sidecar == "web-0"
        assert timed.seconds(timed.one().until_utc) == 130
        timed.hear(settled())
        assert timed.phase() is RAMP

    def test_it_moves_when_its_holders_pod_is_no_more(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.hear(started())
        timed.gone(WEB_0)
        assert timed.fleet.forget(WEB_0, timed.now)
        assert timed.one().trial_sidecar == "web-1"

    def test_it_moves_when_its_holder_no_longer_runs_the_provider(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        assert timed.fleet.present(WEB_0, frozenset(), timed.now)
        assert timed.one().trial_sidecar is None
        timed.wait(1)
        assert timed.one().trial_sidecar == "web-1"

    def test_nobody_has_it_while_another_tries_alone(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.gone(WEB_0)
        timed.greeted(WEB_1, trying(100.0))
        assert timed.one().trial_sidecar is None  # who knows what the first does
        timed.greeted(WEB_0)
        assert timed.one().trial_sidecar == "web-1"
        assert timed.seconds(timed.one().until_utc) == 30

    def test_a_trial_that_is_too_old_and_one_of_nothing_known_count_for_nothing(self) -> None:
        timed = self.half_open(WEB_0)
        timed.gone(WEB_0)
        unknown = trying(0.0, scope=Scope(provider="ns/p", model="gone"))
        timed.greeted(WEB_0, trying(120.0), unknown, trying(scope=Scope(provider="ns/unknown")))
        assert timed.seconds(timed.one().until_utc) == 70

    def test_one_that_is_known_already_changes_nothing(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        assert not timed.present(WEB_0)
        assert timed.fleet.present(SidecarId("ns", "idle"), frozenset(), timed.now) is False

    def test_one_that_comes_while_nothing_is_half_open_waits_for_its_turn(self) -> None:
        timed = TimedFleet(sidecars=[WEB_0])
        timed.hear(tripped(10.0))
        assert not timed.present(WEB_1)
        assert timed.one().trial_sidecar is None

    def test_others_going_leave_it_alone(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.gone(WEB_1)
        assert timed.one().trial_sidecar == "web-0"

    def test_the_first_to_come_gets_it(self) -> None:
        timed = self.half_open()
        assert timed.one().trial_sidecar is None
        assert timed.present(WEB_1)
        assert timed.one().trial_sidecar == "web-1"

    def test_a_lonely_holder_keeps_it_long_but_not_from_a_newcomer(self) -> None:
        timed = self.half_open(WEB_0)
        timed.wait(30)
        assert timed.one().trial_sidecar == "web-0"
        assert timed.seconds(timed.one().until_utc) == 70
        timed.present(WEB_1)
        assert timed.seconds(timed.one().until_utc) == 45
        timed.wait(6)
        assert timed.one().trial_sidecar == "web-1"

    def test_a_newcomer_does_not_cut_the_pause_between_holders(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.wait(5)
        timed.present(WEB_2)
        assert timed.one().trial_sidecar is None

    def test_all_scopes_of_a_provider_are_tried_by_one(self) -> None:
        timed = TimedFleet(sidecars=[WEB_0, WEB_1])
        timed.hear(tripped(10.0, scope=WHOLE))
        timed.hear(tripped(13.0), WEB_1)
        for _ in range(30):
            timed.wait(1)
            waiting = [one for one in timed.fleet.cooldowns("ns/p") if one.phase is HALF_OPEN]
            assert len({one.trial_sidecar for one in waiting}) <= 1

    def test_a_sidecar_of_another_namespace_is_named_in_full(self) -> None:
        far = SidecarId("other", "web-0")
        timed = self.half_open(far)
        assert timed.fleet.state("ns", frozenset({"ns/p"})).cooldowns[0].trial_sidecar == "other/web-0"
        assert timed.fleet.state("other", frozenset({"ns/p"})).cooldowns[0].trial_sidecar == "web-0"
        assert timed.fleet.state("ns", frozenset({"ns/p"})).probes == {"ns/p": "other/web-0"}
        assert timed.fleet.state("ns", frozenset()).cooldowns == ()


class TestPeople:
    def test_a_manual_cooldown_is_the_whole_providers(self) -> None:
        timed = TimedFleet()
        assert timed.fleet.cooldown("ns/p", 600.0, "maintenance", timed.now)
        assert (timed.one().scope, timed.one().reason, timed.one().outcome_class) == (
            WHOLE,
            "maintenance",
            None,
        )
        assert timed.seconds(timed.one().until_utc) == 600

    def test_it_is_bounded_and_of_known_providers(self) -> None:
        timed = TimedFleet()
        timed.fleet.cooldown("ns/p", 1e12, "", timed.now)
        assert timed.seconds(timed.one().until_utc) == MAX_MANUAL_S
        assert not timed.fleet.cooldown("ns/x", 10.0, "", timed.now)
        assert not timed.fleet.recover("ns/x", timed.now)

    @pytest.mark.parametrize("passed_s", [0, 10, 50, 1000])
    def test_recover_closes_from_every_phase(self, passed_s: float) -> None:
        timed = TimedFleet()
        timed.hear(tripped(10.0))
        timed.hear(tripped(900.0, scope=WHOLE))
        timed.wait(passed_s)
        assert timed.fleet.recover("ns/p", timed.now)
        assert timed.fleet.cooldowns("ns/p") == ()
        assert not timed.fleet.recover("ns/p", timed.now)

    def test_recover_told_by_a_sidecar(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(10.0))
        assert timed.hear(Recovered(provider="ns/p", by="kim"))
        assert not timed.hear(Recovered(provider="ns/p", by="kim"))
        assert not timed.hear(Recovered(provider="ns/x", by="kim"))

    @pytest.mark.parametrize("fleet", [True, False])
    def test_what_was_found_before_the_recovery_stays_over(self, *, fleet: bool) -> None:
        timed = TimedFleet()
        timed.wait(100)
        timed.fleet.recover("ns/p", timed.now)
        timed.wait(50)
        timed.hear(tripped(900.0, age_s=50.001, fleet=fleet))
        timed.hear(tripped(900.0, age_s=1e300, fleet=fleet, scope=WHOLE))
        assert timed.fleet.cooldowns("ns/p") + timed.fleet.local_cooldowns("ns/p") == ()

        timed.hear(tripped(900.0, age_s=49.999, fleet=fleet))
        assert len(timed.fleet.cooldowns("ns/p") + timed.fleet.local_cooldowns("ns/p")) == 1

    def test_the_recovery_stands_in_the_document_of_all(self) -> None:
        timed = TimedFleet()
        assert timed.hear(Recovered(provider="ns/p", by="kim"))  # even if only others know what it ends
        state = timed.fleet.state("ns", frozenset({"ns/p"}))
        assert state.recovered == {"ns/p": timed.now}
        assert timed.fleet.state("ns", frozenset()).recovered == {}

    def test_recover_forgets_half_counted_failures(self) -> None:
        timed = TimedFleet()
        timed.hear(counted(4))
        timed.fleet.recover("ns/p", timed.now)
        assert not timed.hear(counted(4))


class TestConfigure:
    def test_a_new_key_ends_what_was_the_keys_fault(self) -> None:
        both = [("a", 1), ("b", 1)]
        timed = TimedFleet(provider(credentials=both))
        timed.hear(tripped(900.0, scope=Scope(provider="ns/p", credential="a"), cls=OutcomeClass.AUTH))
        timed.hear(tripped(900.0, scope=Scope(provider="ns/p", credential="b"), cls=OutcomeClass.OVERLOADED))
        assert timed.configure(provider(credentials=both, digest="d2"))
        assert timed.one().scope.credential == "b"

    def test_a_new_key_ends_money_trouble_of_the_whole_provider(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(900.0, scope=WHOLE, cls=OutcomeClass.QUOTA_MONEY))
        assert not timed.configure(provider(weight=2))
        assert timed.configure(provider(digest="d2"))

    def test_a_new_address_ends_all_but_a_persons_word(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(900.0))
        timed.hear(counted(4))
        timed.fleet.cooldown("ns/p", 60.0, "", timed.now)
        assert timed.configure(provider(base_url="http://other/v1"))
        assert timed.one().outcome_class is None
        assert not timed.hear(counted(1))

    @pytest.mark.parametrize("change", [{"enabled": False}, {"scope": CooldownScope.SIDECAR}])
    def test_a_policy_that_shares_no_cooldowns_ends_them(self, change: dict[str, object]) -> None:
        timed = TimedFleet()
        timed.hear(tripped(900.0))
        assert timed.configure(provider(cooldown=rules(**change)))
        assert timed.fleet.cooldowns("ns/p") == ()

    def test_what_is_gone_takes_its_cooldowns_along(self) -> None:
        timed = TimedFleet(provider(credentials=[("k", 1), ("l", 1)], models=[("m", "up"), ("n", "down")]))
        timed.hear(tripped(900.0, scope=Scope(provider="ns/p", credential="l")))
        timed.hear(tripped(900.0, scope=Scope(provider="ns/p", model="down")))
        timed.hear(tripped(900.0))
        timed.configure(provider())
        assert timed.one().scope == KEY
        assert timed.configure()
        assert timed.fleet.state("ns", frozenset({"ns/p"})).cooldowns == ()

    def test_nothing_new_is_no_change(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(900.0))
        assert not timed.configure(provider())


class TestOneSidecarsOwn:
    def test_it_is_shown_but_not_shared(self) -> None:
        timed = TimedFleet(provider(cooldown=rules(scope=CooldownScope.SIDECAR)))
        assert not timed.hear(tripped(10.0, fleet=False))
        assert not timed.hear(tripped(30.0), WEB_1)
        assert not timed.hear(counted(99))
        assert timed.fleet.cooldowns("ns/p") == ()
        own = timed.fleet.local_cooldowns("ns/p")
        assert [(one.evidence.sidecar, timed.seconds(one.until_utc)) for one in own] == [
            ("web-1", 30),
            ("web-0", 10),
        ]

    def test_its_level_is_one_that_status_can_hold(self) -> None:
        timed = TimedFleet()
        timed.hear(tripped(10.0, fleet=False, level=10**30))
        (own,) = timed.fleet.local_cooldowns("ns/p")
        assert own.level == MAX_LEVEL

    def test_it_ends_with_its_time_or_its_sidecar(self) -> None:
        timed = TimedFleet(sidecars=[WEB_0, WEB_1])
        timed.hear(tripped(10.0, fleet=False))
        timed.hear(tripped(30.0, fleet=False), WEB_1)
        timed.wait(10)
        assert [one.evidence.sidecar for one in timed.fleet.local_cooldowns("ns/p")] == ["web-1"]
        timed.gone(WEB_1)
        assert timed.fleet.local_cooldowns("ns/p") == ()
        assert timed.fleet.wake_at() is None

    def test_recover_and_a_removed_provider_forget_it(self) -> None:
        for forget in (lambda timed: timed.fleet.recover("ns/p", timed.now), lambda timed: timed.configure()):
            timed = TimedFleet()
            timed.hear(tripped(10.0, fleet=False))
            forget(timed)
            assert timed.fleet.local_cooldowns("ns/p") == ()

    def test_their_number_is_bounded(self) -> None:
        models = [(f"m{number}", f"up{number}") for number in range(100)]
        timed = TimedFleet(provider(models=models))
        for _, upstream in models:
            timed.hear(tripped(10.0, fleet=False, scope=Scope(provider="ns/p", model=upstream)))
        assert len(timed.fleet.local_cooldowns("ns/p")) == 64


def test_lines_that_say_nothing_of_cooldowns_change_nothing() -> None:
    timed = TimedFleet()
    hello = Hello(sidecar="web-0", namespace="ns", version="1", running=Running())
    assert not any(timed.hear(report) for report in (hello, Applied(running=Running()), Heartbeat()))


def test_an_instant_that_an_earlier_leader_gave_stays_that_very_instant() -> None:
    timed = TimedFleet()
    given = timed.now + timedelta(seconds=30)
    # Told again, a little late: rounded anew, it would be a second later with every leader.
    timed.hear(msgspec.structs.replace(tripped(30.3), until_utc=given))
    assert timed.one().until_utc == given


def test_an_instant_of_a_clock_that_is_off_is_not_taken() -> None:
    timed = TimedFleet()
    off = timed.now + timedelta(minutes=5)
    timed.hear(msgspec.structs.replace(tripped(30.0), until_utc=off))
    assert timed.one().until_utc == timed.now + timedelta(seconds=30)


def test_trips_are_counted_for_a_day() -> None:
    timed = TimedFleet()
    for _ in range(3):
        timed.hear(tripped(10.0))
        timed.wait(10)
        timed.hear(tripped(10.0, level=1))
        timed.fleet.recover("ns/p", timed.now)
    assert timed.fleet.trips_last_day("ns/p", timed.now) == 6
    assert timed.fleet.trips_last_day("ns/p", BEGIN + timedelta(hours=25)) == 0
    assert timed.fleet.trips_last_day("ns/x", BEGIN) == 0


def test_every_document_is_sorted_and_equal_for_equal_knowledge() -> None:
    one, other = TimedFleet(), TimedFleet()
    reports = [
        tripped(10.0),
        tripped(20.0, scope=WHOLE),
        tripped(30.0, scope=Scope(provider="ns/p", model="up")),
    ]
    for report in reports:
        one.hear(report)
    for report in reversed(reports):
        other.hear(report)
    names = frozenset({"ns/p"})
    assert one.fleet.state("ns", names) == other.fleet.state("ns", names)
    assert [entry.scope for entry in one.fleet.cooldowns("ns/p")] == [WHOLE, reports[2].scope, KEY]
    assert msgspec.json.encode(one.fleet.state("ns", names))


def test_built_in_rules_are_what_a_bare_provider_has() -> None:
    assert rules() == msgspec.structs.replace(CooldownRules(), jitter=0.0)


class TestNewLeader:
    """Nobody may try before those are heard that an earlier leader may have let."""

    def half_open(self, *expected: SidecarId) -> TimedFleet:
        timed = TimedFleet(sidecars=[])
        timed.hear(tripped(10.0), SidecarId("ns", "nobody"))
        timed.wait(10)
        timed.fleet.expect([(sidecar, frozenset({"ns/p"})) for sidecar in expected], timed.now)
        return timed

    def test_the_permit_is_kept_back_until_all_are_heard(self) -> None:
        timed = self.half_open(WEB_0, WEB_1, WEB_2)
        timed.greeted(WEB_1)
        timed.greeted(WEB_2)
        assert timed.one().trial_sidecar is None
        assert timed.greeted(WEB_0)
        assert timed.one().trial_sidecar == "web-0"  # the first by name: nobody has asked for it yet

    def test_it_is_kept_back_no_longer_than_a_permit_and_a_trial_may_last(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.greeted(WEB_1)
        assert timed.seconds(timed.one().until_utc) == 10 + 60 + 1 + 120
        timed.wait(181)
        assert timed.one().trial_sidecar == "web-1"

    def test_it_is_not_kept_back_for_what_is_no_more_or_runs_another(self) -> None:
        timed = self.half_open(WEB_0)
        timed.fleet.expect([(WEB_2, frozenset({"ns/other"}))], timed.now)
        timed.greeted(WEB_1)
        assert timed.one().trial_sidecar is None
        assert timed.fleet.forget(WEB_0, timed.now)
        assert timed.one().trial_sidecar == "web-1"

    def test_it_is_kept_back_for_one_whose_providers_are_not_known(self) -> None:
        timed = self.half_open()
        timed.fleet.expect([(WEB_0, None)], timed.now)
        timed.greeted(WEB_1)
        assert timed.one().trial_sidecar is None

    def test_who_tries_has_it_when_all_are_heard(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.greeted(WEB_1, trying(20.0))
        assert timed.one().trial_sidecar is None
        timed.greeted(WEB_0)
        assert timed.one().trial_sidecar == "web-1"
        assert timed.seconds(timed.one().until_utc) == 110

    def test_a_trial_that_passes_meanwhile_counts(self) -> None:
        timed = self.half_open(WEB_0, WEB_1)
        timed.greeted(WEB_1, trying())
        assert timed.hear(settled(), WEB_1)
        assert timed.phase() is RAMP

    def test_a_trial_that_fails_meanwhile_counts(self) -> None:
        timed = self.half_open(WEB_0)
        timed.greeted(WEB_1, trying())
        assert timed.hear(tripped(30.0, level=1), WEB_1)
        assert timed.phase() is COOLING
        timed.greeted(WEB_0)
        timed.wait(30)
        assert timed.one().trial_sidecar is not None
