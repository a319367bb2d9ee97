"""A score is taken once, for a request that is known, and counted for who answered."""

import pytest

from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.decisions import MAX_REQUESTS, Decided, Decisions, Trail
from cliproxy_sidecar.core.feedback import BadFeedback, Feedback, Rated, Ratings, read_feedback
from cliproxy_sidecar.core.target import TargetId

GROQ: TargetId = ("team-a/groq", "key", "llama")
OPENAI: TargetId = ("team-a/openai", "key", "gpt")


def decided(request_id: str, trail: Trail) -> Decided:
    return (request_id, "fast", False, 0.0, 1.0, 200, None, "round_robin", "None", trail)


def tried(target: TargetId, cls: OutcomeClass) -> Trail:
    return [(0.0, target, None), (1.0, target, cls, 200, None, 5.0)]


@pytest.mark.parametrize("score", [0, 0.5, 1])
def test_a_score_is_read(score: float) -> None:
    assert read_feedback(f'{{"request_id": "r", "score": {score}}}'.encode()) == Feedback("r", score)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b'{"request_id": "r"}', "score"),
        (b'{"score": 1}', "request_id"),
        (b'{"request_id": "r", "score": "good"}', "score"),
        (b'{"request_id": "r", "score": true}', "score"),
        (b'{"request_id": "r", "score": 1.1}', "score"),
        (b'{"request_id": "r", "score": -0.1}', "score"),
        (b'{"request_id": 7, "score": 1}', "request_id"),
        (b'{"request_id": "r", "score": 1, "comment": "x"}', None),
    ],
)
def test_what_is_no_feedback_is_told(body: bytes, param: str | None) -> None:
    told = read_feedback(body)

    assert isinstance(told, BadFeedback)
    assert told.param == param


def test_who_answered_in_the_end_is_rated_and_once() -> None:
    decisions = Decisions()
    trail = tried(GROQ, OutcomeClass.RATE_LIMITED) + tried(OPENAI, OutcomeClass.SUCCESS)
    decisions.add(decided("r1", trail))
    ratings = Ratings(decisions)

    assert ratings.rate("r1") == Rated("openai", "fast")
    assert ratings.rate("r1") == "rated"


def test_a_request_that_nobody_answered_or_knows_is_not_rated() -> None:
    decisions = Decisions()
    decisions.add(decided("failed", tried(GROQ, OutcomeClass.SERVER_ERROR)))
    ratings = Ratings(decisions)

    assert ratings.rate("failed") == "unanswered"
    assert ratings.rate("never") == "unknown"


def test_memory_is_bounded() -> None:
    decisions = Decisions()
    ratings = Ratings(decisions)
    for number in range(2 * MAX_REQUESTS):
        decisions.add(decided(f"r{number}", tried(OPENAI, OutcomeClass.SUCCESS)))
        assert isinstance(ratings.rate(f"r{number}"), Rated)

    assert len(ratings._rated) == MAX_REQUESTS
    assert ratings.rate("r0") == "unknown"
