"""A new leader goes on where the last one stopped: deadlines as written, odd entries left out."""

from datetime import timedelta

import msgspec
import pytest

from cliproxy_api.resources.common import to_wire
from cliproxy_api.resources.llmprovider_status import CooldownStatus, LLMProviderStatus
from cliproxy_api.vocabulary import (
    CooldownPhase,
    CooldownScope,
    OutcomeClass,
    RecoveryProbe,
    ScopeKind,
)
from cliproxy_operator.status.provider import merge_provider_status
from cliproxy_operator.view import ProviderView
from support.cooling import provider, rules
from support.fleets import WHOLE, TimedFleet, settled, tripped


def written(timed: TimedFleet) -> LLMProviderStatus:
    """Return the status that the fleet's cooldowns give, as read back from the API server."""
    view = ProviderView(
        provider=timed.providers["ns/p"],
        cooldowns=timed.fleet.cooldowns("ns/p"),
        recovered_utc=timed.fleet.recovered("ns/p"),
    )
    status = merge_provider_status(
        None, generation=1, enabled=True, diagnostics=(), view=view, now_utc=timed.now
    )
    return msgspec.convert(to_wire(status), LLMProviderStatus)


def heir_of(timed: TimedFleet, *, after_s: float = 0.0) -> TimedFleet:
    """Return a new leader that has read the status."""
    heir = TimedFleet(*timed.providers.values())
    heir.now = timed.now + timedelta(seconds=after_s)
    heir.fleet.restore("ns/p", written(timed), heir.now)
    return heir


def test_cooling_goes_on_to_the_same_second() -> None:
    timed = TimedFleet()
    timed.now += timedelta(seconds=0.4)
    timed.hear(tripped(8.0, level=2))
    heir = heir_of(timed, after_s=1.3)
    old, new = timed.one(), heir.one()
    assert new.until_utc == old.until_utc
    assert (new.level, new.outcome_class, new.reason) == (old.level, old.outcome_class, old.reason)
    assert new.evidence == old.evidence


def test_a_sidecar_that_tells_it_again_does_not_move_it() -> None:
    timed = TimedFleet()
    timed.hear(tripped(8.0))
    heir = heir_of(timed)
    assert not heir.hear(tripped(8.3))
    assert heir.one().until_utc == timed.one().until_utc


def test_a_sidecar_that_was_cut_off_does_not_bring_back_what_a_person_ended() -> None:
    timed = TimedFleet()
    timed.hear(tripped(900.0))
    timed.wait(20.4)
    timed.fleet.recover("ns/p", timed.now)
    heir = heir_of(timed, after_s=30)
    heir.hear(tripped(849.6, age_s=50.4))
    assert heir.fleet.cooldowns("ns/p") == ()

    heir.hear(tripped(900.0, age_s=30))  # found since
    assert heir.phase() is CooldownPhase.COOLING


def test_a_status_keeps_the_recovery_while_the_provider_is_not_in_use() -> None:
    timed = TimedFleet()
    timed.fleet.recover("ns/p", timed.now)
    before = written(timed)
    assert before.last_recovered_time == "2026-11-30T12:00:00Z"
    after = merge_provider_status(
        before, generation=2, enabled=False, diagnostics=(), view=ProviderView(), now_utc=timed.now
    )
    assert after.last_recovered_time == before.last_recovered_time


def test_half_open_stays_half_open() -> None:
    timed = TimedFleet()
    timed.hear(tripped(8.0, level=3))
    timed.wait(9)
    heir = heir_of(timed)
    assert (heir.phase(), heir.one().trial_sidecar) == (CooldownPhase.HALF_OPEN, "web-0")
    assert (heir.one().level, heir.one().since_utc) == (3, timed.one().since_utc)


def test_half_open_goes_on_to_the_ramp_if_the_policy_asks_for_no_trial_any_more() -> None:
    timed = TimedFleet()
    timed.hear(tripped(8.0))
    timed.wait(9)
    heir = TimedFleet(provider(cooldown=rules(recovery={"probe": RecoveryProbe.NONE})))
    heir.now = timed.now
    heir.fleet.restore("ns/p", written(timed), heir.now)
    assert heir.phase() is CooldownPhase.RAMP


def test_a_ramp_goes_on_at_its_step() -> None:
    timed = TimedFleet()
    timed.hear(tripped(60.0))
    timed.wait(60)
    timed.hear(settled())
    timed.wait(35)
    heir = heir_of(timed, after_s=2)
    assert (heir.phase(), heir.one().share_percent) == (CooldownPhase.RAMP, 25)
    assert heir.one().until_utc == timed.one().until_utc
    heir.wait(26)
    assert heir.one().share_percent == 50


def test_what_ended_meanwhile_goes_on_to_its_trial() -> None:
    timed = TimedFleet()
    timed.hear(tripped(8.0))
    heir = heir_of(timed, after_s=60)
    assert heir.phase() is CooldownPhase.HALF_OPEN


def test_it_merges_with_what_sidecars_told_first() -> None:
    timed, heir = TimedFleet(), TimedFleet()
    timed.hear(tripped(8.0))
    heir.hear(tripped(100.0))
    assert not heir.fleet.restore("ns/p", written(timed), heir.now)
    assert heir.seconds(heir.one().until_utc) == 100


def entry(**changes: object) -> CooldownStatus:
    plain = {"scope": ScopeKind.PROVIDER, "phase": CooldownPhase.COOLING, "until": "2026-11-30T12:10:00Z"}
    return msgspec.convert({**plain, **changes}, CooldownStatus)


@pytest.mark.parametrize(
    "odd",
    [
        entry(scope=ScopeKind.MODEL),
        entry(credential="gone", scope=ScopeKind.CREDENTIAL),
        CooldownStatus(scope=ScopeKind.PROVIDER),
        msgspec.structs.replace(entry(), until="tomorrow"),
        msgspec.structs.replace(entry(), until="2026-11-30T12:10:00"),
    ],
)
def test_what_cannot_be_read_is_left_out(odd: CooldownStatus) -> None:
    timed = TimedFleet()
    assert not timed.fleet.restore("ns/p", LLMProviderStatus(cooldowns=(odd,)), timed.now)


def test_unknown_providers_are_ignored() -> None:
    timed = TimedFleet()
    assert not timed.fleet.restore("ns/x", LLMProviderStatus(cooldowns=(entry(),)), timed.now)


def test_one_sidecars_own_are_told_again_by_it_but_a_persons_word_stands() -> None:
    timed = TimedFleet(provider(cooldown=rules(scope=CooldownScope.SIDECAR)))
    own = msgspec.structs.replace(entry(), class_=OutcomeClass.SERVER_ERROR)
    assert not timed.fleet.restore("ns/p", LLMProviderStatus(cooldowns=(own,)), timed.now)
    assert timed.fleet.restore("ns/p", LLMProviderStatus(cooldowns=(entry(),)), timed.now)
    assert timed.one().scope == WHOLE


def test_a_ramp_that_the_policy_no_longer_has_cools_to_its_end() -> None:
    timed = TimedFleet(provider(cooldown=rules(recovery={"ramp_percent": ()})))
    ramp = msgspec.structs.replace(entry(), phase=CooldownPhase.RAMP, share_percent=50)
    timed.fleet.restore("ns/p", LLMProviderStatus(cooldowns=(ramp,)), timed.now)
    assert timed.phase() is CooldownPhase.COOLING


def test_a_share_beyond_the_policys_ramp_is_its_last_step() -> None:
    timed = TimedFleet(provider(cooldown=rules(recovery={"ramp_percent": (10, 20)})))
    ramp = msgspec.structs.replace(entry(), phase=CooldownPhase.RAMP, share_percent=50)
    timed.fleet.restore("ns/p", LLMProviderStatus(cooldowns=(ramp,)), timed.now)
    assert timed.one().share_percent == 20
