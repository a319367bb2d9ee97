"""A provider's own limits: why an attempt must not pass, until when, and what settling does."""

from datetime import UTC, datetime

import msgspec

from cliproxy_api.snapshot import Pricing, Provider, Quota, RateLimit
from cliproxy_api.vocabulary import OutcomeClass, QuotaReset, QuotaUnit
from cliproxy_sidecar.core.limits.gates import OWN_LIMIT_RANK, Gate
from cliproxy_sidecar.core.limits.limiter import RECHECK_S
from cliproxy_sidecar.core.limits.period import Wall
from cliproxy_sidecar.core.target import Target
from support import build

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
AT = 1000.0
HALF_DAY_S = 12 * 3600.0


def provider(**changes: object) -> Provider:
    return build.built(name="alpha", **changes).provider  # type: ignore[arg-type]


def gate_of(**changes: object) -> Gate:
    return Gate(provider(**changes), Wall(AT, NOON), AT)


def target(pricing: Pricing | None = None) -> Target:
    one = provider()
    return Target(one, one.credentials[0], msgspec.structs.replace(one.models[0], pricing=pricing))


def daily(limit: int, unit: QuotaUnit) -> Quota:
    return Quota(limit=limit, unit=unit, reset=QuotaReset.DAILY)


def test_a_rate_that_is_used_up_says_whose_and_until_when() -> None:
    gate = gate_of(rate_limit=RateLimit(requests_per_minute=1))
    gate.take(target(), 10, AT)
    blocked = gate.limited(10, AT)
    assert blocked is not None
    assert blocked.reason == "at our own limit of 1 requests per minute"
    assert AT + 60 < blocked.until <= AT + 61
    assert (blocked.outcome_class, blocked.rank) == (OutcomeClass.RATE_LIMITED, OWN_LIMIT_RANK)
    assert gate.limited(10, blocked.until) is None


def test_a_quota_of_requests_ends_with_its_period() -> None:
    gate = gate_of(quota=daily(2, QuotaUnit.REQUESTS))
    for _ in range(2):
        assert gate.exhausted(AT) is None
        gate.take(target(), 10, AT).settle(10, 0, AT)
    blocked = gate.exhausted(AT)
    assert blocked is not None
    assert blocked.until == AT + HALF_DAY_S
    assert blocked.reason == "our own quota of 2 requests daily is used up until 2026-11-22T00:00:00Z"
    assert gate.exhausted(AT + HALF_DAY_S) is None


def test_requests_in_flight_hold_a_quota_for_a_moment_only() -> None:
    gate = gate_of(quota=daily(100, QuotaUnit.TOKENS))
    passage = gate.take(target(), 400, AT)
    blocked = gate.exhausted(AT)
    assert blocked is not None
    assert blocked.until == AT + RECHECK_S
    passage.settle(30, 0, AT)
    passage.settle(30, 0, AT)
    assert gate.exhausted(AT) is None
    assert gate.period is not None
    assert gate.period.used(AT) == 30


def test_a_quota_in_dollars_counts_costs() -> None:
    gate = gate_of(quota=daily(1000, QuotaUnit.USD))
    gate.take(target(Pricing(input=1_000_000, output=1_000_000)), 10, AT).settle(10, 1000, AT)
    blocked = gate.exhausted(AT)
    assert blocked is not None
    assert "0.000001 USD daily" in blocked.reason


def test_what_was_not_sent_is_not_used() -> None:
    gate = gate_of(quota=daily(1, QuotaUnit.REQUESTS), rate_limit=RateLimit(requests_per_minute=1))
    gate.take(target(), 10, AT).settle(0, 0, AT, sent=False)
    assert gate.exhausted(AT) is None
    assert gate.limited(10, AT) is None


def test_the_fleets_use_counts_and_a_lonely_sidecar_keeps_to_its_part() -> None:
    gate = gate_of(quota=daily(100, QuotaUnit.REQUESTS))
    gate.tell(60, MIDNIGHT, AT)
    gate.share(4)
    for _ in range(11):
        gate.take(target(), 0, AT).settle(0, 0, AT)
    blocked = gate.exhausted(AT)
    assert blocked is not None
    assert "while the operator is away" in blocked.reason
    gate.attach(attached=True)
    assert gate.exhausted(AT) is None
    gate.tell(100, MIDNIGHT, AT)
    assert gate.exhausted(AT) is not None


def test_new_limits_keep_what_was_used_and_another_period_begins_anew() -> None:
    gate = gate_of(quota=daily(2, QuotaUnit.REQUESTS))
    wall = Wall(AT, NOON)
    for _ in range(2):
        gate.take(target(), 0, AT).settle(0, 0, AT)
    gate.configure(provider(quota=daily(3, QuotaUnit.REQUESTS)), wall, AT)
    assert gate.exhausted(AT) is None
    gate.configure(provider(quota=daily(2, QuotaUnit.REQUESTS)), wall, AT)
    assert gate.exhausted(AT) is not None
    monthly = Quota(limit=2, unit=QuotaUnit.REQUESTS)
    passage = gate.take(target(), 0, AT)
    gate.configure(provider(quota=monthly), wall, AT)
    passage.settle(0, 0, AT)
    assert gate.period is not None
    assert gate.period.used(AT) == 0
    assert gate.view(AT)["quota"] == {
        "unit": "requests",
        "limit": 2,
        "used": 0,
        "resets_at": "2026-12-01T00:00:00Z",
    }
