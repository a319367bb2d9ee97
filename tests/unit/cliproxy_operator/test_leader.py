"""Leading, adrift, standing by: what a replica is, and what it may do at each moment."""

from typing import Any

import pytest

from cliproxy_operator.leader import Leader, Standing
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings import Settings, read_settings
from support.leasekube import LeaseKube
from support.manualclock import ManualClock


class Replica:
    """One leader with a clock of its own; `step` is one round of its loop."""

    def __init__(self, name: str, kube: LeaseKube, clock: ManualClock) -> None:
        self.told: list[tuple[Standing, int]] = []
        self.kube = kube
        self.leader = Leader(
            kube=kube,  # type: ignore[arg-type]
            settings=settings(name),
            clock=clock,
            metrics=Metrics(),
            listener=lambda standing, epoch: self.told.append((standing, epoch)),
            went_back=self._went_back,
        )
        self.rewinds = 0

    def _went_back(self) -> None:
        self.rewinds += 1

    async def step(self) -> None:
        for _ in range(3):  # a demotion or a conflict is followed up at once
            try:
                pause_s = await self.leader._step()
            except Exception:  # noqa: BLE001 -- as the loop does
                self.leader._check_deadline()
                return
            if pause_s > 0.5:
                return

    @property
    def standing(self) -> Standing:
        return self.leader.standing


def settings(name: str) -> Settings:
    return read_settings({"POD_NAME": name, "CLIPROXY_CONTROL_TOKEN": "x" * 16})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def kube() -> LeaseKube:
    return LeaseKube()


@pytest.fixture
def first(kube: LeaseKube, clock: ManualClock) -> Replica:
    return Replica("op-1", kube, clock)


@pytest.fixture
def second(kube: LeaseKube, clock: ManualClock) -> Replica:
    return Replica("op-2", kube, clock)


def spec(kube: LeaseKube) -> dict[str, Any]:
    assert kube.lease is not None
    found: dict[str, Any] = kube.lease["spec"]
    return found


async def test_the_first_leads_and_the_second_stands_by(
    first: Replica, second: Replica, kube: LeaseKube
) -> None:
    assert not first.leader.may_write()
    await first.step()
    await second.step()

    assert first.told == [(Standing.LEADING, 1)]
    assert second.told == [(Standing.STANDBY, 0)]
    assert first.leader.may_write()
    assert not second.leader.may_write()
    assert spec(kube)["holderIdentity"] == "op-1"


async def test_a_renewal_is_no_news(first: Replica, clock: ManualClock, kube: LeaseKube) -> None:
    for _ in range(10):
        await first.step()
        clock.advance(1)

    assert first.told == [(Standing.LEADING, 1)]
    assert kube.writes >= 9
    assert spec(kube)["leaseTransitions"] == 1


async def test_who_cannot_renew_stops_writing_and_is_adrift(
    first: Replica, clock: ManualClock, kube: LeaseKube
) -> None:
    await first.step()
    kube.away = True
    clock.advance(3.4)
    await first.step()
    assert first.standing is Standing.LEADING
    clock.advance(0.2)

    assert not first.leader.may_write()  # even before the loop has noticed
    await first.step()
    assert first.told[-1] == (Standing.ADRIFT, 1)


async def test_adrift_it_leads_on_under_the_same_epoch_if_nobody_else_did(
    first: Replica, clock: ManualClock, kube: LeaseKube
) -> None:
    await first.step()
    kube.away = True
    clock.advance(60)
    await first.step()
    kube.away = False
    await first.step()

    assert first.told == [(Standing.LEADING, 1), (Standing.ADRIFT, 1), (Standing.LEADING, 1)]
    assert first.leader.may_write()


async def test_adrift_it_stands_by_if_another_took_over(
    first: Replica, second: Replica, clock: ManualClock, kube: LeaseKube
) -> None:
    await first.step()
    await second.step()
    kube.away = True
    clock.advance(5)
    await first.step()
    kube.away = False
    clock.advance(5)
    await second.step()
    await first.step()

    assert second.told[-1] == (Standing.LEADING, 2)
    assert first.told[-1] == (Standing.STANDBY, 0)


async def test_adrift_it_stands_by_when_a_sidecar_knows_a_newer_epoch(
    first: Replica, clock: ManualClock, kube: LeaseKube
) -> None:
    await first.step()
    kube.away = True
    clock.advance(5)
    await first.step()

    first.leader.outrun(2)
    assert first.told[-1] == (Standing.STANDBY, 0)


async def test_adrift_a_refusal_without_an_epoch_is_enough(
    first: Replica, clock: ManualClock, kube: LeaseKube
) -> None:
    await first.step()
    kube.away = True
    clock.advance(5)
    await first.step()

    first.leader.deposed(1)
    assert first.told[-1] == (Standing.STANDBY, 0)


async def test_a_lost_lease_is_given_up_at_once(first: Replica, clock: ManualClock, kube: LeaseKube) -> None:
    await first.step()
    kube.seize("somebody")
    clock.advance(1)
    await first.step()

    assert first.told[-1] == (Standing.STANDBY, 0)
    assert not first.leader.may_write()


async def test_a_deleted_lease_leads_to_an_epoch_that_sidecars_accept(
    first: Replica, clock: ManualClock, kube: LeaseKube
) -> None:
    await first.step()
    first.leader.outrun(40)
    clock.advance(1)
    await first.step()

    assert first.told[-1] == (Standing.LEADING, 41)
    assert spec(kube)["leaseTransitions"] == 41


async def test_a_refusal_is_guessed_from_once_however_many_sidecars_refuse(
    first: Replica, clock: ManualClock
) -> None:
    await first.step()
    for _ in range(500):
        first.leader.deposed(1)
    await first.step()
    assert first.told[-1] == (Standing.LEADING, 4)


async def test_links_of_an_earlier_epoch_say_nothing_about_the_present_one(
    first: Replica, clock: ManualClock
) -> None:
    await first.step()
    first.leader.outrun(40)
    await first.step()
    first.leader.deposed(1)
    clock.advance(1)
    await first.step()
    assert first.told[-1] == (Standing.LEADING, 41)


async def test_a_claim_from_the_clouds_is_ignored(first: Replica, clock: ManualClock) -> None:
    await first.step()
    first.leader.outrun(2**31)
    clock.advance(1)
    await first.step()

    assert first.told == [(Standing.LEADING, 1)]


async def test_a_released_lease_is_taken_at_once(
    first: Replica, second: Replica, clock: ManualClock, kube: LeaseKube
) -> None:
    await first.step()
    await second.step()
    await first.leader.release()
    assert spec(kube)["holderIdentity"] == ""
    assert not first.leader.may_write()
    await second.step()

    assert second.told[-1] == (Standing.LEADING, 2)


async def test_a_release_follows_up_a_renewal_that_was_cut_off(first: Replica, kube: LeaseKube) -> None:
    await first.step()
    assert kube.lease is not None
    kube._store(kube.lease)  # our own renewal arrived, its answer did not
    await first.leader.release()

    assert spec(kube)["holderIdentity"] == ""


async def test_a_release_leaves_another_holder_alone(first: Replica, kube: LeaseKube) -> None:
    await first.step()
    kube.seize("somebody")
    await first.leader.release()

    assert spec(kube)["holderIdentity"] == "somebody"


async def test_a_release_without_an_api_server_ends(first: Replica, kube: LeaseKube) -> None:
    await first.step()
    kube.away = True
    await first.leader.release()

    assert not first.leader.may_write()


async def test_a_lease_from_a_backup_tells_every_replica_that_the_data_went_back(
    first: Replica, second: Replica, kube: LeaseKube, clock: ManualClock
) -> None:
    await first.step()
    backup, version = kube.lease, kube.version
    for _ in range(3):
        clock.advance(1.5)
        await first.step()
        await second.step()
    assert (first.rewinds, second.rewinds) == (0, 0)

    kube.lease, kube.version = backup, version
    clock.advance(1.5)
    await second.step()
    await first.step()
    await first.step()

    assert (first.rewinds, second.rewinds) == (1, 1)
    assert first.standing is Standing.LEADING


async def test_a_lease_that_is_gone_for_a_moment_hides_no_older_one(
    first: Replica, kube: LeaseKube, clock: ManualClock
) -> None:
    await first.step()
    backup, version = kube.lease, kube.version
    for _ in range(3):
        clock.advance(1.5)
        await first.step()

    kube.lease = None
    clock.advance(1.5)
    await first.leader._look()
    assert first.rewinds == 1
    await first.leader._look()
    assert first.rewinds == 1, "once for each time it goes"

    kube.lease, kube.version = backup, version
    await first.step()
    assert first.rewinds == 2
    await first.step()
    assert first.rewinds == 2


async def test_an_api_server_that_was_away_for_long_may_have_other_data(
    first: Replica, clock: ManualClock
) -> None:
    first.leader._reached()
    clock.advance(2.0)
    first.leader._reached()
    assert first.rewinds == 0

    clock.advance(6.0)
    first.leader._reached()
    assert first.rewinds == 1


async def test_a_standing_that_could_not_be_acted_on_is_told_again(
    first: Replica, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(first.leader, "_listener", fail)
        with pytest.raises(ZeroDivisionError):
            await first.leader._step()
    assert first.told == []

    clock.advance(1)
    await first.step()
    assert first.told == [(Standing.LEADING, 1)]
