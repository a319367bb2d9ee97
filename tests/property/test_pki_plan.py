"""However authorities are rotated, and however late: every end can check every certificate it meets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_operator.pki_plan import (
    Authorities,
    Leaf,
    Life,
    Timing,
    former_until,
    plan_authorities,
    plan_leaf,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TIMING = Timing(authority_life=90 * DAY, leaf_life=7 * DAY)
KUBELET = timedelta(minutes=10)
"""A pod sees a changed Secret at the latest after this."""


@dataclass
class World:
    """An operator, one sidecar that sees its Secret late, and the plan between them."""

    now: datetime = START
    ids: dict[str, Life] = field(default_factory=dict)
    signing: str = ""
    next: str = ""
    former: str = ""
    until: datetime | None = None
    secret: Leaf | None = None
    own: Leaf | None = None
    mounted: list[tuple[datetime, Leaf]] = field(default_factory=list)
    writes: int = 0

    def new(self) -> str:
        name = f"ca{len(self.ids)}"
        self.ids[name] = Life(self.now, self.now + TIMING.authority_life)
        return name

    def trusted(self) -> frozenset[str]:
        return frozenset(filter(None, (self.signing, self.next, self.former)))

    def operate(self) -> None:
        """What the operator does in one go; steps follow each other until nothing is due."""
        for _ in range(5):
            held = Authorities(
                signing=self.ids.get(self.signing),
                next=self.ids.get(self.next),
                former=self.ids.get(self.former),
                former_until=self.until,
            )
            step = plan_authorities(held, TIMING, self.now)
            if not step.changes:
                assert step.look_again > self.now
                break
            self.writes += 1
            if step.drop_former:
                self.former, self.until = "", None
            if step.found:
                self.signing, self.next = self.new(), ""
            if step.announce:
                self.next = self.new()
            if step.promote:
                self.former, self.signing, self.next = self.signing, self.next, ""
                self.until = former_until(TIMING, self.now)
        else:
            raise AssertionError("the plan does not come to rest")
        self.own = self.leaf(self.own, "operator")
        before, self.secret = self.secret, self.leaf(self.secret, "sidecar")
        if self.secret != before:
            assert self.secret is not None
            self.mounted.append((self.now, self.secret))

    def leaf(self, leaf: Leaf | None, name: str) -> Leaf:
        step = plan_leaf(leaf, name=name, signing=self.signing, trusted=self.trusted(), now=self.now)
        life = leaf.life if leaf is not None else None
        if step.issue or life is None:
            life = Life(self.now, min(self.now + TIMING.leaf_life, self.ids[self.signing].ends))
        issuer = self.signing if step.issue or leaf is None else leaf.issuer
        made = Leaf(life=life, issuer=issuer, names=frozenset({name}), trusts=self.trusted())
        again = plan_leaf(made, name=name, signing=self.signing, trusted=self.trusted(), now=self.now)
        assert (again.issue, again.bundle) == (False, False), "what was just made is already due"
        return made

    def seen_by_pod(self, *, late: bool) -> Leaf:
        """Return the files that the pod has: the newest, or the newest older than kubelet's delay."""
        limit = self.now - KUBELET if late else self.now
        old = [leaf for at, leaf in self.mounted if at <= limit]
        return old[-1] if old else self.mounted[0][1]

    def check(self) -> None:
        assert self.own is not None
        for late in (False, True):
            pod = self.seen_by_pod(late=late)
            assert self.own.issuer in pod.trusts, "the sidecar cannot check the operator"
            assert pod.issuer in self.own.trusts, "the operator cannot check the sidecar"
            assert pod.life.ends > self.now
            assert self.ids[pod.issuer].ends > self.now
        assert len(self.trusted()) <= 3


@given(st.lists(st.floats(min_value=0.01, max_value=2.0), min_size=20, max_size=300))
def test_both_ends_can_always_check_each_other(pauses_days: list[float]) -> None:
    """The operator looks at the latest after two days; a third of a leaf's life is 2.3."""
    world = World()
    for pause in pauses_days:
        world.operate()
        world.check()
        world.now += pause * DAY
        world.check()


@given(st.lists(st.floats(min_value=0.01, max_value=200.0), min_size=3, max_size=30))
def test_an_operator_that_was_away_for_long_finds_its_way_back(pauses_days: list[float]) -> None:
    world = World()
    for pause in pauses_days:
        world.operate()
        world.now += pause * DAY
    world.operate()
    world.now += KUBELET
    world.check()


def test_writes_are_few() -> None:
    world = World()
    for _ in range(365 * 24):
        world.operate()
        world.now += timedelta(hours=1)
    # 365 days: a new authority every 60 days in three steps; a leaf every 4.67 days and at each step.
    assert world.writes <= 3 * 7
    assert len(world.mounted) <= 365 / 4.6 + 3 * 7
