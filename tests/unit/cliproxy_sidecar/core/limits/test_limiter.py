"""One owner's limits: which one refuses, and what settling puts right."""

from cliproxy_api.snapshot import RateLimit
from cliproxy_sidecar.core.limits.limiter import IN_FLIGHT, RECHECK_S, REQUESTS, TOKENS, Limiter


def test_the_limit_that_lasts_longest_is_named() -> None:
    limiter = Limiter(RateLimit(requests_per_minute=2, tokens_per_minute=100))
    limiter.take(10, 0.0)
    limiter.take(100, 30.0)
    refused = limiter.refusal(50, 31.0)
    assert refused is not None
    assert (refused.unit, refused.limit) == (TOKENS, 100)
    assert refused.told == "100 tokens per minute"


def test_requests_in_flight_end_with_their_holds() -> None:
    limiter = Limiter(RateLimit(max_concurrent=1))
    hold = limiter.take(5, 0.0)
    refused = limiter.refusal(5, 1.0)
    assert refused is not None
    assert (refused.unit, refused.until) == (IN_FLIGHT, 1.0 + RECHECK_S)
    hold.settle(5, 2.0)
    hold.settle(5, 2.0)
    assert limiter.in_flight == 0
    assert limiter.refusal(5, 2.0) is None


def test_tokens_are_credited_back_or_charged_when_they_are_known() -> None:
    limiter = Limiter(RateLimit(tokens_per_minute=1000))
    cheap = limiter.take(900, 0.0)
    assert limiter.refusal(200, 0.0) is not None
    cheap.settle(100, 1.0)
    assert limiter.refusal(900, 1.0) is None
    dear = limiter.take(10, 1.0)
    dear.settle(950, 2.0)
    assert limiter.used(2.0) == (0, 1050)
    assert limiter.refusal(1, 2.0) is not None


def test_what_was_not_sent_gives_its_request_back() -> None:
    limiter = Limiter(RateLimit(requests_per_minute=1))
    limiter.take(0, 0.0).settle(0, 0.0, sent=False)
    assert limiter.refusal(0, 0.0) is None
    limiter.take(0, 0.0).settle(0, 0.0)
    refused = limiter.refusal(0, 0.0)
    assert refused is not None
    assert refused.unit == REQUESTS


def test_a_share_is_a_part_of_the_limit_and_never_nothing() -> None:
    limiter = Limiter(RateLimit(requests_per_minute=10, max_concurrent=3))
    limiter.share(5)
    holds = [limiter.take(0, 0.0) for _ in range(1)]
    assert limiter.refusal(0, 0.0) is not None
    for hold in holds:
        hold.settle(0, 0.0)
    assert limiter.refusal(0, 0.0) is None
    limiter.take(0, 0.0)
    refused = limiter.refusal(0, 0.0)
    assert refused is not None
    assert (refused.unit, refused.limit) == (REQUESTS, 10)


def test_limits_that_are_taken_away_no_longer_refuse() -> None:
    limiter = Limiter(RateLimit(requests_per_minute=1, max_concurrent=1))
    hold = limiter.take(0, 0.0)
    limiter.configure(RateLimit(tokens_per_minute=5))
    assert limiter.refusal(0, 0.0) is None
    hold.settle(7, 1.0)
    assert limiter.in_flight == 0
