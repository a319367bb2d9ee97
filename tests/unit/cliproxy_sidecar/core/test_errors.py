"""Our refusals wear the words that the callers' SDKs know."""

import json

import pytest

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.errors import (
    Cooling,
    ErrorKind,
    cooling_message,
    error_body,
    error_event,
    retry_after,
)
from cliproxy_sidecar.core.sse import SSEParser
from cliproxy_sidecar.core.stream import ContentKind, content_kind


@pytest.mark.parametrize(
    ("kind", "status", "openai", "anthropic"),
    [
        (ErrorKind.MALFORMED, 400, "invalid_request_error", "invalid_request_error"),
        (ErrorKind.WRONG_FORMAT, 400, "invalid_request_error", "invalid_request_error"),
        (ErrorKind.UNKNOWN_MODEL, 404, "invalid_request_error", "not_found_error"),
        (ErrorKind.UNKNOWN_PATH, 404, "invalid_request_error", "not_found_error"),
        (ErrorKind.WRONG_METHOD, 405, "invalid_request_error", "invalid_request_error"),
        (ErrorKind.CALLER_TIMEOUT, 408, "invalid_request_error", "invalid_request_error"),
        (ErrorKind.TOO_LARGE, 413, "invalid_request_error", "request_too_large"),
        (ErrorKind.RATE_LIMITED, 429, "rate_limit_error", "rate_limit_error"),
        (ErrorKind.HEADERS_TOO_LARGE, 431, "invalid_request_error", "invalid_request_error"),
        (ErrorKind.INTERNAL, 500, "server_error", "api_error"),
        (ErrorKind.UPSTREAM_FAILED, 502, "server_error", "api_error"),
        (ErrorKind.UNAVAILABLE, 503, "server_error", "overloaded_error"),
        (ErrorKind.BUSY, 503, "server_error", "overloaded_error"),
        (ErrorKind.TIMEOUT, 504, "server_error", "timeout_error"),
    ],
)
def test_kinds(kind: ErrorKind, status: int, openai: str, anthropic: str) -> None:
    assert kind.status == status
    assert json.loads(error_body(Dialect.OPENAI, kind, "m"))["error"]["type"] == openai
    assert json.loads(error_body(Dialect.ANTHROPIC, kind, "m"))["error"]["type"] == anthropic


def test_every_kind_is_its_own() -> None:
    # Enum members with equal values would be aliases of each other.
    assert len({kind.value.openai_code for kind in ErrorKind}) == len(ErrorKind.__members__)


def test_openais_shape() -> None:
    body = error_body(Dialect.OPENAI, ErrorKind.UNKNOWN_MODEL, 'no "x"', param="model", request_id="req_1")
    assert json.loads(body) == {
        "error": {
            "message": 'no "x"',
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }


def test_anthropics_shape() -> None:
    body = error_body(Dialect.ANTHROPIC, ErrorKind.UNKNOWN_MODEL, "no", request_id="req_1")
    error = {"type": "not_found_error", "message": "no"}
    assert json.loads(body) == {"type": "error", "error": error, "request_id": "req_1"}
    assert json.loads(error_body(Dialect.ANTHROPIC, ErrorKind.BUSY, "no"))["request_id"] is None


@pytest.mark.parametrize("dialect", Dialect)
def test_an_error_inside_a_stream_is_read_as_one(dialect: Dialect) -> None:
    raw = error_event(dialect, ErrorKind.UPSTREAM_FAILED, "line\nbreak", request_id="r")
    [event] = SSEParser().feed(raw)
    assert content_kind(dialect, event) is ContentKind.ERROR
    told = json.loads(event.data)
    assert told["error"]["message"] == "line\nbreak"
    assert told.get("message", "line\nbreak") == "line\nbreak"


def test_a_refusal_names_what_cools_and_why() -> None:
    message = cooling_message(
        "gpt-4o", [Cooling("openai", "rate limited", 7.2), Cooling("azure", "out of credit", None)]
    )
    assert message == (
        "No provider of model 'gpt-4o' can be used now: "
        "openai (rate limited, for 8 s more); azure (out of credit)."
    )


def test_a_refusal_names_a_few_only() -> None:
    message = cooling_message("m", [Cooling(f"p{number}", "r", 1) for number in range(8)])
    assert "p4" in message
    assert "p5" not in message
    assert message.endswith("; and 3 more.")


def test_a_refusal_without_candidates_says_so() -> None:
    assert "none is configured" in cooling_message("m", [])


@pytest.mark.parametrize(
    ("seconds", "value"),
    [(None, "1"), (-3, "1"), (0, "1"), (0.2, "1"), (7.01, "8"), (1e12, "86400"), (float("nan"), "1")],
)
def test_retry_after_is_whole_seconds(seconds: float | None, value: str) -> None:
    assert retry_after(seconds) == value


def test_googles_shape() -> None:
    body = error_body(Dialect.GEMINI, ErrorKind.UNTRANSLATABLE, "no", param="tools[0]", request_id="req_1")
    error = json.loads(body)["error"]
    assert {name: error[name] for name in ("code", "message", "status")} == {
        "code": 400,
        "message": "no",
        "status": "INVALID_ARGUMENT",
    }
    info, request = error["details"]
    assert (info["reason"], info["domain"]) == ("UNSUPPORTED_PARAMETER", "cliproxy.io")
    assert request["fieldViolations"] == [{"field": "tools[0]", "description": "no"}]
    limited = json.loads(error_body(Dialect.GEMINI, ErrorKind.RATE_LIMITED, "wait", retry_after_s=29.2))[
        "error"
    ]
    assert (limited["status"], limited["details"][-1]["retryDelay"]) == ("RESOURCE_EXHAUSTED", "30s")


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_googles_word(kind: ErrorKind) -> None:
    error = json.loads(error_body(Dialect.GEMINI, kind, "m"))["error"]
    assert error["code"] == kind.status
    assert error["status"].isupper()
