"""Events: transitions once, repetitions never."""

import msgspec

from cliproxy_api.resources.common import Condition
from cliproxy_api.resources.llmprovider_status import CooldownStatus, LLMProviderStatus
from cliproxy_api.vocabulary import ConditionStatus, CooldownPhase, OutcomeClass, ScopeKind
from cliproxy_operator.events import MAX_NOTE_CHARS, object_events, provider_events

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def said(kind: str, status: ConditionStatus = TRUE, reason: str = "", message: str = "why") -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason=reason or kind,
        message=message,
        last_transition_time="2026-11-30T12:00:00Z",
    )


def status(*conditions: Condition, cooldowns: tuple[CooldownStatus, ...] = ()) -> LLMProviderStatus:
    return LLMProviderStatus(conditions=conditions, cooldowns=cooldowns)


def entry(phase: CooldownPhase = CooldownPhase.COOLING, **changes: object) -> CooldownStatus:
    plain = CooldownStatus(scope=ScopeKind.PROVIDER, class_=OutcomeClass.RATE_LIMITED, phase=phase)
    return msgspec.structs.replace(plain, **changes)


def told(before: LLMProviderStatus | None, after: LLMProviderStatus) -> list[str]:
    return [f"{event.type} {event.reason}" for event in provider_events(before, after)]


FINE = status(said("Accepted"), said("Synced"), said("Healthy"), said("Available"))
PARTLY = status(said("Available", reason="PartlyCooling"), cooldowns=(entry(),))
WHOLLY = status(said("Available", FALSE, reason="CoolingDown"), cooldowns=(entry(),))
WAITING = status(said("Available", FALSE, reason="CoolingDown"), cooldowns=(entry(CooldownPhase.HALF_OPEN),))
RAMPING = status(said("Available", reason="Recovering"), cooldowns=(entry(CooldownPhase.RAMP),))
BARE = status(said("Available"))


def test_a_good_start_is_no_news() -> None:
    assert told(None, FINE) == []
    assert told(FINE, FINE) == []


def test_accepted_or_not() -> None:
    bad = status(said("Accepted", FALSE, reason="Invalid"))
    worse = status(said("Accepted", FALSE, reason="SecretNotFound"))
    warned = status(said("Accepted", reason="PolicyNotFound"))
    good = status(said("Accepted"))
    assert told(None, bad) == ["Warning Misconfigured"]
    assert told(bad, bad) == []
    assert told(bad, worse) == ["Warning Misconfigured"]
    assert told(good, warned) == ["Warning PolicyNotFound"]
    assert told(warned, good) == told(bad, good) == ["Normal Accepted"]


def test_a_refused_snapshot_is_told_once() -> None:
    refused = status(said("Synced", FALSE, reason="SnapshotRefused"))
    assert told(None, refused) == ["Warning SnapshotRefused"]
    assert told(refused, refused) == []
    assert object_events(FINE.conditions, refused.conditions)[0].reason == "SnapshotRefused"


def test_health() -> None:
    ill, well, unknown = (status(said("Healthy", one)) for one in (FALSE, TRUE, UNKNOWN))
    assert told(None, ill) == told(well, ill) == ["Warning Unhealthy"]
    assert told(ill, well) == ["Normal Healthy"]
    assert told(unknown, well) == told(well, unknown) == told(ill, unknown) == []


def test_the_way_of_a_cooldown() -> None:
    assert told(BARE, WHOLLY) == ["Warning CoolingDown"]
    assert told(WHOLLY, WHOLLY) == []
    assert told(WHOLLY, WAITING) == ["Normal HalfOpen"]
    assert told(WAITING, RAMPING) == []
    assert told(WAITING, WHOLLY) == told(RAMPING, WHOLLY) == ["Warning CoolingDown"]
    assert told(RAMPING, BARE) == told(WHOLLY, BARE) == ["Normal Recovered"]


def test_a_part_then_all_is_news_all_then_a_part_is_not() -> None:
    assert told(BARE, PARTLY) == ["Warning CoolingDown"]
    assert told(PARTLY, WHOLLY) == ["Warning CoolingDown"]
    assert told(WHOLLY, PARTLY) == []


def test_recovery_says_from_what() -> None:
    since = entry(since="2026-11-30T12:00:00Z")
    (event,) = provider_events(status(said("Available"), cooldowns=(since,)), BARE)
    assert "RateLimited since 2026-11-30T12:00:00Z" in event.message
    (event,) = provider_events(status(cooldowns=(entry(class_=None),)), status())
    assert "Manual" in event.message


def test_messages_are_bounded_and_never_empty() -> None:
    bad = status(said("Accepted", FALSE, message="x" * 9999))
    assert len(provider_events(None, bad)[0].message) == MAX_NOTE_CHARS
    assert provider_events(None, status(cooldowns=(entry(),)))[0].message == "CoolingDown"
