import pytest

from cliproxy_api.snapshot import Retries
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.outcome import Outcome, Retry
from cliproxy_sidecar.core.retry import (
    FAILOVER,
    MAX_BACKOFF_S,
    Budget,
    Decision,
    GiveUp,
    GiveUpReason,
    RetrySame,
    decide,
)

C = OutcomeClass
NO_OTHER = GiveUp(GiveUpReason.NO_ALTERNATIVE)
OF_REQUEST = GiveUp(GiveUpReason.REQUEST)
SETTLED = GiveUp(GiveUpReason.SETTLED)
DEADLINE = GiveUp(GiveUpReason.DEADLINE)


def budget(
    *,
    at_provider: int = 1,
    total: int = 1,
    max_attempts: int = 4,
    retries: int = 2,
    backoff_s: float = 0.2,
    left_s: float = 60.0,
    started: bool = False,
) -> Budget:
    return Budget(
        attempts_at_provider=at_provider,
        attempts_total=total,
        max_attempts=max_attempts,
        retries=Retries(attempts=retries, backoff_s=backoff_s),
        left_s=left_s,
        started=started,
    )


def after(
    cls: OutcomeClass,
    retry: Retry = Retry.NONE,
    *,
    hint_s: float | None = None,
    others: bool = True,
    of: Budget | None = None,
) -> Decision:
    return decide(Outcome(cls, hint_s=hint_s, retry=retry), of or budget(), alternatives=others, chance=1.0)


@pytest.mark.parametrize(
    ("cls", "retry", "with_others", "without"),
    [
        (C.SUCCESS, Retry.NONE, SETTLED, SETTLED),
        (C.CANCELLED, Retry.NONE, SETTLED, SETTLED),
        (C.CLIENT, Retry.NONE, OF_REQUEST, OF_REQUEST),
        (C.CLIENT, Retry.SAME, RetrySame(0.2), RetrySame(0.2)),
        (C.CLIENT, Retry.FAILOVER, FAILOVER, NO_OTHER),
        (C.CONTEXT, Retry.NONE, OF_REQUEST, OF_REQUEST),
        (C.CONTEXT, Retry.FAILOVER, FAILOVER, NO_OTHER),
        (C.TOO_BIG, Retry.FAILOVER, FAILOVER, NO_OTHER),
        (C.FILTER, Retry.NONE, OF_REQUEST, OF_REQUEST),
        (C.FILTER, Retry.FAILOVER, FAILOVER, NO_OTHER),
        (C.RATE_LIMITED, Retry.FAILOVER, FAILOVER, RetrySame(1.2)),
        (C.RAMP, Retry.FAILOVER, FAILOVER, RetrySame(1.2)),
        (C.OVERLOADED, Retry.SAME, RetrySame(0.2), RetrySame(0.2)),
        (C.SERVER_ERROR, Retry.SAME, RetrySame(0.2), RetrySame(0.2)),
        (C.SERVER_ERROR, Retry.FAILOVER, FAILOVER, NO_OTHER),
        (C.STREAM_ERROR, Retry.FAILOVER, FAILOVER, RetrySame(0.2)),
        (C.QUOTA_LONG, Retry.FAILOVER, FAILOVER, NO_OTHER),
        (C.QUOTA_MONEY, Retry.FAILOVER, FAILOVER, NO_OTHER),
        (C.AUTH, Retry.FAILOVER, FAILOVER, NO_OTHER),
        (C.CONFIG, Retry.FAILOVER, FAILOVER, NO_OTHER),
    ],
)
def test_what_follows_a_first_attempt(
    cls: OutcomeClass, retry: Retry, with_others: Decision, without: Decision
) -> None:
    assert after(cls, retry, others=True) == with_others
    assert after(cls, retry, others=False) == without


@pytest.mark.parametrize("cls", [C.QUOTA_LONG, C.QUOTA_MONEY, C.AUTH, C.CONFIG])
def test_money_and_keys_are_never_tried_again_whatever_a_signal_allows(cls: OutcomeClass) -> None:
    assert after(cls, Retry.SAME, hint_s=0.0, others=False) == NO_OTHER


@pytest.mark.parametrize("cls", [C.OVERLOADED, C.SERVER_ERROR])
def test_the_providers_attempts_are_counted(cls: OutcomeClass) -> None:
    twice = budget(at_provider=2, total=2)
    assert after(cls, Retry.SAME, of=twice) == FAILOVER
    assert after(cls, Retry.SAME, of=twice, others=False) == NO_OTHER
    assert after(cls, Retry.SAME, of=budget(retries=1)) == FAILOVER


def test_an_overload_is_tried_again_once_however_many_attempts_there_are() -> None:
    thrice = budget(at_provider=2, total=2, retries=5)
    assert after(C.SERVER_ERROR, Retry.SAME, of=thrice) == RetrySame(0.4)
    assert after(C.OVERLOADED, Retry.SAME, of=thrice) == FAILOVER


def test_an_overload_that_asks_to_wait_is_left_alone() -> None:
    assert after(C.OVERLOADED, Retry.SAME, hint_s=20.0) == FAILOVER
    assert after(C.OVERLOADED, Retry.SAME, hint_s=20.0, others=False) == NO_OTHER
    assert after(C.OVERLOADED, Retry.SAME, hint_s=0.1) == RetrySame(0.2)


@pytest.mark.parametrize(
    ("hint_s", "left_s", "decision"),
    [
        (2.0, 60.0, RetrySame(2.2)),
        (4.8, 60.0, RetrySame(5.0)),
        (4.9, 60.0, NO_OTHER),
        (2.0, 2.2, DEADLINE),
    ],
)
def test_a_limit_is_waited_for_if_that_is_short_and_there_is_no_other(
    hint_s: float, left_s: float, decision: Decision
) -> None:
    assert after(C.RATE_LIMITED, hint_s=hint_s, others=False, of=budget(left_s=left_s)) == decision


def test_the_requests_attempts_are_counted() -> None:
    assert after(C.SERVER_ERROR, Retry.SAME, of=budget(total=4)) == GiveUp(GiveUpReason.ATTEMPTS)
    assert after(C.SERVER_ERROR, Retry.SAME, of=budget(total=3)) == RetrySame(0.2)


def test_time_is_counted() -> None:
    assert after(C.SERVER_ERROR, Retry.SAME, of=budget(left_s=0.0)) == DEADLINE
    assert after(C.SERVER_ERROR, Retry.SAME, of=budget(left_s=0.1)) == FAILOVER
    assert after(C.SERVER_ERROR, Retry.SAME, of=budget(left_s=0.1), others=False) == DEADLINE


@pytest.mark.parametrize("cls", sorted(set(OutcomeClass) - {C.SUCCESS, C.CANCELLED}))
def test_nothing_follows_what_the_caller_has_begun_to_read(cls: OutcomeClass) -> None:
    assert after(cls, Retry.SAME, of=budget(started=True)) == GiveUp(GiveUpReason.STARTED)


@pytest.mark.parametrize(
    ("at_provider", "chance", "delay_s"),
    [(1, 0.0, 0.1), (1, 1.0, 0.2), (2, 1.0, 0.4), (3, 0.5, 0.6), (30, 1.0, MAX_BACKOFF_S)],
)
def test_pauses_double_and_spread(at_provider: int, chance: float, delay_s: float) -> None:
    of = budget(at_provider=at_provider, retries=99, max_attempts=99)
    decision = decide(Outcome(C.SERVER_ERROR, retry=Retry.SAME), of, alternatives=True, chance=chance)
    assert isinstance(decision, RetrySame)
    assert decision.delay_s == pytest.approx(delay_s)


@pytest.mark.parametrize("retry", Retry)
@pytest.mark.parametrize("cls", OutcomeClass)
@pytest.mark.parametrize("others", [True, False])
@pytest.mark.parametrize("hint_s", [None, 0.0, 1e9])
def test_total_and_bounded(cls: OutcomeClass, retry: Retry, others: bool, hint_s: float | None) -> None:  # noqa: FBT001 - a column
    for attempt in range(1, 6):
        of = budget(at_provider=attempt, total=attempt, retries=9)
        decision = after(cls, retry, others=others, hint_s=hint_s, of=of)
        assert isinstance(decision, GiveUp) or attempt < 4
        assert others or decision is not FAILOVER
        assert not isinstance(decision, RetrySame) or 0 <= decision.delay_s < of.left_s
