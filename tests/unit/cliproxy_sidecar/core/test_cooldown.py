"""One sidecar on its own: failures, the way back, people. What documents do is in test_cooldown_fleet."""

import pytest

from cliproxy_api.report import Failed, Recovered, Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import ClassOverride, Provider
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, RecoveryProbe, Trip
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.outcome import CANCELLED, SUCCESS, Outcome
from cliproxy_sidecar.core.scope_store import SWEEP_S
from support.cooling import (
    ALONE,
    CREDENTIAL,
    KEY,
    MODEL,
    PLAIN,
    WHOLE,
    Scripted,
    admitted,
    failed,
    machine,
    only,
    phases,
    provider,
    refused,
    rules,
    target,
)

NO_PROOF = rules(error_threshold=3, recovery={"probe": RecoveryProbe.NONE, "ramp_percent": ()})
"""Closed again at once when the time is over."""

COOLING, HALF_OPEN, RAMP = CooldownPhase.COOLING, CooldownPhase.HALF_OPEN, CooldownPhase.RAMP


def trip(cooldowns: Cooldowns, now: float, *, hint_s: float = 10.0, scope: Scope = KEY) -> None:
    """Cool one scope by a provider's hint."""
    cooldowns.settle(cooldowns.force(target(), now), failed(hint_s=hint_s), (scope,), now)


def test_while_nothing_cools_nobody_is_refused_and_nothing_is_kept() -> None:
    cooldowns = machine()
    permit = admitted(cooldowns, 1.0)
    assert cooldowns.settle(permit, SUCCESS, (), 2.0) == ()
    assert cooldowns.is_idle
    assert cooldowns.wake_at() is None
    assert cooldowns.outstanding == 0


def test_a_hint_cools_its_scope_at_once_and_is_told() -> None:
    cooldowns = machine()
    permit = admitted(cooldowns, 100.0)
    (told,) = cooldowns.settle(permit, failed(hint_s=8.0), (KEY,), 100.0)
    assert isinstance(told, Tripped)
    assert (told.scope, told.remaining_s, told.level, told.fleet) == (KEY, 8.0, 0, True)
    assert (told.outcome_class, told.reason) == (OutcomeClass.RATE_LIMITED, "it was RateLimited")
    assert (told.evidence.status, told.evidence.sidecar) == (429, "sidecar-1")
    blocked = refused(cooldowns, 101.0)
    assert (blocked.until, blocked.scope, blocked.phase) == (108.0, KEY, COOLING)
    assert cooldowns.peek(target(), 101.0) == blocked
    assert cooldowns.wake_at() == 108.0


@pytest.mark.parametrize(
    ("scope", "taken_out"),
    [
        (WHOLE, {(0, 0), (0, 1), (1, 0), (1, 1)}),
        (CREDENTIAL, {(0, 0), (0, 1)}),
        (MODEL, {(0, 0), (1, 0)}),
        (KEY, {(0, 0)}),
    ],
)
def test_a_scope_takes_out_what_it_covers(scope: Scope, taken_out: set[tuple[int, int]]) -> None:
    many = provider(credentials=(("k", 1), ("k2", 1)), models=(("m", "up"), ("m2", "up2")))
    cooldowns = machine(many)
    trip(cooldowns, 0.0, scope=scope)
    all_of_it = [(key, model) for key in range(2) for model in range(2)]
    out = {it for it in all_of_it if cooldowns.peek(target(many, key=it[0], model=it[1]), 1.0)}
    assert out == taken_out


def test_other_providers_are_not_touched() -> None:
    cooldowns = machine(provider(), provider("q"))
    trip(cooldowns, 0.0, scope=WHOLE)
    assert admitted(cooldowns, 1.0, target(provider("q")))


def test_an_outcome_may_cool_several_scopes() -> None:
    family = provider(models=(("m", "up"), ("m2", "up2")))
    sibling = Scope(provider="ns/p", credential="k", model="up2")
    cooldowns = machine(family)
    permit = admitted(cooldowns, 0.0, target(family))
    told = cooldowns.settle(permit, failed(hint_s=5.0), (KEY, sibling), 0.0)
    assert [report.scope for report in told if isinstance(report, Tripped)] == [KEY, sibling]
    assert refused(cooldowns, 1.0, target(family, model=1)).scope == sibling


def test_several_refusals_end_with_the_last_of_them() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0, hint_s=30.0, scope=MODEL)
    trip(cooldowns, 0.0, hint_s=20.0, scope=KEY)
    assert (refused(cooldowns, 1.0).until, refused(cooldowns, 1.0).scope) == (30.0, MODEL)


@pytest.mark.parametrize(
    ("cls", "rank"),
    [
        (OutcomeClass.RATE_LIMITED, 0),
        (OutcomeClass.AUTH, 2),
        (OutcomeClass.QUOTA_MONEY, 2),
        (OutcomeClass.CONFIG, 2),
    ],
)
def test_a_refusal_says_how_hopeless_it_is(cls: OutcomeClass, rank: int) -> None:
    cooldowns = machine()
    cooldowns.settle(admitted(cooldowns, 0.0), failed(cls), (KEY,), 0.0)
    assert refused(cooldowns, 0.1).rank == rank


# ------------------------------------------------------------------------ threshold
def test_the_threshold_counts_failures_in_the_window() -> None:
    cooldowns = machine()
    server_error = failed(OutcomeClass.SERVER_ERROR, status=500)
    for second in range(4):
        told = cooldowns.settle(admitted(cooldowns, second), server_error, (MODEL,), second)
        assert [report.count for report in told if isinstance(report, Failed)] == [1]
        assert len(told) == 1
        # A success in between does not clear the window.
        cooldowns.settle(admitted(cooldowns, second), SUCCESS, (), second)
    assert cooldowns.is_idle
    told = cooldowns.settle(admitted(cooldowns, 59.0), server_error, (MODEL,), 59.0)
    assert [type(report) for report in told] == [Failed, Tripped]
    assert only(cooldowns, 59.0).until == 59.0 + PLAIN.error_s


def test_failures_outside_the_window_do_not_count() -> None:
    cooldowns = machine()
    for second in (0.0, 10.0, 20.0, 30.0, 61.0):
        cooldowns.settle(admitted(cooldowns, second), failed(OutcomeClass.SERVER_ERROR), (MODEL,), second)
    assert cooldowns.is_idle


def test_the_pause_grows_with_failures_in_a_row_until_the_threshold() -> None:
    cooldowns = machine(provider(cooldown=NO_PROOF))
    now, lengths = 0.0, []
    for _ in range(3):
        cooldowns.settle(admitted(cooldowns, now), failed(), (KEY,), now)
        lengths.append(only(cooldowns, now).until - now)
        now = only(cooldowns, now).until
        assert cooldowns.active(now) == ()
    assert lengths == [1.0, 2.0, PLAIN.rate_limit_s]


def test_a_success_ends_the_failures_in_a_row() -> None:
    cooldowns = machine(provider(cooldown=NO_PROOF))
    cooldowns.settle(admitted(cooldowns, 0.0), failed(), (KEY,), 0.0)
    cooldowns.settle(admitted(cooldowns, 1.0), SUCCESS, (), 1.0)
    cooldowns.settle(admitted(cooldowns, 2.0), failed(), (KEY,), 2.0)
    assert only(cooldowns, 2.0).until == 3.0


def test_a_class_that_never_trips_cools_nothing() -> None:
    never = {OutcomeClass.AUTH: ClassOverride(trip=Trip.NEVER)}
    cooldowns = machine(provider(cooldown=rules(overrides=never)))
    assert cooldowns.settle(admitted(cooldowns, 0.0), failed(OutcomeClass.AUTH), (CREDENTIAL,), 0.0) == ()
    assert cooldowns.is_idle


def test_a_threshold_of_one_honours_a_longer_hint() -> None:
    cooldowns = machine(provider(cooldown=rules(error_threshold=1)))
    outage = failed(OutcomeClass.SERVER_ERROR, hint_s=1000.0, status=503)
    cooldowns.settle(admitted(cooldowns, 0.0), outage, (MODEL,), 0.0)
    assert only(cooldowns, 0.0).until == 1000.0


@pytest.mark.parametrize(
    "cls",
    [
        OutcomeClass.CLIENT,
        OutcomeClass.CONTEXT,
        OutcomeClass.TOO_BIG,
        OutcomeClass.FILTER,
        OutcomeClass.CANCELLED,
    ],
)
def test_the_callers_faults_cool_nothing(cls: OutcomeClass) -> None:
    cooldowns = machine(provider(cooldown=rules(error_threshold=1)))
    assert cooldowns.settle(admitted(cooldowns, 0.0), failed(cls, hint_s=60.0, status=413), (KEY,), 0.0) == ()
    assert cooldowns.is_idle
    assert cooldowns._scopes.known(KEY) is None, "nothing is kept for what never failed"


# --------------------------------------------------------------------- while it cools
def test_of_two_deadlines_the_later_holds_whatever_their_order() -> None:
    cooldowns = machine()
    first, second, third = (admitted(cooldowns, 0.0) for _ in range(3))
    cooldowns.settle(first, failed(hint_s=60.0), (KEY,), 0.0)
    assert cooldowns.settle(second, failed(hint_s=20.0), (KEY,), 1.0) == ()
    assert only(cooldowns, 1.0).until == 60.0
    (told,) = cooldowns.settle(third, failed(hint_s=90.0), (KEY,), 2.0)
    assert isinstance(told, Tripped)
    assert (told.remaining_s, told.level) == (90.0, 0)
    assert (only(cooldowns, 2.0).until, only(cooldowns, 2.0).level) == (92.0, 0)


def test_a_slightly_later_deadline_is_kept_but_not_told() -> None:
    cooldowns = machine()
    first, second = (admitted(cooldowns, 0.0) for _ in range(2))
    cooldowns.settle(first, failed(hint_s=60.0), (KEY,), 0.0)
    assert cooldowns.settle(second, failed(hint_s=60.0), (KEY,), 1.5) == ()
    assert only(cooldowns, 2.0).until == 61.5


def test_failures_that_only_count_say_nothing_new_while_it_cools() -> None:
    cooldowns = machine(provider(cooldown=rules(error_threshold=1)))
    first, second = (admitted(cooldowns, 0.0) for _ in range(2))
    cooldowns.settle(first, failed(OutcomeClass.SERVER_ERROR), (MODEL,), 0.0)
    assert cooldowns.settle(second, failed(OutcomeClass.SERVER_ERROR), (MODEL,), 50.0) == ()
    assert only(cooldowns, 50.0).until == PLAIN.error_s


def test_a_hint_is_clamped() -> None:
    cooldowns = machine(provider(cooldown=rules(max_duration_s=100.0)))
    trip(cooldowns, 0.0, hint_s=1e9)
    assert only(cooldowns, 0.0).until == 100.0


def test_the_last_resort_gets_a_permit_that_proves_nothing() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0, hint_s=10.0)
    permit = cooldowns.force(target(), 5.0)
    assert (permit.trials, cooldowns.outstanding) == ((), 1)
    cooldowns.settle(permit, SUCCESS, (), 6.0)
    assert (only(cooldowns, 6.0).phase, only(cooldowns, 6.0).until) == (COOLING, 10.0)
    trip(cooldowns, 7.0, hint_s=20.0)
    assert (only(cooldowns, 7.0).level, only(cooldowns, 7.0).until) == (0, 27.0)


# ------------------------------------------------------------------------ the way back
def test_one_trial_at_a_time() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    trial = admitted(cooldowns, 10.0)
    assert trial.reports == ()
    blocked = refused(cooldowns, 10.5)
    assert (blocked.phase, blocked.until) == (HALF_OPEN, 11.5)
    assert cooldowns.wake_at() is None


@pytest.mark.parametrize(
    "answer",
    [
        SUCCESS,
        *(
            failed(cls, status=400)
            for cls in (OutcomeClass.CLIENT, OutcomeClass.CONTEXT, OutcomeClass.TOO_BIG)
        ),
        failed(OutcomeClass.FILTER, status=200),
    ],
)
def test_a_trial_that_the_provider_answers_leads_to_the_ramp_and_home(answer: Outcome) -> None:
    chance = Scripted()
    cooldowns = machine(chance=chance)
    trip(cooldowns, 0.0, hint_s=60.0)
    assert cooldowns.settle(admitted(cooldowns, 62.0), answer, (), 63.0) == ()
    assert [only(cooldowns, at).share_percent for at in (63.0, 93.0, 123.0, 153.0)] == [10, 25, 50, 100]
    assert cooldowns.wake_at() == 183.0
    assert cooldowns.active(183.0) == ()
    assert cooldowns.is_idle


def test_no_step_of_the_ramp_is_longer_than_the_cooldown_was() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0, hint_s=3.0)
    cooldowns.settle(admitted(cooldowns, 3.0), SUCCESS, (), 3.0)
    assert [only(cooldowns, at).share_percent for at in (3.0, 6.0, 9.0, 12.0)] == [10, 25, 50, 100]
    assert cooldowns.active(15.0) == ()


def test_a_cooldown_made_longer_counts_whole_for_the_ramp() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0, hint_s=3.0)
    trip(cooldowns, 2.0, hint_s=10.0)
    cooldowns.settle(admitted(cooldowns, 12.0), SUCCESS, (), 12.0)
    assert only(cooldowns, 12.0).until == 24.0


@pytest.mark.parametrize("answer", [CANCELLED, failed(OutcomeClass.CLIENT, status=None)])
def test_a_trial_without_an_answer_gives_the_place_back(answer: Outcome) -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), answer, (), 11.0)
    assert only(cooldowns, 11.0).phase is HALF_OPEN
    assert admitted(cooldowns, 11.0).trials


def test_a_failed_trial_cools_again_and_longer_each_time() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    now, lengths = 10.0, []
    for level in range(1, 6):
        (told,) = cooldowns.settle(admitted(cooldowns, now), failed(), (KEY,), now)
        assert isinstance(told, Tripped)
        assert told.level == level
        lengths.append(told.remaining_s)
        now += told.remaining_s
    assert lengths == [30.0, 60.0, 120.0, 1200.0, 2400.0]


def test_a_trial_that_fails_for_another_scope_gives_the_place_back() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), failed(OutcomeClass.AUTH, status=401), (CREDENTIAL,), 11.0)
    assert phases(cooldowns, 11.0) == {KEY: HALF_OPEN, CREDENTIAL: COOLING}


def test_a_failed_trial_of_a_class_that_never_trips_gives_the_place_back() -> None:
    never = {OutcomeClass.SERVER_ERROR: ClassOverride(trip=Trip.NEVER)}
    cooldowns = machine(provider(cooldown=rules(overrides=never)))
    trip(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), failed(OutcomeClass.SERVER_ERROR), (KEY,), 11.0)
    assert (only(cooldowns, 11.0).phase, only(cooldowns, 11.0).level) == (HALF_OPEN, 0)


def test_one_attempt_may_be_the_trial_of_two_scopes() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0, scope=MODEL)
    trip(cooldowns, 0.0, scope=KEY)
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 11.0)
    assert phases(cooldowns, 11.0) == {KEY: RAMP, MODEL: RAMP}


def test_several_trials_may_be_asked_for() -> None:
    cooldowns = machine(provider(cooldown=rules(recovery={"trials": 2})))
    trip(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 11.0)
    assert only(cooldowns, 11.0).phase is HALF_OPEN
    cooldowns.settle(admitted(cooldowns, 11.0), SUCCESS, (), 12.0)
    assert only(cooldowns, 12.0).phase is RAMP


def test_a_trial_passes_when_the_answer_begins_not_when_a_long_stream_ends() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    trial = admitted(cooldowns, 10.0)
    assert cooldowns.answered(trial, 11.0) == ()
    assert only(cooldowns, 11.0).phase is RAMP
    assert cooldowns.answered(trial, 12.0) == ()
    # The stream's end does not count twice, and its breaking is late.
    cooldowns.settle(trial, failed(hint_s=60.0), (KEY,), 25.0)
    assert (only(cooldowns, 25.0).phase, only(cooldowns, 25.0).share_percent) == (RAMP, 25)
    assert cooldowns.outstanding == 0


def test_an_answer_that_begins_means_nothing_outside_a_trial() -> None:
    cooldowns = machine()
    permit = admitted(cooldowns, 0.0)
    assert cooldowns.answered(permit, 1.0) == ()
    trip(cooldowns, 1.0)
    insisting = cooldowns.force(target(), 2.0)
    assert cooldowns.answered(insisting, 3.0) == ()
    assert only(cooldowns, 3.0).phase is COOLING


def test_without_a_probe_the_ramp_begins_at_once() -> None:
    cooldowns = machine(provider(cooldown=rules(recovery={"probe": RecoveryProbe.NONE})))
    trip(cooldowns, 0.0)
    assert (only(cooldowns, 10.0).phase, only(cooldowns, 10.0).share_percent) == (RAMP, 10)


def test_late_answers_do_not_count_in_half_open() -> None:
    cooldowns = machine()
    before = admitted(cooldowns, 0.0)
    trip(cooldowns, 0.0)
    assert only(cooldowns, 10.0).phase is HALF_OPEN
    assert cooldowns.settle(before, failed(hint_s=100.0), (KEY,), 11.0) == ()
    assert (only(cooldowns, 11.0).phase, only(cooldowns, 11.0).level) == (HALF_OPEN, 0)


def test_a_trial_that_was_overtaken_does_not_count() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    overtaken = admitted(cooldowns, 10.0)
    trip(cooldowns, 11.0)
    assert only(cooldowns, 11.0).level == 1
    cooldowns.settle(overtaken, SUCCESS, (), 12.0)
    assert only(cooldowns, 12.0).phase is COOLING


def test_the_ramp_lets_its_share_pass() -> None:
    chance = Scripted()
    cooldowns = machine(chance=chance)
    trip(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 10.0)
    chance.value = 0.10
    assert (refused(cooldowns, 11.0).phase, refused(cooldowns, 11.0).until) == (RAMP, 12.0)
    assert cooldowns.peek(target(), 11.0) is None
    chance.value = 0.09
    assert admitted(cooldowns, 11.0)
    chance.value = 0.99
    draws = chance.draws
    assert admitted(cooldowns, 101.0)
    assert chance.draws == draws


def test_of_two_ramps_the_smaller_share_counts() -> None:
    chance = Scripted()
    cooldowns = machine(chance=chance)
    trip(cooldowns, 0.0, scope=KEY, hint_s=30.0)
    cooldowns.settle(admitted(cooldowns, 30.0), SUCCESS, (), 30.0)
    trip(cooldowns, 30.0, scope=MODEL, hint_s=30.0)
    cooldowns.settle(admitted(cooldowns, 60.0), SUCCESS, (), 60.0)
    assert {item.scope: item.share_percent for item in cooldowns.active(60.0)} == {KEY: 25, MODEL: 10}
    chance.value = 0.2
    assert refused(cooldowns, 61.0).scope == MODEL


def test_a_trip_during_the_ramp_raises_the_level() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 10.0)
    trip(cooldowns, 20.0, hint_s=5.0)
    assert (only(cooldowns, 20.0).phase, only(cooldowns, 20.0).level) == (COOLING, 1)
    assert only(cooldowns, 20.0).until == 50.0


def test_failures_during_the_ramp_count_as_in_traffic() -> None:
    cooldowns = machine(provider(cooldown=rules(error_threshold=2)))
    trip(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 10.0)
    for now, phase in ((20.0, RAMP), (21.0, COOLING)):
        cooldowns.settle(admitted(cooldowns, now), failed(OutcomeClass.SERVER_ERROR), (KEY,), now)
        assert only(cooldowns, now).phase is phase
    assert only(cooldowns, 21.0).level == 1


def test_a_failure_from_before_the_ramp_does_not_count_in_it() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    insisting = cooldowns.force(target(), 5.0)
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 10.0)
    assert cooldowns.settle(insisting, failed(hint_s=60.0), (KEY,), 11.0) == ()
    assert only(cooldowns, 11.0).phase is RAMP


def test_nobody_looking_for_an_hour_leads_through_the_whole_ramp() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 10.0)
    assert admitted(cooldowns, 3600.0)
    assert cooldowns.active(3600.0) == ()


# ------------------------------------------------------------------------------ people
def test_a_person_cools_a_whole_provider_for_the_whole_fleet() -> None:
    cooldowns = machine(provider(cooldown=ALONE))
    (told,) = cooldowns.cooldown("ns/p", 600.0, "maintenance", 0.0)
    assert isinstance(told, Tripped)
    assert (told.scope, told.outcome_class, told.reason) == (WHOLE, None, "maintenance")
    assert (told.remaining_s, told.fleet) == (600.0, True)
    assert (refused(cooldowns, 1.0).rank, refused(cooldowns, 1.0).until) == (1, 600.0)
    assert cooldowns.standing_reports(0.0) == (told,)


def test_a_persons_shorter_cooldown_changes_nothing() -> None:
    cooldowns = machine()
    cooldowns.cooldown("ns/p", 600.0, "long", 0.0)
    assert cooldowns.cooldown("ns/p", 60.0, "short", 1.0) == ()
    assert (only(cooldowns, 1.0).until, only(cooldowns, 1.0).reason) == (600.0, "long")


@pytest.mark.parametrize("passed", [0, 1])
def test_a_person_cools_what_is_on_its_way_back(passed: int) -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0, scope=WHOLE)
    permit = admitted(cooldowns, 10.0)
    if passed:
        cooldowns.settle(permit, SUCCESS, (), 10.0)
    cooldowns.cooldown("ns/p", 60.0, "manual", 11.0)
    assert (only(cooldowns, 11.0).phase, only(cooldowns, 11.0).level) == (COOLING, 1)
    assert only(cooldowns, 11.0).until == 71.0


def test_a_person_recovers_everything_of_a_provider() -> None:
    cooldowns = machine(provider(), provider("q"))
    on_its_way = admitted(cooldowns, 0.0)
    trip(cooldowns, 0.0)
    cooldowns.cooldown("ns/p", 60.0, "manual", 0.0)
    cooldowns.cooldown("ns/q", 60.0, "manual", 0.0)
    assert cooldowns.recover("ns/p", "kim", 1.0) == (Recovered(provider="ns/p", by="kim"),)
    assert phases(cooldowns, 1.0) == {Scope(provider="ns/q"): COOLING}
    # What was asked before is not to undo what the person wants.
    cooldowns.settle(on_its_way, failed(hint_s=60.0), (KEY,), 2.0)
    assert admitted(cooldowns, 2.0)
    # What is asked after counts.
    trip(cooldowns, 3.0)
    assert refused(cooldowns, 4.0)


def test_recovery_forgets_the_failures_counted_so_far() -> None:
    cooldowns = machine(provider(cooldown=rules(error_threshold=2)))
    cooldowns.settle(admitted(cooldowns, 0.0), failed(OutcomeClass.SERVER_ERROR), (MODEL,), 0.0)
    cooldowns.recover("ns/p", "kim", 1.0)
    cooldowns.settle(admitted(cooldowns, 2.0), failed(OutcomeClass.SERVER_ERROR), (MODEL,), 2.0)
    assert cooldowns.is_idle


def test_an_unknown_provider_is_nobodys_matter() -> None:
    cooldowns = machine()
    assert cooldowns.cooldown("ns/x", 60.0, "manual", 0.0) == ()
    assert cooldowns.recover("ns/x", "kim", 0.0) == ()
    assert cooldowns.is_idle


# ----------------------------------------------------------------------- configuration
def test_a_new_snapshot_keeps_cooldowns_and_takes_new_rules() -> None:
    cooldowns = machine()
    trip(cooldowns, 0.0)
    cooldowns.configure((provider(cooldown=rules(recovery={"ramp_percent": (50,)})), provider("q")), 1.0)
    assert only(cooldowns, 1.0).until == 10.0
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 10.0)
    assert only(cooldowns, 10.0).share_percent == 50


@pytest.mark.parametrize(
    "changed",
    [
        provider("q"),
        provider(credentials=(("other", 1),)),
        provider(models=(("m", "other"),)),
        provider(base_url="http://127.0.0.1:2/v1"),
        provider(cooldown=rules(enabled=False)),
    ],
)
def test_a_cooldown_ends_with_what_it_stood_on(changed: Provider) -> None:
    cooldowns = machine()
    permit = admitted(cooldowns, 0.0)
    trip(cooldowns, 0.0)
    cooldowns.configure((changed,), 1.0)
    assert cooldowns.is_idle
    cooldowns.settle(permit, failed(hint_s=60.0), (KEY,), 2.0)
    assert (cooldowns.is_idle, cooldowns.outstanding) == (True, 0)


@pytest.mark.parametrize(
    ("cls", "scope", "ends"),
    [
        (OutcomeClass.AUTH, CREDENTIAL, True),
        (OutcomeClass.QUOTA_MONEY, CREDENTIAL, True),
        (OutcomeClass.QUOTA_LONG, CREDENTIAL, False),
        (OutcomeClass.AUTH, WHOLE, False),
    ],
)
def test_a_new_key_ends_what_the_old_one_was_blamed_for(
    cls: OutcomeClass,
    scope: Scope,
    ends: bool,  # noqa: FBT001 - a column
) -> None:
    cooldowns = machine()
    on_its_way = admitted(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 0.0), failed(cls), (scope,), 0.0)
    cooldowns.configure((provider(digest="d2"),), 1.0)
    assert cooldowns.is_idle == ends
    cooldowns.settle(on_its_way, failed(OutcomeClass.AUTH), (scope,), 2.0)
    assert cooldowns.is_idle == ends


def test_a_persons_cooldown_outlives_a_new_address() -> None:
    cooldowns = machine()
    cooldowns.cooldown("ns/p", 60.0, "manual", 0.0)
    cooldowns.configure((provider(base_url="http://127.0.0.1:2/v1", cooldown=rules(enabled=False)),), 1.0)
    assert only(cooldowns, 1.0).until == 60.0


def test_failures_of_what_is_configured_no_longer_are_nobodys_matter() -> None:
    cooldowns = machine()
    permit = admitted(cooldowns, 0.0)
    stranger = Scope(provider="ns/p", model="never heard of")
    assert cooldowns.settle(permit, failed(hint_s=9.0), (stranger,), 0.0) == ()
    assert cooldowns.is_idle


# ------------------------------------------------------------------------ bookkeeping
def test_a_permit_is_settled_once() -> None:
    cooldowns = machine()
    permit = admitted(cooldowns, 0.0)
    cooldowns.settle(permit, SUCCESS, (), 0.0)
    assert cooldowns.settle(permit, failed(hint_s=9.0), (KEY,), 0.0) == ()
    assert (cooldowns.outstanding, cooldowns.is_idle) == (0, True)


def test_closed_scopes_are_forgotten_after_a_while() -> None:
    cooldowns = machine(provider(cooldown=NO_PROOF))
    trip(cooldowns, 0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 10.0)
    cooldowns.advance(900.0)
    assert cooldowns._scopes.known(KEY) is not None
    cooldowns.advance(911.0 + SWEEP_S)
    assert cooldowns._scopes.known(KEY) is None


def test_own_cooldowns_are_told_to_whoever_begins_to_listen() -> None:
    cooldowns = machine(provider(cooldown=ALONE))
    trip(cooldowns, 0.0)
    (told,) = cooldowns.standing_reports(4.0)
    assert isinstance(told, Tripped)
    assert (told.remaining_s, told.fleet) == (6.0, False)
    assert cooldowns.standing_reports(10.0) == ()


def test_a_policy_for_each_sidecar_alone_tells_no_counts_and_no_trials() -> None:
    cooldowns = machine(provider(cooldown=ALONE), attached=True)
    assert cooldowns.settle(admitted(cooldowns, 0.0), failed(OutcomeClass.SERVER_ERROR), (MODEL,), 0.0) == ()
    trip(cooldowns, 0.0)
    trial = admitted(cooldowns, 10.0)
    assert trial.reports == ()
    assert cooldowns.settle(trial, SUCCESS, (), 10.0) == ()
    assert only(cooldowns, 10.0).phase is RAMP


def test_the_view_for_people_is_complete_and_sorted() -> None:
    cooldowns = machine(provider(), provider("q"))
    trip(cooldowns, 5.0)
    cooldowns.cooldown("ns/q", 60.0, "manual", 6.0)
    trip(cooldowns, 7.0, scope=WHOLE)
    assert [item.scope for item in cooldowns.active(8.0)] == [WHOLE, KEY, Scope(provider="ns/q")]
    key = cooldowns.active(8.0)[1]
    assert (key.since, key.until, key.level, key.share_percent) == (5.0, 15.0, 0, 0)
    assert (key.outcome_class, key.reason, key.fleet) == (
        OutcomeClass.RATE_LIMITED,
        "it was RateLimited",
        True,
    )
    assert key.evidence.status == 429
