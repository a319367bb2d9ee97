"""What is due for authorities and leaves, instant by instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cliproxy_operator.pki_plan import (
    Authorities,
    Leaf,
    Life,
    Timing,
    plan_authorities,
    plan_leaf,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TIMING = Timing(authority_life=360 * DAY, leaf_life=7 * DAY)
YEAR = Life(NOON, NOON + 360 * DAY)
WEEK = Life(NOON, NOON + 7 * DAY)
LEAF = Leaf(life=WEEK, issuer="ca", names=frozenset({"me"}), trusts=frozenset({"ca"}))


def test_without_an_authority_one_is_found() -> None:
    step = plan_authorities(Authorities(), TIMING, NOON)
    assert (step.found, step.announce, step.promote) == (True, False, False)


def test_a_young_authority_is_left_alone_until_two_thirds() -> None:
    step = plan_authorities(Authorities(signing=YEAR), TIMING, NOON + 239 * DAY)
    assert not step.changes
    assert step.look_again == NOON + 240 * DAY
    assert plan_authorities(Authorities(signing=YEAR), TIMING, NOON + 240 * DAY).announce


def test_the_next_one_signs_when_it_has_been_trusted_for_a_day() -> None:
    next_ = Life(NOON + 240 * DAY, NOON + 600 * DAY)
    held = Authorities(signing=YEAR, next=next_)
    early = plan_authorities(held, TIMING, next_.made + DAY - timedelta(seconds=1))
    assert not early.changes
    assert early.look_again == next_.made + DAY
    assert plan_authorities(held, TIMING, next_.made + DAY).promote


def test_the_spread_is_cut_short_when_the_signing_one_is_about_to_end() -> None:
    late = NOON + 359 * DAY
    held = Authorities(signing=YEAR, next=Life(late, late + 360 * DAY))
    assert plan_authorities(held, TIMING, late).promote


@pytest.mark.parametrize("now", [NOON + 360 * DAY, NOON + 900 * DAY])
def test_an_authority_that_has_ended_is_replaced_at_once(now: datetime) -> None:
    assert plan_authorities(Authorities(signing=YEAR), TIMING, now).found
    next_ = Life(now - DAY / 2, now + 360 * DAY)
    assert plan_authorities(Authorities(signing=YEAR, next=next_), TIMING, now).promote


def test_the_former_one_is_trusted_until_its_leaves_have_ended() -> None:
    held = Authorities(signing=YEAR, former=YEAR, former_until=NOON + 7 * DAY)
    step = plan_authorities(held, TIMING, NOON + 6 * DAY)
    assert not step.changes
    assert step.look_again == NOON + 7 * DAY
    assert plan_authorities(held, TIMING, NOON + 7 * DAY).drop_former
    assert plan_authorities(replace(held, former_until=None), TIMING, NOON).drop_former


@pytest.mark.parametrize(
    ("leaf", "why"),
    [
        (None, "none that can be used"),
        (replace(LEAF, names=frozenset({"me", "you"})), "another name"),
        (replace(LEAF, issuer="other"), "another authority"),
        (replace(LEAF, life=Life(NOON - 8 * DAY, NOON - DAY)), "expired"),
        (replace(LEAF, life=Life(NOON + 2 * DAY, NOON + 9 * DAY)), "not valid yet"),
        (replace(LEAF, life=Life(NOON - 5 * DAY, NOON + 2 * DAY)), "two thirds"),
    ],
)
def test_a_leaf_is_issued_anew(leaf: Leaf | None, why: str) -> None:
    step = plan_leaf(leaf, name="me", signing="ca", trusted=["ca"], now=NOON)
    assert step.issue
    assert why in step.why


def test_a_good_leaf_is_kept_and_looked_at_when_it_is_due() -> None:
    step = plan_leaf(LEAF, name="me", signing="ca", trusted=["ca"], now=NOON + DAY)
    assert (step.issue, step.bundle) == (False, False)
    assert step.look_again == WEEK.renew


def test_a_new_authority_is_brought_to_a_leaf_that_stays() -> None:
    step = plan_leaf(LEAF, name="me", signing="ca", trusted=["ca", "next"], now=NOON)
    assert (step.issue, step.bundle) == (False, True)
