"""A provider's errors come out in the caller's shape."""

import json

import pytest

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.translate.failures import error_answer, error_event

OPENAI, ANTHROPIC = Dialect.OPENAI, Dialect.ANTHROPIC


def openai_error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
    ],
)
def test_anthropic_callers_read_their_words(status: int, kind: str) -> None:
    body = json.loads(error_answer(ANTHROPIC, status, openai_error("No."), too_long=False))
    assert body == {"type": "error", "error": {"type": kind, "message": "No."}}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (404, "invalid_request_error", "not_found"),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        (500, "server_error", None),
        (529, "server_error", "overloaded"),
    ],
)
def test_openai_callers_read_theirs(status: int, kind: str, code: str | None) -> None:
    given = b'{"type":"error","error":{"type":"x","message":"No."}}'
    body = json.loads(error_answer(OPENAI, status, given, too_long=False))
    assert body == {"error": {"message": "No.", "type": kind, "param": None, "code": code}}


def test_a_context_that_is_too_long_is_told_so_that_it_is_understood() -> None:
    told = json.loads(error_answer(OPENAI, 400, b'{"error":{"message":"prompt is too long"}}', too_long=True))
    assert told["error"]["code"] == "context_length_exceeded"
    given = openai_error("maximum context length is 8192", code="context_length_exceeded")
    said = json.loads(error_answer(ANTHROPIC, 400, given, too_long=True))
    assert said["error"]["message"] == "prompt is too long: maximum context length is 8192"
    same = json.loads(error_answer(ANTHROPIC, 400, openai_error("prompt is too long: 9 > 8"), too_long=True))
    assert same["error"]["message"] == "prompt is too long: 9 > 8"


def test_what_says_nothing_is_still_an_error() -> None:
    assert json.loads(error_answer(ANTHROPIC, 400, b"", too_long=False))["error"]["message"]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": {"message": "m", "type": "server_error"}}, "api_error"),
        ({"error": {"message": "m", "type": "x", "code": "rate_limit_exceeded"}}, "rate_limit_error"),
        ({"error": {"message": "m", "code": 503}}, "overloaded_error"),
        ({"error": {"message": "m", "code": "context_length_exceeded"}}, "api_error"),
    ],
)
def test_errors_inside_streams_have_a_status_by_their_words(event: dict[str, object], kind: str) -> None:
    assert error_event(ANTHROPIC, event)["error"]["type"] == kind


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (404, "NOT_FOUND"),
        (422, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
        (529, "UNAVAILABLE"),
    ],
)
def test_geminis_callers_read_googles_words(status: int, word: str) -> None:
    told = json.loads(error_answer(Dialect.GEMINI, status, openai_error("No."), too_long=False))
    assert told == {"error": {"code": status, "message": "No.", "status": word}}


def test_geminis_callers_learn_of_a_context_that_is_too_long() -> None:
    told = json.loads(error_answer(Dialect.GEMINI, 400, openai_error("too long"), too_long=True))
    assert "exceeds the maximum number of tokens" in told["error"]["message"]
    event = error_event(
        Dialect.GEMINI, {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    )
    assert event == {"error": {"code": 529, "message": "Busy", "status": "UNAVAILABLE"}}
