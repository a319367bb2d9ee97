"""What sidecars told becomes views: counts, who lags and why, summed traffic."""

import pytest

from cliproxy_api.conditions import Reason
from cliproxy_api.report import ProviderTraffic, Reused, Traffic
from cliproxy_api.snapshot import Position, Running
from cliproxy_operator.collect import AWAITED_S, TRAFFIC_KEPT_S, Collector
from cliproxy_operator.view import SidecarId
from support.manualclock import ManualClock

ONE, TWO = SidecarId("shop", "app-1"), SidecarId("shop", "app-2")
GROUP = ("shop", "")
CLAUDE = "shop/claude"


class Wanted(dict[tuple[str, str], str]):
    """What groups should run."""

    def __call__(self, namespace: str, profile: str) -> str | None:
        return self.get((namespace, profile))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def wanted() -> Wanted:
    return Wanted({GROUP: "d1"})


@pytest.fixture
def collector(clock: ManualClock, wanted: Wanted) -> Collector:
    made = Collector(clock=clock, wanted=wanted)
    made.seen(ONE, profile="", ready=True)
    made.seen(TWO, profile="", ready=False)
    return made


def reasons(collector: Collector) -> list[str]:
    return [lag.reason for lag in collector.view([GROUP]).lagging]


def test_counts(collector: Collector) -> None:
    collector.linked(ONE, Running(digest="d1"))
    collector.linked(TWO, Running(digest="d1"))

    view = collector.view([GROUP])
    assert (view.total, view.ready, view.synced, view.ready_synced) == (2, 1, 2, 1)
    assert view.lagging == ()
    assert collector.view([("shed", "")]).total == 0


def test_a_new_leader_waits_for_those_it_knows(collector: Collector, clock: ManualClock) -> None:
    assert collector.awaited_s([GROUP]) == 0
    collector.begin()
    clock.advance(4)
    assert collector.awaited_s([("shed", ""), GROUP]) == AWAITED_S - 4
    collector.seen(SidecarId("shop", "app-3"), profile="", ready=False)
    collector.linked(ONE, Running(digest="d1"))
    collector.lost(ONE, "closed")
    assert collector.awaited_s([GROUP]) > 0
    collector.linked(TWO, Running(digest="d0"))
    assert collector.awaited_s([GROUP]) == 0  # one that is new is not waited for


@pytest.mark.parametrize("gone", [True, False])
def test_it_does_not_wait_for_what_is_gone_nor_for_long(
    collector: Collector, clock: ManualClock, *, gone: bool
) -> None:
    collector.begin()
    collector.linked(ONE, Running(digest="d1"))
    assert collector.awaited_s([GROUP]) > 0
    if gone:
        collector.forget(TWO)
    else:
        clock.advance(AWAITED_S)
    assert collector.awaited_s([GROUP]) == 0


def test_why_a_sidecar_lags(collector: Collector, wanted: Wanted) -> None:
    assert reasons(collector) == [Reason.NOT_CONNECTED, Reason.NOT_CONNECTED]
    collector.linked(ONE, Running(digest="d0"))
    collector.linked(TWO, Running(digest="d0"))
    collector.refuses(TWO, "d1", "cannot run this")
    assert sorted(reasons(collector)) == [Reason.PENDING, Reason.SNAPSHOT_REFUSED]

    wanted.clear()
    collector.republished("shop")
    assert reasons(collector) == [Reason.PROFILE_NOT_FOUND, Reason.PROFILE_NOT_FOUND]


def test_a_refusal_is_about_one_snapshot_only(collector: Collector, wanted: Wanted) -> None:
    collector.linked(ONE, Running(digest="d0"))
    collector.refuses(ONE, "d1", "cannot run this")
    wanted[GROUP] = "d2"
    collector.republished("shop")

    assert Reason.SNAPSHOT_REFUSED not in reasons(collector)


def test_lagging_counts_from_the_change_on(collector: Collector, clock: ManualClock, wanted: Wanted) -> None:
    collector.linked(ONE, Running(digest="d1"))
    clock.advance(100)
    wanted[GROUP] = "d2"
    collector.republished("shop")

    since = {lag.sidecar: lag.since_utc for lag in collector.view([GROUP]).lagging}
    assert since[ONE] == clock.utc()
    assert since[TWO] < clock.utc()


def test_at_most_ten_laggards_are_named(collector: Collector) -> None:
    for number in range(20):
        collector.seen(SidecarId("shop", f"extra-{number}"), profile="", ready=True)

    view = collector.view([GROUP])
    assert view.total == 22
    assert len(view.lagging) == 10


def test_in_sync_looks_at_linked_sidecars(collector: Collector) -> None:
    collector.linked(ONE, Running(digest="d1"))
    assert collector.in_sync(GROUP)
    collector.linked(TWO, Running(digest="d0"))
    assert not collector.in_sync(GROUP)
    assert collector.runs(TWO, Running(digest="d1"))
    assert not collector.runs(TWO, Running(digest="d1"))
    assert collector.in_sync(GROUP)


def test_traffic_is_summed_and_forgotten_with_its_sidecar(collector: Collector) -> None:
    for sidecar, count in ((ONE, 3), (TWO, 4)):
        figures = ProviderTraffic(
            requests=count, errors=1, latency_buckets={50: count}, remaining_requests=count * 10
        )
        collector.heard_traffic(sidecar, Traffic(providers={CLAUDE: figures}))

    total = collector.traffic(CLAUDE)
    assert total is not None
    assert (total.requests, total.errors, total.latency_buckets) == (7, 2, {50: 7})
    assert total.remaining_requests == 30
    assert total.remaining_tokens is None
    collector.forget(ONE)
    total = collector.traffic(CLAUDE)
    assert total is not None
    assert total.requests == 4
    collector.heard_traffic(TWO, Traffic(providers={}))
    assert collector.traffic(CLAUDE) is None


def test_traffic_outlives_a_link_for_a_while(collector: Collector, clock: ManualClock) -> None:
    collector.linked(ONE, Running())
    collector.heard_traffic(ONE, Traffic(providers={CLAUDE: ProviderTraffic(requests=1)}))
    collector.lost(ONE, "closed")
    clock.advance(TRAFFIC_KEPT_S - 1)
    assert collector.expire() == frozenset()
    clock.advance(2)

    assert collector.expire() == {CLAUDE}
    assert collector.traffic(CLAUDE) is None


def test_reported_needs_a_link(collector: Collector) -> None:
    assert not collector.reported([GROUP])
    collector.linked(ONE, Running())
    assert collector.reported([GROUP])
    assert not collector.reported([("shed", "")])
    collector.lost(ONE, "closed")
    assert not collector.reported([GROUP])


def test_strangers_are_ignored(collector: Collector) -> None:
    stranger = SidecarId("shop", "nobody")
    collector.linked(stranger, Running())
    collector.lost(stranger, "closed")
    collector.refuses(stranger, "d", "no")
    collector.heard_traffic(stranger, Traffic(providers={CLAUDE: ProviderTraffic()}))

    assert not collector.runs(stranger, Running())
    assert collector.traffic(CLAUDE) is None
    assert len(collector.all()) == 2


def test_a_pod_may_change_its_profile(collector: Collector, wanted: Wanted) -> None:
    wanted["shop", "fast"] = "d9"
    collector.seen(ONE, profile="fast", ready=True)

    assert collector.view([GROUP]).total == 1
    assert collector.view([("shop", "fast")]).total == 1
    assert collector.group(ONE) == ("shop", "fast")


def test_an_older_snapshot_counts_for_the_providers_that_it_runs_as_wanted(
    clock: ManualClock, wanted: Wanted
) -> None:
    behind = {"d1": frozenset[str](), "d0": frozenset({CLAUDE})}
    collector = Collector(clock=clock, wanted=wanted, behind=lambda _group, digest: behind.get(digest))
    for sidecar, digest in ((ONE, "d1"), (TWO, "d0")):
        collector.seen(sidecar, profile="", ready=True)
        collector.linked(sidecar, Running(digest=digest))

    assert collector.view([GROUP]).synced == 1
    assert collector.view([GROUP], CLAUDE).synced == 1
    assert collector.view([GROUP], CLAUDE).lagging[0].sidecar == TWO
    other = collector.view([GROUP], "shop/other")
    assert (other.synced, other.ready_synced, other.lagging) == (2, 2, ())
    collector.runs(TWO, Running(digest="of another leader"))
    assert collector.view([GROUP], "shop/other").synced == 1


def test_what_changes_no_count_is_no_news(collector: Collector) -> None:
    assert not collector.seen(ONE, profile="", ready=True)
    assert collector.seen(ONE, profile="", ready=False)
    assert collector.view([GROUP]).ready == 0


def test_a_group_without_members_is_forgotten(collector: Collector) -> None:
    collector.linked(ONE, Running(digest="d1"))
    collector.forget(ONE)
    collector.forget(TWO)
    assert not collector.in_sync(GROUP)
    assert not collector.reported([GROUP])
    assert collector.view([GROUP]).total == 0


def test_the_hit_ratio_is_all_sidecars_together(collector: Collector, clock: ManualClock) -> None:
    assert collector.hit_ratio([GROUP]) is None
    for sidecar in (ONE, TWO):
        collector.heard_traffic(sidecar, Traffic(providers={}, reused=Reused()))
    clock.advance(10)
    collector.heard_traffic(ONE, Traffic(providers={}, reused=Reused(hits=1, redis_hits=2, misses=1)))
    collector.heard_traffic(TWO, Traffic(providers={}, reused=Reused(misses=8)))
    assert collector.hit_ratio([GROUP]) == pytest.approx(3 / 12)
    assert collector.hit_ratio([("other", "")]) is None
    clock.advance(61)
    assert collector.hit_ratio([GROUP]) is None


def test_silence_begins_when_the_last_link_is_lost(collector: Collector, clock: ManualClock) -> None:
    assert collector.silent_s([GROUP]) is None, "nobody was ever linked"
    collector.linked(ONE, Running(digest="d1"))
    collector.linked(TWO, Running(digest="d1"))
    clock.advance(10)
    collector.lost(ONE, "closed")
    clock.advance(10)
    assert collector.silent_s([GROUP]) is None
    collector.lost(TWO, "closed")
    clock.advance(7)
    assert collector.silent_s([GROUP]) == 7
    collector.linked(ONE, Running(digest="d1"))
    assert collector.silent_s([GROUP]) is None
    assert collector.silent_s([("shed", "")]) is None


def test_silence_begins_anew_with_each_leadership(collector: Collector, clock: ManualClock) -> None:
    collector.begin()
    collector.linked(ONE, Running(digest="d1"))
    collector.lost(ONE, "closed: the link is no longer wanted")
    clock.advance(3 * 3600)
    collector.begin()
    clock.advance(AWAITED_S)
    assert collector.silent_s([GROUP]) is None, "this leader has heard none"
    (lagging, _) = collector.view([GROUP]).lagging
    assert lagging.message == "not connected yet", "what it ran hours ago says nothing of now"

    collector.linked(ONE, Running(digest="d1"))
    collector.lost(ONE, "closed")
    clock.advance(5)
    assert collector.silent_s([GROUP]) == 5


def test_a_beginning_leaves_those_that_are_linked(collector: Collector, clock: ManualClock) -> None:
    collector.linked(ONE, Running(digest="d1"))
    clock.advance(1)
    collector.begin()
    assert collector.in_sync(GROUP)


def test_what_still_runs_is_no_news_and_keeps_the_counts(collector: Collector, wanted: Wanted) -> None:
    collector.linked(ONE, Running(digest="d1"))
    before = collector.view([GROUP])
    later = Running(digest="d1", state=Position(1, 7))
    assert collector.still_runs(ONE, later)
    assert collector.all()[0].running == later
    assert collector.view([GROUP]) == before

    assert not collector.still_runs(ONE, Running(digest="d0"))
    assert not collector.still_runs(TWO, Running(digest="d1")), "it is not known to run it yet"
    wanted[GROUP] = "d2"
    assert not collector.still_runs(ONE, later)
    assert collector.runs(ONE, later)
    assert not collector.still_runs(SidecarId("shop", "gone"), later)
