"""Who leads: decisions of the elector, with clocks that never agree."""

from dataclasses import replace

import pytest

from cliproxy_operator.election import (
    Acquire,
    Demote,
    Leading,
    Observed,
    Record,
    Renew,
    Timing,
    Wait,
    acquired,
    decide,
    heard_epoch,
    leads,
    observe,
    released,
)

TIMING = Timing(lease_s=6.0, renew_s=4.0, retry_s=1.0)
THEIRS = Record(holder="other", transitions=3, lease_s=6.0, version="10")


def step(observed: Observed, leading: Leading | None, now: float) -> Acquire | Renew | Wait | Demote:
    return decide(observed, leading, me="me", timing=TIMING, now=now)


def test_a_leader_renews_half_as_often_as_others_look_and_three_times_in_its_term() -> None:
    assert Timing().renewal_s == 1.0
    assert Timing(lease_s=3.0, renew_s=1.5, retry_s=1.0).renewal_s == 0.5


class TestWaiting:
    def test_no_lease_is_created(self) -> None:
        assert step(observe(None, None, 5.0), None, 5.0) == Acquire(transitions=1, create=True)

    def test_another_holder_is_waited_for_but_looked_at_often(self) -> None:
        observed = observe(None, THEIRS, 100.0)
        assert step(observed, None, 100.0) == Wait(until=101.0)
        assert step(observed, None, 105.5) == Wait(until=106.0)

    def test_a_holder_that_renews_is_never_replaced(self) -> None:
        observed = observe(None, THEIRS, 100.0)
        for number in range(20):
            now = 100.0 + 5 * number
            observed = observe(observed, replace(THEIRS, version=str(number)), now)
            assert isinstance(step(observed, None, now), Wait)

    def test_an_unchanged_record_expires_by_our_own_clock(self) -> None:
        observed = observe(None, THEIRS, 100.0)
        observed = observe(observed, replace(THEIRS), 105.0)
        assert step(observed, None, 106.0) == Acquire(transitions=4, create=False)

    def test_the_holders_own_promise_counts(self) -> None:
        observed = observe(None, replace(THEIRS, lease_s=30.0), 100.0)
        assert isinstance(step(observed, None, 129.0), Wait)
        assert isinstance(step(observed, None, 130.0), Acquire)

    def test_a_record_without_a_promise_gets_ours(self) -> None:
        observed = observe(None, replace(THEIRS, lease_s=0.0), 100.0)
        assert isinstance(step(observed, None, 105.9), Wait)
        assert isinstance(step(observed, None, 106.0), Acquire)

    def test_a_released_lease_is_taken_at_once(self) -> None:
        record = released(THEIRS)
        assert record.holder == ""
        assert step(observe(None, record, 100.0), None, 100.0) == Acquire(transitions=4, create=False)

    def test_our_own_earlier_life_is_taken_over_at_once_under_a_new_epoch(self) -> None:
        record = replace(THEIRS, holder="me", transitions=7)
        assert step(observe(None, record, 100.0), None, 100.0) == Acquire(transitions=8, create=False)


class TestLeading:
    MINE = Record(holder="me", transitions=4, lease_s=6.0, version="11")
    LEADING = Leading(epoch=4, renewed_at=100.0)

    def test_it_renews_after_a_pause(self) -> None:
        observed = observe(None, self.MINE, 100.0)
        assert step(observed, self.LEADING, 100.5) == Wait(until=100.0 + TIMING.renewal_s)
        assert step(observed, self.LEADING, 100.0 + TIMING.renewal_s) == Renew(transitions=4)

    def test_acquiring_counts_from_before_the_write_was_sent(self) -> None:
        assert acquired(Acquire(transitions=4, create=False), sent_at=99.0) == Leading(4, 99.0)
        assert acquired(Renew(transitions=4), sent_at=101.0) == Leading(4, 101.0)

    @pytest.mark.parametrize(("now", "is_leading"), [(103.9, True), (104.0, False), (1e9, False)])
    def test_it_leads_only_until_its_deadline(self, *, now: float, is_leading: bool) -> None:
        assert leads(self.LEADING, TIMING, now) is is_leading
        assert isinstance(step(observe(None, self.MINE, 100.0), self.LEADING, now), Demote) is not is_leading

    def test_nobody_leads_without_having_acquired(self) -> None:
        assert not leads(None, TIMING, 0.0)

    @pytest.mark.parametrize(
        "record", [None, THEIRS, replace(THEIRS, holder=""), replace(MINE, transitions=9)]
    )
    def test_it_stops_when_the_lease_is_no_longer_its_own(self, record: Record | None) -> None:
        decision = step(observe(None, record, 100.0), self.LEADING, 100.1)
        assert isinstance(decision, Demote)
        assert decision.why

    def test_a_deleted_lease_does_not_set_the_epochs_back(self) -> None:
        observed = observe(observe(None, self.MINE, 100.0), None, 101.0)
        assert step(observed, None, 101.0) == Acquire(transitions=5, create=True)

    def test_an_epoch_that_sidecars_know_is_exceeded(self) -> None:
        observed = heard_epoch(observe(None, self.MINE, 100.0), 40)
        assert step(observed, self.LEADING, 100.1) == Acquire(transitions=41, create=False)
        assert heard_epoch(observed, 3) == observed


@pytest.mark.parametrize("skew_s", [-1e6, -3.0, 0.0, 2.5, 1e6])
def test_two_never_lead_at_once_whatever_their_clocks_say(skew_s: float) -> None:
    """The leader is cut off at 100; the other sees its last write a little later, on a clock of its own."""
    leading = Leading(epoch=4, renewed_at=100.0)
    mine = Record(holder="me", transitions=4, lease_s=6.0, version="11")
    other = observe(None, mine, 100.2 + skew_s)
    for tenth in range(200):
        now = 100.2 + tenth / 10
        still_leads = leads(leading, TIMING, now)
        taken = decide(other, None, me="other", timing=TIMING, now=now + skew_s)
        assert not (still_leads and isinstance(taken, Acquire)), now
    assert isinstance(taken, Acquire)
