"""A sidecar and the operator's documents: who leads, what is adopted, and what happens when nobody leads."""

from datetime import timedelta

import pytest
from msgspec import structs

from cliproxy_api.report import Failed, TrialSettled, TrialStarted, Tripped, Trying
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Position
from cliproxy_api.state import Evidence, FleetCooldown, StatePush
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, RecoveryProbe
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.outcome import CANCELLED, SUCCESS
from cliproxy_sidecar.core.scope_parts import GRACE_S
from support.cooling import (
    ALONE,
    CREDENTIAL,
    KEY,
    ME,
    MODEL,
    WHOLE,
    Scripted,
    admitted,
    entry,
    failed,
    machine,
    only,
    phases,
    provider,
    push,
    refused,
    rules,
    target,
)

COOLING, HALF_OPEN, RAMP = CooldownPhase.COOLING, CooldownPhase.HALF_OPEN, CooldownPhase.RAMP


def trip(cooldowns: Cooldowns, now: float, *, hint_s: float = 10.0) -> None:
    """Cool KEY by a provider's hint."""
    cooldowns.settle(cooldowns.force(target(), now), failed(hint_s=hint_s), (KEY,), now)


# -------------------------------------------------------------------------- adoption
def test_a_document_cools_at_the_time_of_this_process() -> None:
    cooldowns = machine(now=500.0, attached=True)
    cooldowns.adopt(push(entry(since_s=-20.0, until_s=40.0)), 500.0)
    adopted = only(cooldowns, 500.0)
    assert (adopted.since, adopted.until, adopted.level) == (480.0, 540.0, 0)
    assert (adopted.reason, adopted.evidence.sidecar, adopted.fleet) == ("the fleet says so", "another", True)
    assert refused(cooldowns, 501.0).until == 540.0


def test_what_a_document_lists_no_longer_is_closed() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(), entry(MODEL)), 0.0)
    cooldowns.adopt(push(entry(MODEL)), 1.0)
    assert phases(cooldowns, 1.0) == {MODEL: COOLING}
    cooldowns.adopt(push(), 2.0)
    assert cooldowns.is_idle


# ------------------------------------------------------------------------ recovery
def recovered(at_s: float, *entries: FleetCooldown, sent_s: float) -> StatePush:
    """Return a document that tells of a recovery, with instants in this process's seconds."""
    document = push(*entries, sent_s=sent_s)
    at_utc = document.sent_at_utc + timedelta(seconds=at_s - sent_s)
    state = structs.replace(document.state, recovered={"ns/p": at_utc})
    return structs.replace(document, state=state)


def test_a_recovery_ends_what_no_document_has_listed() -> None:
    cooldowns = machine()
    trip(cooldowns, 10.0, hint_s=600.0)
    cooldowns.attach(attached=True, now=100.0)
    assert only(cooldowns, 100.0).until == 610.0
    cooldowns.adopt(recovered(50.0, sent_s=100.0), 100.0)
    assert cooldowns.is_idle
    assert cooldowns.standing_reports(100.0) == ()


def test_a_recovery_leaves_what_was_found_since() -> None:
    cooldowns = machine()
    trip(cooldowns, 60.0, hint_s=600.0)
    cooldowns.attach(attached=True, now=100.0)
    cooldowns.adopt(recovered(50.0, sent_s=100.0), 100.0)
    assert only(cooldowns, 100.0).until == 660.0
    trip(cooldowns, 101.0, hint_s=900.0)
    cooldowns.adopt(recovered(50.0, sent_s=102.0), 102.0)
    assert only(cooldowns, 102.0).until == 1001.0


def test_a_recovery_is_minded_once() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(recovered(50.0, sent_s=100.0), 100.0)
    cooldowns.adopt(recovered(50.0, entry(since_s=10.0, until_s=600.0), sent_s=100.0), 100.0)
    assert only(cooldowns, 100.0).until == 600.0


def test_what_is_told_again_says_how_old_it_is() -> None:
    cooldowns = machine()
    trip(cooldowns, 10.0, hint_s=600.0)
    (again,) = cooldowns.standing_reports(75.5)
    assert isinstance(again, Tripped)
    assert (again.age_s, again.remaining_s) == (65.5, 534.5)


def test_a_finding_that_others_told_of_is_as_old_as_their_document_says() -> None:
    cooldowns = machine(now=500.0, attached=True)
    cooldowns.adopt(
        push(structs.replace(entry(since_s=-20.0, until_s=40.0), evidence=Evidence(sidecar=ME))), 500.0
    )
    cooldowns.led_anew(510.0)
    (again,) = cooldowns.standing_reports(510.0)
    assert isinstance(again, Tripped)
    assert again.age_s == 30.0


def test_an_earlier_deadline_in_a_document_holds() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=600.0)), 0.0)
    cooldowns.adopt(push(entry(until_s=60.0)), 0.0)
    assert only(cooldowns, 0.0).until == 60.0


def test_the_same_document_again_changes_nothing_even_if_sent_later() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME)), 0.0)
    trial = admitted(cooldowns, 1.0)
    before = cooldowns.active(2.0)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME), sent_s=3.0), 2.0)
    assert cooldowns.active(2.0) == before
    assert cooldowns.settle(trial, SUCCESS, (), 3.0) == (TrialSettled(scope=KEY, level=0),)


def test_a_new_leader_that_tells_the_same_deadline_does_not_move_it() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=60.0)), 0.0)
    again = structs.replace(entry(until_s=60.0), reason="restored")
    # On its way for 12 ms, sent by a clock that is 3 s behind.
    cooldowns.adopt(push(again, sent_s=2.0), 5.012)
    adopted = only(cooldowns, 6.0)
    assert (adopted.since, adopted.until, adopted.reason) == (0.0, 60.0, "restored")


def test_a_deadline_that_was_read_late_is_put_right_by_the_same_leaders_next_document() -> None:
    cooldowns = machine(attached=True)
    # Paused for 15 s with the document in its socket; then the link is made anew.
    cooldowns.adopt(push(entry(until_s=60.0)), 15.0)
    assert only(cooldowns, 15.0).until == 75.0
    cooldowns.adopt(push(entry(until_s=60.0), sent_s=15.1), 15.1)
    assert only(cooldowns, 16.0).until == 60.0
    # A way of milliseconds is no reason to move anything, and later is never right.
    cooldowns.adopt(push(entry(until_s=60.0), sent_s=16.2), 16.1)
    cooldowns.adopt(push(entry(until_s=60.0), sent_s=10.0), 17.0)
    assert only(cooldowns, 17.0).until == 60.0


def test_a_late_deadline_of_another_leader_stays_as_clocks_differ() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=60.0)), 15.0)
    cooldowns.adopt(structs.replace(push(entry(until_s=60.0), sent_s=15.1), position=Position(2, 1)), 15.1)
    assert only(cooldowns, 16.0).until == 75.0


def test_people_are_shown_the_instants_of_the_document() -> None:
    cooldowns = machine(attached=True)
    told = entry(until_s=60.0)
    cooldowns.adopt(push(told), 0.012)
    assert only(cooldowns, 1.0).told == told


def test_people_are_shown_an_own_deadline_that_no_document_knows() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=10.0)), 0.0)
    trip(cooldowns, 1.0, hint_s=600.0)
    assert (only(cooldowns, 1.0).until, only(cooldowns, 1.0).told) == (601.0, None)


def test_state_may_come_before_the_configuration() -> None:
    cooldowns = Cooldowns(sidecar=ME, chance=Scripted())
    cooldowns.adopt(push(entry(until_s=60.0)), 0.0)
    assert cooldowns.is_idle
    cooldowns.configure((provider(),), 5.0)
    assert only(cooldowns, 5.0).until == 60.0


def test_a_scope_that_the_configuration_lacks_is_adopted_when_it_comes_back() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(CREDENTIAL)), 0.0)
    cooldowns.configure((provider(credentials=(("other", 1),)),), 1.0)
    assert cooldowns.is_idle
    cooldowns.configure((provider(),), 2.0)
    assert only(cooldowns, 2.0).scope == CREDENTIAL


def test_what_a_document_lists_is_the_operators_to_end() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(CREDENTIAL, outcome_class=OutcomeClass.AUTH)), 0.0)
    cooldowns.configure((provider(digest="d2"),), 1.0)
    assert only(cooldowns, 1.0).scope == CREDENTIAL


def test_answers_from_before_the_fleet_closed_a_scope_are_late() -> None:
    cooldowns = machine(attached=True)
    before = admitted(cooldowns, 0.0)
    cooldowns.adopt(push(entry()), 1.0)
    cooldowns.adopt(push(), 2.0)
    assert cooldowns.settle(before, failed(hint_s=60.0), (KEY,), 3.0) == ()
    assert cooldowns.is_idle


# ---------------------------------------------------------------------- own findings
def test_an_own_finding_stays_while_no_document_knows_it() -> None:
    cooldowns = machine(attached=True)
    trip(cooldowns, 0.0, hint_s=60.0)
    cooldowns.adopt(push(entry(MODEL)), 1.0)
    assert phases(cooldowns, 1.0) == {KEY: COOLING, MODEL: COOLING}
    assert [told.scope for told in cooldowns.standing_reports(1.0) if isinstance(told, Tripped)] == [KEY]


@pytest.mark.parametrize("until_s", [58.5, 60.0, 300.0])
def test_a_document_acknowledges_an_own_finding(until_s: float) -> None:
    cooldowns = machine(attached=True)
    trip(cooldowns, 0.0, hint_s=60.0)
    cooldowns.adopt(push(entry(until_s=until_s, level=1)), 0.0)
    assert (only(cooldowns, 0.0).until, only(cooldowns, 0.0).level) == (max(until_s, 60.0), 1)
    assert cooldowns.standing_reports(1.0) == ()
    cooldowns.adopt(push(), 2.0)
    assert cooldowns.is_idle


@pytest.mark.parametrize(
    "older",
    [
        entry(until_s=20.0),
        entry(phase=HALF_OPEN, trial="another", until_s=5.0),
        entry(phase=RAMP, share_percent=50, until_s=500.0),
    ],
)
def test_of_an_own_finding_and_an_older_document_the_later_deadline_holds(older: FleetCooldown) -> None:
    cooldowns = machine(attached=True)
    trip(cooldowns, 0.0, hint_s=60.0)
    cooldowns.adopt(push(older), 1.0)
    assert (only(cooldowns, 1.0).phase, only(cooldowns, 1.0).until) == (COOLING, 60.0)
    # A document that lists it no longer does not know of it either.
    cooldowns.adopt(push(), 2.0)
    assert only(cooldowns, 2.0).until == 60.0


def test_when_an_own_finding_is_over_the_document_is_right_again() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=RAMP, share_percent=50, until_s=500.0)), 0.0)
    trip(cooldowns, 1.0, hint_s=40.0)
    assert (only(cooldowns, 1.0).phase, only(cooldowns, 1.0).level) == (COOLING, 1)
    assert cooldowns.wake_at() == 41.0
    assert (only(cooldowns, 41.0).phase, only(cooldowns, 41.0).share_percent) == (RAMP, 50)
    assert only(cooldowns, 41.0).level == 0


def test_an_own_finding_that_ran_out_ends_with_the_document() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=5.0)), 0.0)
    trip(cooldowns, 0.0, hint_s=8.0)
    cooldowns.adopt(push(), 9.0)
    assert cooldowns.is_idle


def test_an_own_finding_that_ran_out_gives_way_to_the_document() -> None:
    cooldowns = machine(attached=True)
    trip(cooldowns, 0.0, hint_s=8.0)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME, until_s=20.0)), 9.0)
    assert admitted(cooldowns, 9.0).reports == (TrialStarted(scope=KEY, level=0),)


def test_counted_failures_are_told_for_the_fleets_sum() -> None:
    cooldowns = machine(attached=True)
    (told,) = cooldowns.settle(
        admitted(cooldowns, 0.0), failed(OutcomeClass.SERVER_ERROR, status=502), (MODEL,), 0.0
    )
    assert isinstance(told, Failed)
    assert (told.scope, told.outcome_class, told.count) == (MODEL, OutcomeClass.SERVER_ERROR, 1)
    assert told.evidence.status == 502


# -------------------------------------------------------------------------- half-open
def test_the_holder_of_the_permit_tries_and_tells() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME, level=2)), 0.0)
    trial = admitted(cooldowns, 1.0)
    assert trial.reports == (TrialStarted(scope=KEY, level=2),)
    assert refused(cooldowns, 1.0).phase is HALF_OPEN
    assert cooldowns.settle(trial, SUCCESS, (), 2.0) == (TrialSettled(scope=KEY, level=2),)
    assert only(cooldowns, 2.0).phase is HALF_OPEN, "the ramp is the operator's to begin"
    cooldowns.adopt(push(entry(phase=RAMP, share_percent=10, level=2)), 3.0)
    assert (only(cooldowns, 3.0).phase, only(cooldowns, 3.0).share_percent) == (RAMP, 10)


def test_a_passed_trial_is_told_when_the_answer_begins_and_once() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME)), 0.0)
    trial = admitted(cooldowns, 1.0)
    assert cooldowns.answered(trial, 2.0) == (TrialSettled(scope=KEY, level=0),)
    assert cooldowns.settle(trial, SUCCESS, (), 30.0) == ()


@pytest.mark.parametrize("holder", ["another", None])
def test_others_keep_away(holder: str | None) -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=holder, until_s=5.0)), 0.0)
    assert refused(cooldowns, 1.0).phase is HALF_OPEN
    assert refused(cooldowns, 5.0 + GRACE_S - 0.1).phase is HALF_OPEN


def test_a_failed_trial_is_told_with_the_next_level() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME, level=1)), 0.0)
    (told,) = cooldowns.settle(admitted(cooldowns, 1.0), failed(), (KEY,), 1.0)
    assert isinstance(told, Tripped)
    assert (told.level, told.remaining_s) == (2, 60.0)


def test_a_cancelled_trial_may_be_followed_by_another() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME)), 0.0)
    assert cooldowns.settle(admitted(cooldowns, 1.0), CANCELLED, (), 2.0) == ()
    assert admitted(cooldowns, 3.0).reports == (TrialStarted(scope=KEY, level=0),)


def test_a_trial_under_way_counts_even_if_the_permit_has_moved_on() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME)), 0.0)
    trial = admitted(cooldowns, 1.0)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial="another", until_s=70.0)), 2.0)
    assert refused(cooldowns, 3.0).phase is HALF_OPEN
    assert cooldowns.settle(trial, SUCCESS, (), 4.0) == (TrialSettled(scope=KEY, level=0),)


def test_a_trial_of_an_older_level_does_not_count() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME)), 0.0)
    old = admitted(cooldowns, 1.0)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME, level=1)), 2.0)
    assert cooldowns.settle(old, failed(), (KEY,), 3.0) == ()
    assert admitted(cooldowns, 3.0).trials
    assert only(cooldowns, 3.0).level == 1


# ------------------------------------------------------------------------- acting alone
def test_cut_off_a_sidecar_goes_the_whole_way_alone() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=60.0)), 0.0)
    cooldowns.attach(attached=False, now=1.0)
    assert cooldowns.wake_at() == 60.0
    trial = admitted(cooldowns, 60.0)
    assert trial.reports == ()
    assert cooldowns.settle(trial, SUCCESS, (), 61.0) == ()
    assert only(cooldowns, 61.0).phase is RAMP
    assert cooldowns.active(61.0 + 4 * 30.0) == ()


def test_sidecars_that_are_cut_off_come_back_spread_out() -> None:
    chance = Scripted(0.5)
    cooldowns = machine(provider(cooldown=rules(jitter=0.2)), chance=chance)
    cooldowns.adopt(push(entry(until_s=100.0)), 0.0)
    assert cooldowns.wake_at() == 110.0
    cooldowns.adopt(push(entry(until_s=10_000.0)), 0.0)
    assert cooldowns.wake_at() == 10_030.0, "not by more than half a minute"


def test_the_fleet_gets_its_time_before_a_sidecar_acts_alone() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=60.0)), 0.0)
    blocked = refused(cooldowns, 65.0)
    assert (blocked.phase, blocked.until) == (COOLING, 66.0)
    assert cooldowns.wake_at() == 60.0 + GRACE_S
    assert admitted(cooldowns, 70.0).trials


def test_a_permit_that_nobody_uses_does_not_shut_out_for_ever() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial="another", until_s=5.0)), 0.0)
    trial = admitted(cooldowns, 5.0 + GRACE_S)
    assert trial.reports == (), "the fleet's permit is another's"
    # Told all the same: the operator may be glad to hear it.
    assert cooldowns.settle(trial, SUCCESS, (), 16.0) == (TrialSettled(scope=KEY, level=0),)
    assert only(cooldowns, 16.0).phase is RAMP


def test_a_passed_trial_that_the_operator_never_hears_of_leads_on_alone() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME, until_s=60.0)), 0.0)
    cooldowns.settle(admitted(cooldowns, 1.0), SUCCESS, (), 2.0)
    # Those that pass meanwhile are told as well, and do not put the day off.
    assert cooldowns.settle(admitted(cooldowns, 8.0), SUCCESS, (), 9.0) == (TrialSettled(scope=KEY, level=0),)
    assert cooldowns.wake_at() == 2.0 + GRACE_S
    assert (only(cooldowns, 12.0).phase, only(cooldowns, 12.0).until) == (RAMP, 42.0)


def test_a_passed_trial_counts_when_the_link_breaks() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial=ME)), 0.0)
    trial = admitted(cooldowns, 1.0)
    cooldowns.attach(attached=False, now=2.0)
    assert cooldowns.settle(trial, SUCCESS, (), 3.0) == ()
    assert only(cooldowns, 3.0).phase is RAMP


def test_a_ramp_goes_on_from_where_the_fleet_left_it() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=RAMP, share_percent=25, until_s=20.0)), 0.0)
    cooldowns.attach(attached=False, now=1.0)
    assert (only(cooldowns, 20.0).share_percent, only(cooldowns, 20.0).until) == (50, 50.0)


def test_alone_the_steps_of_a_ramp_are_as_short_as_the_fleets() -> None:
    cooldowns = machine(attached=True)
    ramping = entry(phase=RAMP, share_percent=25, until_s=20.0, cooled_s=4.0)
    cooldowns.adopt(push(ramping), 0.0)
    cooldowns.attach(attached=False, now=1.0)
    assert (only(cooldowns, 20.0).share_percent, only(cooldowns, 20.0).until) == (50, 24.0)


def test_a_ramp_that_nobody_moves_on_goes_on_after_a_while() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(phase=RAMP, share_percent=25, until_s=20.0)), 0.0)
    assert only(cooldowns, 20.0 + GRACE_S - 0.1).share_percent == 25
    assert only(cooldowns, 20.0 + GRACE_S).share_percent == 50


def test_a_document_that_moves_again_leads_again() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=10.0)), 0.0)
    assert only(cooldowns, 20.0).phase is HALF_OPEN
    cooldowns.adopt(push(entry(phase=HALF_OPEN, trial="another", until_s=30.0)), 21.0)
    assert refused(cooldowns, 21.0).phase is HALF_OPEN
    cooldowns.adopt(push(), 22.0)
    assert cooldowns.is_idle


def test_a_sidecar_that_came_back_alone_is_not_thrown_back_by_old_news() -> None:
    cooldowns = machine(attached=True)
    old = entry(until_s=10.0)
    cooldowns.adopt(push(old), 0.0)
    cooldowns.attach(attached=False, now=0.0)
    cooldowns.settle(admitted(cooldowns, 10.0), SUCCESS, (), 11.0)
    assert cooldowns.active(200.0) == ()
    cooldowns.attach(attached=True, now=200.0)
    cooldowns.adopt(push(old, entry(MODEL, until_s=300.0), sent_s=200.0), 200.0)
    assert phases(cooldowns, 200.0) == {MODEL: COOLING}


def test_a_cooldown_for_each_sidecar_alone_never_waits_for_documents() -> None:
    cooldowns = machine(provider(cooldown=ALONE), attached=True)
    trip(cooldowns, 0.0)
    assert cooldowns.wake_at() == 10.0
    assert admitted(cooldowns, 10.0).trials


def test_a_persons_cooldown_is_the_fleets_whatever_the_policy() -> None:
    cooldowns = machine(provider(cooldown=ALONE), attached=True)
    cooldowns.cooldown("ns/p", 60.0, "manual", 0.0)
    assert cooldowns.wake_at() == 60.0 + GRACE_S
    cooldowns.adopt(push(entry(WHOLE, outcome_class=None, until_s=60.0)), 0.0)
    cooldowns.adopt(push(), 5.0)
    assert cooldowns.is_idle


def test_without_a_probe_the_fleet_begins_the_ramp_too() -> None:
    cooldowns = machine(provider(cooldown=rules(recovery={"probe": RecoveryProbe.NONE})), attached=True)
    cooldowns.adopt(push(entry(until_s=10.0)), 0.0)
    assert only(cooldowns, 10.0 + GRACE_S).phase is RAMP


def test_what_the_configuration_lacks_may_come_and_go_unseen() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(Scope(provider="ns/of another profile"))), 0.0)
    cooldowns.adopt(push(), 1.0)
    assert cooldowns.is_idle


# -------------------------------------------------------------------------- another leader
def acknowledged(cooldowns: Cooldowns) -> None:
    """Trip `KEY` for 60 s at 0 and hear of it in a document."""
    cooldowns.settle(admitted(cooldowns, 0.0), failed(hint_s=60.0), (KEY,), 0.0)
    told = entry(until_s=60.0)
    mine = structs.replace(told, evidence=Evidence(sidecar=ME))
    cooldowns.adopt(push(mine), 1.0)
    assert cooldowns.standing_reports(1.0) == ()


def test_another_leader_is_told_again_what_the_one_before_knew() -> None:
    cooldowns = machine(attached=True)
    acknowledged(cooldowns)
    cooldowns.led_anew(10.0)
    (told,) = cooldowns.standing_reports(10.0)
    assert isinstance(told, Tripped)
    assert (told.scope, told.remaining_s) == (KEY, pytest.approx(51.0))
    cooldowns.adopt(push(sent_s=10.0), 10.0)
    assert refused(cooldowns, 10.0).until == pytest.approx(61.0), "its first document knows of nothing"
    cooldowns.adopt(push(entry(until_s=62.0), sent_s=11.0), 11.0)
    assert cooldowns.standing_reports(11.0) == ()
    cooldowns.adopt(push(sent_s=12.0), 12.0)
    assert cooldowns.is_idle


def test_what_others_found_and_a_new_leader_does_not_know_stays_and_is_told() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=60.0)), 0.0)
    cooldowns.led_anew(1.0)

    (told,) = cooldowns.adopt(push(sent_s=2.0, epoch=2), 2.0)

    assert isinstance(told, Tripped)
    assert (told.scope, told.remaining_s, told.evidence.sidecar) == (KEY, 58.0, "another")
    assert told.until_utc == entry(until_s=60.0).until_utc, "the very instant that the last leader gave"
    assert refused(cooldowns, 2.0).until == 60.0
    (again,) = cooldowns.standing_reports(3.0)
    assert isinstance(again, Tripped)
    assert (again.scope, again.remaining_s) == (KEY, 57.0)
    assert cooldowns.adopt(push(sent_s=4.0, epoch=2), 4.0) == (), "it is told once on a link"
    assert cooldowns.adopt(push(entry(until_s=60.0), sent_s=5.0, epoch=2), 5.0) == ()
    assert cooldowns.standing_reports(5.0) == ()
    assert cooldowns.adopt(push(sent_s=6.0, epoch=2), 6.0) == ()
    assert cooldowns.is_idle, "this leader has ended it"


def test_a_new_leader_that_knows_of_a_recovery_ends_what_the_one_before_told() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=60.0)), 0.0)
    document = recovered(5.0, sent_s=10.0)
    assert cooldowns.adopt(structs.replace(document, position=Position(2, 1)), 10.0) == ()
    assert cooldowns.is_idle


@pytest.mark.parametrize("phase", [HALF_OPEN, RAMP])
def test_what_has_cooled_ends_when_a_new_leader_does_not_know_it(phase: CooldownPhase) -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=60.0, phase=phase)), 0.0)
    assert cooldowns.adopt(push(sent_s=2.0, epoch=2), 2.0) == ()
    assert cooldowns.is_idle


def test_a_finding_told_at_the_beginning_is_not_told_twice() -> None:
    cooldowns = machine(attached=True)
    acknowledged(cooldowns)
    cooldowns.led_anew(10.0)
    (told,) = cooldowns.standing_reports(10.0)
    assert isinstance(told, Tripped)
    assert told.until_utc == entry(until_s=60.0).until_utc
    assert cooldowns.adopt(push(sent_s=10.0, epoch=2), 10.0) == ()
    assert refused(cooldowns, 10.0).until == pytest.approx(61.0)


def test_what_others_found_or_what_is_over_is_not_told_again() -> None:
    cooldowns = machine(attached=True)
    cooldowns.adopt(push(entry(until_s=60.0)), 0.0)
    cooldowns.led_anew(1.0)
    assert cooldowns.standing_reports(1.0) == ()
    cooldowns.adopt(push(sent_s=2.0), 2.0)
    assert cooldowns.is_idle

    acknowledged(cooldowns)
    cooldowns.led_anew(61.5)
    assert cooldowns.standing_reports(61.5) == ()


class TestLinks:
    """What a link's end, or another reader, means for half-open scopes: the permit ends with its link."""

    def half_open(self, *, permitted: str = ME, until_s: float = 5.0) -> Cooldowns:
        cooldowns = machine(attached=True)
        cooldowns.adopt(push(entry(phase=HALF_OPEN, until_s=until_s, trial=permitted)), 0.0)
        return cooldowns

    def test_the_permit_lapses_at_its_end(self) -> None:
        cooldowns = self.half_open()
        assert refused(cooldowns, 5.0).phase is HALF_OPEN
        assert admitted(cooldowns, 5.0 + GRACE_S).reports == ()

    def test_the_permit_lapses_after_a_minute_however_long_it_is(self) -> None:
        cooldowns = self.half_open(until_s=100.0)
        assert refused(cooldowns, 60.0).phase is HALF_OPEN

    def test_the_permit_ends_with_the_link_and_nobody_acts_alone_at_once(self) -> None:
        cooldowns = self.half_open()
        cooldowns.attach(attached=False, now=1.0)
        assert refused(cooldowns, 10.9).phase is HALF_OPEN
        assert admitted(cooldowns, 11.0).reports == ()

    def test_a_trial_under_way_is_told_to_the_next_reader_and_no_other_begins(self) -> None:
        cooldowns = self.half_open()
        permit = admitted(cooldowns, 1.0)
        cooldowns.attach(attached=False, now=2.0)
        cooldowns.attach(attached=True, now=4.0)
        assert cooldowns.trying(4.5) == (Trying(scope=KEY, level=0, age_s=3.5),)
        cooldowns.settle(permit, CANCELLED, (), 4.6)
        assert cooldowns.trying(4.7) == ()
        assert refused(cooldowns, 4.7).phase is HALF_OPEN

    def test_the_same_document_again_gives_the_permit_back(self) -> None:
        cooldowns = self.half_open()
        cooldowns.attach(attached=False, now=1.0)
        cooldowns.attach(attached=True, now=2.0)
        cooldowns.adopt(push(entry(phase=HALF_OPEN, until_s=5.0, trial=ME), sent_s=2.0), 2.0)
        assert len(admitted(cooldowns, 2.0).reports) == 1

    def test_who_tries_alone_asks_the_fleet_again_when_somebody_listens(self) -> None:
        cooldowns = self.half_open(permitted="sidecar-2")
        cooldowns.attach(attached=False, now=1.0)
        assert admitted(cooldowns, 12.0).trials
        cooldowns.attach(attached=True, now=13.0)
        assert [one.age_s for one in cooldowns.trying(13.0)] == [1.0]
        assert refused(cooldowns, 13.0).phase is HALF_OPEN

    def test_who_tries_alone_goes_on_when_the_fleet_does_not_know_of_it(self) -> None:
        cooldowns = machine()
        trip(cooldowns, 0.0)
        assert phases(cooldowns, 10.0) == {KEY: HALF_OPEN}
        cooldowns.attach(attached=True, now=11.0)
        assert refused(cooldowns, 11.0).phase is HALF_OPEN
        cooldowns.adopt(push(sent_s=11.0), 11.0)
        assert admitted(cooldowns, 11.0).trials

    def test_a_leader_whose_clock_is_behind_does_not_let_a_second_trial_begin(self) -> None:
        cooldowns = self.half_open()
        permit = admitted(cooldowns, 1.0)
        cooldowns.adopt(push(entry(until_s=3.0), sent_s=1.5, epoch=2), 1.5)
        assert [one.age_s for one in cooldowns.trying(1.5)] == [0.5]
        again = entry(phase=HALF_OPEN, until_s=9.0, trial=ME)
        cooldowns.adopt(push(again, sent_s=3.0, epoch=2), 3.0)
        assert refused(cooldowns, 3.0).phase is HALF_OPEN
        assert len(cooldowns.settle(permit, SUCCESS, (), 4.0)) == 1

    def test_a_trial_that_passes_while_the_scope_cools_proves_nothing(self) -> None:
        cooldowns = self.half_open()
        permit = admitted(cooldowns, 1.0)
        cooldowns.adopt(push(entry(until_s=9.0), sent_s=1.5, epoch=2), 1.5)
        assert cooldowns.settle(permit, SUCCESS, (), 2.0) == ()
        assert phases(cooldowns, 2.0) == {KEY: COOLING}

    def test_what_a_broken_links_document_gave_is_not_taken_up_later(self) -> None:
        """A finding that nobody acknowledges has ended: it does what the last document says, but try."""
        cooldowns = self.half_open(until_s=100.0)
        cooldowns.settle(admitted(cooldowns, 1.0), failed(hint_s=3.0), (KEY,), 1.5)
        cooldowns.attach(attached=False, now=2.0)
        cooldowns.attach(attached=True, now=3.0)
        assert refused(cooldowns, 31.5).phase is HALF_OPEN

    def test_a_link_that_brings_nothing_gives_no_more_patience(self) -> None:
        cooldowns = self.half_open(permitted="sidecar-2")
        for now in (1.0, 5.0, 9.0):
            cooldowns.attach(attached=False, now=now)
            cooldowns.attach(attached=True, now=now)
            cooldowns.attach(attached=False, now=now)
        assert admitted(cooldowns, 11.0).trials
