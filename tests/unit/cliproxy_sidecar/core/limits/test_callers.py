"""Consumers: rates, budgets over several periods, what is reserved and settled."""

from datetime import UTC, datetime

from cliproxy_api.snapshot import Budget, Consumer, RateLimit
from cliproxy_api.state import Amount, Spent
from cliproxy_api.vocabulary import OnExceeded, QuotaReset
from cliproxy_sidecar.core.limits.callers import Caller
from cliproxy_sidecar.core.limits.period import Wall

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT = 1000.0


def caller_of(**changes: object) -> Caller:
    consumer = Consumer(name="web", **changes)  # type: ignore[arg-type]
    caller = Caller(consumer)
    caller.configure(consumer, Wall(AT, NOON), AT)
    return caller


def spend(caller: Caller, nano_usd: int) -> None:
    call = caller.begin(10, 0, AT)
    call.nano_usd += nano_usd
    call.settle(AT)


def test_without_limits_everything_passes() -> None:
    caller = caller_of()
    call = caller.begin(10, 10, AT)
    assert caller.refusal(10**9, AT) is None
    assert caller.exceeded(AT) is None
    call.settle(AT)


def test_a_rate_limit_is_the_callers_own() -> None:
    caller = caller_of(rate_limit=RateLimit(requests_per_minute=1))
    caller.begin(10, 0, AT).settle(AT)
    refused = caller.refusal(10, AT)
    assert refused is not None
    assert refused.told == "1 requests per minute"


def test_of_budgets_that_are_used_up_the_longest_speaks() -> None:
    caller = caller_of(budget=Budget(daily=10, monthly=15, on_exceeded=OnExceeded.BLOCK))
    spend(caller, 10)
    exceeded = caller.exceeded(AT)
    assert exceeded is not None
    assert (exceeded.period, exceeded.resets_utc) == (QuotaReset.DAILY, "2026-11-22T00:00:00Z")
    spend(caller, 5)
    exceeded = caller.exceeded(AT)
    assert exceeded is not None
    assert (exceeded.period, exceeded.spent, exceeded.limit) == (QuotaReset.MONTHLY, 15, 15)
    assert exceeded.resets_utc == "2026-12-01T00:00:00Z"
    assert exceeded.action is OnExceeded.BLOCK


def test_what_requests_in_flight_will_cost_counts_until_they_end() -> None:
    caller = caller_of(budget=Budget(weekly=100))
    call = caller.begin(10, 100, AT)
    assert caller.exceeded(AT) is not None
    call.nano_usd = 1
    call.settle(AT)
    call.settle(AT)
    assert caller.exceeded(AT) is None
    assert caller.periods[QuotaReset.WEEKLY].used(AT) == 1


def test_the_fleets_spending_counts_and_a_new_budget_keeps_it() -> None:
    caller = caller_of(budget=Budget(daily=100))
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    caller.tell(Spent(day=Amount(used=99, until_utc=midnight)), AT)
    assert caller.exceeded(AT) is None
    spend(caller, 1)
    assert caller.exceeded(AT) is not None
    caller.configure(Consumer(name="web", budget=Budget(daily=200)), Wall(AT, NOON), AT)
    assert caller.exceeded(AT) is None
    assert caller.periods[QuotaReset.DAILY].used(AT) == 100
    caller.configure(Consumer(name="web"), Wall(AT, NOON), AT)
    assert caller.periods == {}
    assert caller.exceeded(AT) is None


def test_a_budget_that_came_meanwhile_gives_nothing_back() -> None:
    caller = caller_of(budget=Budget(daily=100))
    call = caller.begin(10, 60, AT)
    more = Consumer(name="web", budget=Budget(daily=100, monthly=100, on_exceeded=OnExceeded.BLOCK))
    caller.configure(more, Wall(AT, NOON), AT)
    call.nano_usd += 40
    call.settle(AT)
    assert {reset: period.used(AT) for reset, period in caller.periods.items()} == {
        QuotaReset.DAILY: 40,
        QuotaReset.MONTHLY: 40,
    }
    assert [period.reserved for period in caller.periods.values()] == [0, 0]
