"""Anthropic's API: which endpoint a request means, the caller's faults, the normal answer.

Bodies are left to `anthropic_messages.py`, misbehaviour to `play.py`.
Source: Anthropic API documentation, messages, models, errors, rate limits (read 2026-11).
"""

from typing import Any
from urllib.parse import unquote

import msgspec

from cliproxy_dev.providers import anthropic_messages, presets
from cliproxy_dev.providers.answer import Answer, Headers
from cliproxy_dev.providers.call import Call, Problem
from cliproxy_dev.providers.script import Normal
from cliproxy_dev.providers.server import Request
from cliproxy_dev.providers.stamp import Stamp

MODELS = ("claude-sonnet-5", "claude-opus-5", "claude-haiku-4-5", "claude-sonnet-4-5")
EVENT_STREAM = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_LIMITS = (("input-tokens", "400000"), ("output-tokens", "80000"), ("requests", "4000"), ("tokens", "480000"))
_ORGANISATION = "4f6f7c56-0c3c-4d0b-9b0e-2f8d3a1b5c6d"
_MESSAGES = "/v1/messages"
_COUNT_TOKENS = "/v1/messages/count_tokens"
_encode = msgspec.json.Encoder().encode


class AnthropicApi:
    """Answers as Anthropic would. `models` None: every model name is served."""

    base_path = ""

    def __init__(self, models: tuple[str, ...] | None) -> None:
        self._models = models

    def key_of(self, request: Request) -> str | None:
        """Return the credential that a request carries: an API key, or a login's bearer token."""
        key = request.headers.get("x-api-key")
        if key:
            return key
        return request.headers.get("authorization", "").removeprefix("Bearer ").strip() or None

    def refuse(self, key: str | None, stamp: Stamp) -> Answer:
        """Return Anthropic's exact refusal of a missing or wrong credential."""
        message = "x-api-key header is required" if key is None else "invalid x-api-key"
        record = presets.signal("anthropic.authentication")
        return self._fault(stamp, record.status, "authentication_error", message)

    def model_of(self, _request: Request, call: Call | Problem) -> str | None:
        """Return the model that a request names."""
        return call.model if isinstance(call, Call) else None

    def answer(self, request: Request, call: Call | Problem, knobs: Normal, stamp: Stamp) -> Answer:
        """Return the normal answer, or Anthropic's refusal of a faulty request."""
        if request.too_big:
            return self._fault(stamp, 413, "request_too_large", "Request exceeds the maximum size")
        if "anthropic-version" not in request.headers:
            return self._invalid(stamp, "anthropic-version: header is required")
        path = request.path
        if path == "/v1/models" or path.startswith("/v1/models/"):
            return self._catalogue(request, stamp)
        if path not in (_MESSAGES, _COUNT_TOKENS):
            return self._fault(stamp, 404, "not_found_error", "Not Found")
        if request.method != "POST":
            return self._wrong_method(stamp)
        return self._generate(path, call, knobs, stamp)

    def _generate(self, path: str, call: Call | Problem, knobs: Normal, stamp: Stamp) -> Answer:
        if isinstance(call, Problem):
            return self._invalid(stamp, _unreadable(call))
        fault = _fault_in(call, counting=path == _COUNT_TOKENS)
        if fault is not None:
            return self._invalid(stamp, fault)
        if self._models is not None and call.model not in self._models:
            return self._fault(stamp, 404, "not_found_error", f"model: {call.model}")
        if path == _COUNT_TOKENS:
            return self._answer(stamp, 200, {"input_tokens": anthropic_messages.input_tokens(call)})
        return self._message(call, knobs, stamp)

    def _message(self, call: Call, knobs: Normal, stamp: Stamp) -> Answer:
        model = call.model or ""
        if call.stream:
            events = tuple(anthropic_messages.events(call, knobs, stamp, model))
            return Answer(200, (*EVENT_STREAM, *_headers(stamp)), events=events)
        return self._answer(stamp, 200, anthropic_messages.message(call, knobs, stamp, model))

    def _catalogue(self, request: Request, stamp: Stamp) -> Answer:
        if request.method != "GET":
            return self._wrong_method(stamp)
        names = MODELS if self._models is None else self._models
        if request.path == "/v1/models":
            first, last = (names[0], names[-1]) if names else (None, None)
            entries = [_entry(name) for name in names]
            page = {"data": entries, "has_more": False, "first_id": first, "last_id": last}
            return self._answer(stamp, 200, page)
        name = unquote(request.path.removeprefix("/v1/models/"))
        if name not in names:
            return self._fault(stamp, 404, "not_found_error", f"model: {name}")
        return self._answer(stamp, 200, _entry(name))

    # ------------------------------------------------------------------ answers
    def _wrong_method(self, stamp: Stamp) -> Answer:
        return self._fault(stamp, 405, "invalid_request_error", "Method Not Allowed")

    def _invalid(self, stamp: Stamp, message: str) -> Answer:
        return self._fault(stamp, 400, "invalid_request_error", message)

    def _fault(self, stamp: Stamp, status: int, type_: str, message: str) -> Answer:
        error = {"type": type_, "message": message}
        return self._answer(
            stamp, status, {"type": "error", "error": error, "request_id": _request_id(stamp)}
        )

    def _answer(self, stamp: Stamp, status: int, body: dict[str, Any]) -> Answer:
        return Answer(status, (("content-type", "application/json"), *_headers(stamp)), _encode(body))


def _unreadable(problem: Problem) -> str:
    if problem.param is None:
        return f"The request body is not valid JSON: {problem.message}"
    return f"{problem.param}: Input should be valid. {problem.message}"


def _fault_in(call: Call, *, counting: bool) -> str | None:
    """Return what is wrong with a body, in the order of Anthropic's own checks; None if it is sound."""
    required = (
        ("model", call.model),
        ("messages", call.messages),
        ("max_tokens", counting or call.max_tokens),
    )
    for name, value in required:
        if value is None:
            return f"{name}: Field required"
    return None if call.messages else "messages: at least one message is required"


def _entry(name: str) -> dict[str, Any]:
    shown = name.replace("-", " ").title()
    return {"type": "model", "id": name, "display_name": shown, "created_at": "2025-02-19T00:00:00Z"}


def _request_id(stamp: Stamp) -> str:
    return stamp.id("req_011C", 20)


def _headers(stamp: Stamp) -> Headers:
    now = stamp.rfc3339
    limits = [
        pair
        for bucket, limit in _LIMITS
        for pair in (
            (f"anthropic-ratelimit-{bucket}-limit", limit),
            (f"anthropic-ratelimit-{bucket}-remaining", limit),
            (f"anthropic-ratelimit-{bucket}-reset", now),
        )
    ]
    return (
        *limits,
        ("anthropic-organization-id", _ORGANISATION),
        ("request-id", _request_id(stamp)),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("via", "1.1 google"),
        ("cf-cache-status", "DYNAMIC"),
    )
