"""Parts of shared limits: who is told what, by hand-made reports."""

from cliproxy_api.report import Taken
from cliproxy_api.state import WHOLE
from cliproxy_operator.money.division import floor_of, level, roomy
from cliproxy_operator.money.shares import DRAIN_S, SILENT_S, UNHEARD_S, Shares
from cliproxy_operator.money.totals import Group
from cliproxy_operator.view import SidecarId

OWNER = ("provider", "team-a/gpt")
GROUP = Group("gateway", frozenset({"team-a/gpt"}), frozenset({"web"}))
ONE, TWO = SidecarId("team-a", "one"), SidecarId("team-a", "two")


class Desk:
    """Shares of one limit, after the time in which a leader waits."""

    def __init__(self, *, age_s: float = UNHEARD_S, sidecars: int = 2) -> None:
        self.shares = Shares(1000.0)
        self.shares.configure([OWNER])
        self.now, self.sidecars = 1000.0 + age_s, sidecars
        for sidecar in (ONE, TWO):
            self.shares.greet(sidecar, keeps_parts=True)

    def hear(self, sidecar: SidecarId, used: float = 0, part: float = 0, *, pressed: bool = False) -> None:
        taken = Taken(used=int(used * WHOLE), part=int(part * WHOLE), pressed=pressed)
        self.shares.hear(sidecar, GROUP, {OWNER: taken}, self.now)

    def told(self, sidecar: SidecarId, *, after_s: float = 1.0) -> float | None:
        self.now += after_s
        self.shares.divide(lambda _: self.sidecars, self.now)
        part = (self.shares.parts(sidecar) or {}).get(OWNER)
        return None if part is None else round(part / WHOLE, 2)


def test_what_one_gives_up_is_given_on_when_it_says_so_and_its_minute_has_drained() -> None:
    desk = Desk()
    desk.hear(ONE, used=0.9, part=0.95, pressed=True)
    assert desk.told(ONE) == 0.95
    desk.hear(TWO, used=0.05, part=0.05, pressed=True)
    assert desk.told(ONE) < 0.95
    assert desk.told(TWO) == 0.05  # the rest is still in the other's hands
    desk.hear(ONE, used=0.9, part=0.76, pressed=True)
    assert desk.told(TWO) <= 0.1
    desk.hear(ONE, used=0.5, part=0.5, pressed=True)
    for _ in range(20):
        desk.hear(TWO, used=0.05, part=0.05, pressed=True)
        second = desk.told(TWO)
    assert second == 0.5
    assert desk.told(ONE) == 0.5


def test_a_sidecar_that_is_not_heard_is_told_nothing() -> None:
    desk = Desk()
    assert desk.shares.parts(ONE) is None
    desk.told(ONE)
    assert desk.shares.parts(ONE) is None
    desk.hear(ONE, part=1)
    assert desk.told(ONE) is None
    assert desk.shares.parts(ONE) == {}


def test_a_new_leader_gives_nothing_more_before_it_has_heard_all() -> None:
    desk = Desk(age_s=1.0)
    desk.hear(ONE, used=0.2, part=0.3, pressed=True)
    assert desk.told(ONE) == 0.3
    desk.hear(TWO)
    desk.hear(ONE, used=0.3, part=0.3, pressed=True)
    assert desk.told(ONE) == 0.95


def test_alone_there_is_neither_a_part_nor_a_floor() -> None:
    desk = Desk(sidecars=1)
    desk.hear(ONE, used=0.9, part=1)
    assert desk.told(ONE) is None
    assert desk.shares.floors == {}
    desk.sidecars = 2
    assert desk.told(ONE, after_s=6) == 0.95
    assert desk.shares.floors == {OWNER: floor_of(2)}


def test_what_a_pod_took_counts_for_a_minute_after_its_end() -> None:
    desk = Desk()
    desk.hear(ONE, used=0.9, part=0.95)
    desk.hear(TWO, used=0.05, part=0.05, pressed=True)
    desk.told(ONE)
    desk.shares.gone(ONE, desk.now)
    assert desk.shares.parts(ONE) is None
    desk.hear(TWO, used=0.05, part=0.05, pressed=True)
    assert desk.told(TWO) <= 0.1
    desk.hear(TWO, used=0.05, part=0.05, pressed=True)
    assert desk.told(TWO, after_s=DRAIN_S) > 0.1


def test_who_is_silent_for_long_goes_back_to_the_floor() -> None:
    desk = Desk()
    desk.hear(ONE, used=0.5, part=0.5)
    assert desk.told(ONE) is not None
    desk.hear(ONE, used=0, part=0.5)
    assert desk.told(ONE) is not None
    assert desk.told(ONE, after_s=SILENT_S) is None
    desk.shares.hear(ONE, GROUP, {}, desk.now)
    assert desk.shares.parts(ONE) == {}


def test_one_sidecar_of_an_older_version_has_all_keep_equal_parts() -> None:
    desk = Desk()
    desk.hear(ONE, used=0.5, part=0.5)
    assert desk.told(ONE) is not None
    desk.shares.greet(TWO, keeps_parts=False)
    assert not desk.shares.by_demand
    assert desk.told(ONE) is None
    desk.shares.gone(TWO, desk.now)
    assert desk.shares.by_demand


def test_limits_that_are_gone_are_forgotten_and_others_limits_are_not_heard() -> None:
    desk = Desk()
    other = ("provider", "team-b/x")
    lies = {other: Taken(used=5, part=WHOLE), OWNER: Taken(used=9**9, part=-4)}
    desk.shares.hear(ONE, GROUP, lies, desk.now)
    assert desk.told(ONE) == 0.95  # whatever it claims, it is at most all of it
    desk.shares.configure([])
    assert desk.shares.parts(ONE) == {}
    assert desk.shares.floors == {}
    desk.shares.hear(ONE, GROUP, {}, desk.now)


def test_a_level_gives_each_its_due_and_the_rest_equally() -> None:
    assert level([10, 100, 100], 100) == [10, 45, 45]
    assert level([10, 20], 100) == [45, 55]
    assert level([], 100) == []
    assert level([5, 5], -3) == [0, 0]


def test_a_fleet_is_counted_in_steps_and_its_floors_are_a_tenth_at_most() -> None:
    assert [roomy(count) for count in (1, 2, 3, 5, 6, 500)] == [1, 2, 3, 5, 6, 571]
    for count in range(2, 600):
        assert count <= roomy(count) <= 1.25 * count + 1
        assert 0 < floor_of(count) * roomy(count) <= WHOLE // 10
