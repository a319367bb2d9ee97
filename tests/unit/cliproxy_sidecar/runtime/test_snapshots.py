"""Pushes to what runs: order, wholeness, the last good one."""

from cliproxy_api import codec
from cliproxy_api.snapshot import Position, Running, SnapshotPush
from cliproxy_api.state import PartsPush, StatePush
from cliproxy_sidecar.runtime.snapshots import Snapshots, Verdict
from support import build


class Host:
    """Holds what was activated, adopted and told."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self.replaced: list[str | None] = []
        self.adopted: list[StatePush] = []
        self.told: list[Running] = []
        self.refuses = False
        self.unable: set[str] = set()
        self.kept: list[bytes] = []
        self.led: list[int] = []
        self.snapshots: Snapshots[str] = Snapshots(
            prepare=self.prepare,
            activate=self.activate,
            adopt=self.adopted.append,
            changed=self.told.append,
            taken=self.kept.append,
            led=lambda: self.led.append(self.snapshots.newest_epoch),
        )

    def prepare(self, push: SnapshotPush) -> str:
        if self.refuses or push.snapshot.digest in self.unable:
            raise ValueError("cannot run")
        return push.snapshot.digest

    def activate(self, new: str, old: str | None) -> None:
        self.active.append(new)
        self.replaced.append(old)


def push(model: str, epoch: int, sequence: int) -> bytes:
    return codec.encode(build.push(build.built(models=(model,)), position=Position(epoch, sequence)))


def test_the_first_and_every_newer_snapshot_runs() -> None:
    host = Host()
    assert host.snapshots.offer_snapshot(push("a", 1, 1)) is Verdict.TAKEN
    assert host.snapshots.offer_snapshot(push("b", 1, 2)) is Verdict.TAKEN
    assert host.snapshots.offer_snapshot(push("c", 2, 1)) is Verdict.TAKEN
    assert host.replaced == [None, *host.active[:2]]
    assert host.snapshots.current == host.active[-1] == host.snapshots.running.digest


def test_older_ones_change_nothing() -> None:
    host = Host()
    host.snapshots.offer_snapshot(push("a", 2, 5))
    for epoch, sequence in ((2, 4), (1, 99)):
        assert host.snapshots.offer_snapshot(push("b", epoch, sequence)) is Verdict.OLDER
    assert len(host.active) == 1
    assert host.snapshots.running.snapshot == Position(2, 5)
    assert host.snapshots.running.error is not None


def test_the_same_content_moves_the_position_only() -> None:
    host = Host()
    host.snapshots.offer_snapshot(push("a", 1, 1))
    assert host.snapshots.offer_snapshot(push("a", 3, 1)) is Verdict.TAKEN
    assert len(host.active) == 1
    assert host.snapshots.running.snapshot == Position(3, 1)


def test_one_that_cannot_run_leaves_the_last_good_one() -> None:
    host = Host()
    host.snapshots.offer_snapshot(push("a", 1, 1))
    host.refuses = True
    assert host.snapshots.offer_snapshot(push("b", 1, 2)) is Verdict.BROKEN
    assert host.snapshots.running.error == "snapshot: cannot run"
    assert host.snapshots.running.snapshot == Position(1, 1)
    host.refuses = False
    assert host.snapshots.offer_snapshot(push("b", 1, 2)) is Verdict.TAKEN
    assert host.snapshots.running.error is None


def test_a_leader_of_a_later_epoch_deposes_the_former_everywhere() -> None:
    host = Host()
    assert host.snapshots.lead(4)
    assert not host.snapshots.lead(3)
    assert host.snapshots.offer_snapshot(push("a", 3, 1)) is Verdict.OLDER
    state = codec.encode(build.state_push(position=Position(3, 9)))
    assert host.snapshots.offer_state(state) is Verdict.OLDER
    assert host.adopted == []


def test_states_are_adopted_in_order_and_told_in_the_answer_only() -> None:
    host = Host()
    assert (
        host.snapshots.offer_state(codec.encode(build.state_push(position=Position(1, 2)))) is Verdict.TAKEN
    )
    assert (
        host.snapshots.offer_state(codec.encode(build.state_push(position=Position(1, 1)))) is Verdict.OLDER
    )
    assert host.snapshots.offer_state(b"nonsense") is Verdict.BROKEN
    assert len(host.adopted) == 1
    assert host.snapshots.running.state == Position(1, 2)
    assert [told.error is None for told in host.told] == [False, False]


def test_the_newest_kept_one_is_booted_and_its_position_holds() -> None:
    host = Host()
    kept = [("secret", push("a", 7, 7)), ("disk", push("b", 7, 9)), ("rubbish", b"{")]
    assert host.snapshots.boot(kept) == "disk"
    assert host.snapshots.running.snapshot == Position(7, 9)
    assert host.snapshots.offer_snapshot(push("c", 6, 99)) is Verdict.OLDER
    assert not host.snapshots.lead(6)
    assert host.snapshots.offer_snapshot(push("c", 7, 10)) is Verdict.TAKEN


def test_one_that_cannot_run_gives_way_to_an_older_one() -> None:
    host = Host()
    newest = push("b", 8, 1)
    host.unable = {codec.decode_snapshot_push(newest).snapshot.digest}
    assert host.snapshots.boot([("secret", push("a", 7, 7)), ("disk", newest)]) == "secret"
    assert host.snapshots.newest_epoch == 7


def test_without_a_usable_copy_nothing_runs() -> None:
    host = Host()
    assert host.snapshots.boot([]) is None
    assert host.snapshots.boot([("disk", b"rubbish")]) is None
    assert host.snapshots.current is None
    assert host.snapshots.offer_snapshot(push("a", 1, 1)) is Verdict.TAKEN


def test_what_runs_is_handed_on_to_be_kept() -> None:
    host = Host()
    host.snapshots.offer_snapshot(push("a", 1, 1))
    host.snapshots.offer_snapshot(push("a", 1, 2))
    host.snapshots.offer_snapshot(b"rubbish")
    host.refuses = True
    host.snapshots.offer_snapshot(push("b", 1, 3))
    assert host.kept == [push("a", 1, 1)]


def test_each_newer_leader_is_told_once() -> None:
    host = Host()
    assert host.snapshots.lead(3)
    assert host.snapshots.lead(3)
    assert not host.snapshots.lead(2)
    host.snapshots.offer_snapshot(push("a", 4, 1))
    host.snapshots.offer_snapshot(push("b", 4, 2))
    assert host.led == [3, 4]


def test_parts_of_limits_have_their_own_order_and_a_wrong_part_changes_nothing() -> None:
    kept: list[PartsPush] = []
    host = Host()
    host.snapshots._keep = kept.append
    first = PartsPush(position=Position(3, 2), providers={"team-a/gpt": 500_000})
    assert host.snapshots.offer_parts(codec.encode(first)) is Verdict.TAKEN
    for epoch, sequence in ((3, 1), (2, 9)):
        older = codec.encode(PartsPush(position=Position(epoch, sequence)))
        assert host.snapshots.offer_parts(older) is Verdict.OLDER
    too_much = codec.encode(PartsPush(position=Position(3, 3), consumers={"web": 1_000_001}))
    assert host.snapshots.offer_parts(too_much) is Verdict.BROKEN
    assert "the part of 'web' must be 1 to 1000000" in (host.snapshots.running.error or "")
    assert kept == [first]
    assert host.snapshots.running.parts == Position(3, 2)
