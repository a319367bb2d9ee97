"""Words that mean the same: why an answer ended, and what kind of error it was.

Sources: OpenAI API reference, chat completion object and error codes; Anthropic API documentation, handling
stop reasons and errors (all read 2026-11).
"""

from typing import Final

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STOP: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    # Mistral's and DeepSeek's words for an answer that is not whole.
    "model_length": "max_tokens",
    "insufficient_system_resource": "max_tokens",
}
_ANTHROPIC_BY_STATUS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUS_BY_WORD: Final = {
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 429,
    "overloaded_error": 529,
    "unavailable": 503,
    "timeout_error": 504,
}
"""For errors inside streams, which have no status of their own."""
_OPENAI_BY_STATUS: Final = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "not_found"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("server_error", "service_unavailable"),
    504: ("server_error", "timeout"),
    529: ("server_error", "overloaded"),
}
SERVER_FAULT: Final = 500


def finish_reason(stop_reason: object) -> str:
    """Return OpenAI's word for why an Anthropic answer ended; an unknown reason is an ordinary end."""
    return _FINISH.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def stop_reason(finish: object, *, called: bool, refused: bool) -> str:
    """Return Anthropic's word for why an OpenAI answer ended.

    Some servers say "stop" although they call tools: an Anthropic caller would not run them.
    """
    if refused:
        return "refusal"
    found = _STOP.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    return "tool_use" if called and found == "end_turn" else found


def anthropic_error_type(status: int) -> str:
    """Return Anthropic's word for an HTTP status."""
    fallback = "api_error" if status >= SERVER_FAULT else "invalid_request_error"
    return _ANTHROPIC_BY_STATUS.get(status, fallback)


def openai_error_type(status: int) -> tuple[str, str | None]:
    """Return OpenAI's type and code for an HTTP status."""
    fallback = "server_error" if status >= SERVER_FAULT else "invalid_request_error"
    return _OPENAI_BY_STATUS.get(status, (fallback, None))


def status_of_words(words: tuple[str, ...]) -> int:
    """Return the HTTP status that an error inside a stream would have had."""
    return next((_STATUS_BY_WORD[word] for word in words if word in _STATUS_BY_WORD), SERVER_FAULT)
