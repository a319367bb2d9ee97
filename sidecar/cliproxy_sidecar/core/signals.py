"""What providers' error answers mean, as data: words, texts and statuses, each with its source.

Rules are tried in order and the first that fits wins, so a body's own code beats the status and the special
case stands before the general one. The form of a rule is `verdict`'s; weighing the rules, scopes and hints
belongs to `outcome`; reading an error body to `errorbody`.

Texts that may take a key or model out of use (`opens`) are anchored at the start of the message: messages can
echo what a caller wrote, and a caller must not be able to cool a provider by quoting it.
"""

import re
from typing import Final

from cliproxy_api.vocabulary import OutcomeClass, ProviderType
from cliproxy_sidecar.core.verdict import Retry, Signal

_OPENAI = "OpenAI API reference, error codes and rate limits (read 2026-11)"
_ANTHROPIC = "Anthropic API documentation, errors and rate limits (read 2026-11)"
_AZURE = "Azure OpenAI documentation, quotas and limits; issue threads (read 2026-11)"
_GEMINI = "Gemini API documentation, rate limits and troubleshooting; issue threads (read 2026-11)"
_GROQ = "Groq API documentation, rate limits and error codes (read 2026-11)"
_BEDROCK = "AWS Bedrock documentation, common errors (read 2026-11)"

_TEXT_STATUSES = frozenset({400, 422, 500})
"""Where a too long prompt is reported in words; 500 because Gemini does so at times."""

BODY_SIGNALS: Final[tuple[Signal, ...]] = (
    Signal(
        cls=OutcomeClass.TOO_BIG,
        says="the request is larger than the provider takes",
        source=f"{_GROQ}: also with code rate_limit_exceeded, one request over TPM; {_ANTHROPIC}",
        statuses=frozenset({413}),
        anything=True,
    ),
    Signal(
        cls=OutcomeClass.TOO_BIG,
        says="the request is larger than the provider takes",
        source=_ANTHROPIC,
        words=frozenset({"request_too_large"}),
    ),
    Signal(
        cls=OutcomeClass.TOO_BIG,
        says="one request above the whole minute's token limit",
        source=f"{_OPENAI}: a 429 that no wait can mend",
        opens=("request too large",),
        statuses=frozenset({429}),
    ),
    Signal(
        cls=OutcomeClass.QUOTA_MONEY,
        says="credit or a spend limit is used up",
        source=f"{_OPENAI}; {_ANTHROPIC}",
        words=frozenset(
            {
                "insufficient_quota",
                "credit_balance_exhausted",
                "organization_spend_limit_exceeded",
                "project_spend_limit_exceeded",
                "organization_usage_limit_exceeded",
                "billing_hard_limit_reached",
                "billing_not_active",
                "billing_error",
                "enforced_spend_limit_reached",
            }
        ),
    ),
    Signal(
        cls=OutcomeClass.QUOTA_MONEY,
        says="credit or a usage limit is used up",
        source=f"{_ANTHROPIC}: billing hidden in a 400",
        opens=("your credit balance is too low", "you have reached your specified api usage limits"),
        statuses=frozenset({400, 403}),
        types=frozenset({ProviderType.ANTHROPIC}),
    ),
    Signal(
        cls=OutcomeClass.QUOTA_MONEY,
        says="this tier has no quota for the model (limit: 0)",
        source=f"{_GEMINI}: waiting does not help",
        pattern=re.compile(r"\blimit: 0(?![\d.]*\d)"),
        statuses=frozenset({429}),
        types=frozenset({ProviderType.GEMINI}),
    ),
    Signal(
        cls=OutcomeClass.QUOTA_LONG,
        says="the plan's usage limit is reached",
        source="ChatGPT/Codex login, issue threads (read 2026-11)",
        words=frozenset({"usage_limit_reached"}),
    ),
    Signal(
        cls=OutcomeClass.RAMP,
        says="the request rate grew too fast",
        source=f"{_OPENAI}; once a 503",
        words=frozenset({"slow_down"}),
    ),
    Signal(
        cls=OutcomeClass.FILTER,
        says="the provider's content filter refused",
        source=f"{_AZURE}; {_OPENAI}",
        words=frozenset({"content_filter", "responsibleaipolicyviolation", "content_policy_violation"}),
    ),
    Signal(
        cls=OutcomeClass.FILTER,
        says="the provider's content filter refused",
        source=_ANTHROPIC,
        opens=("output blocked by content filtering policy",),
        statuses=frozenset({400}),
    ),
    Signal(
        cls=OutcomeClass.CONTEXT,
        says="the prompt is longer than the model's context",
        source=f"{_OPENAI}; llama.cpp server (read 2026-11)",
        words=frozenset({"context_length_exceeded", "exceed_context_size_error"}),
    ),
    Signal(
        cls=OutcomeClass.CONTEXT,
        says="the prompt is longer than the model's context",
        source=f"{_ANTHROPIC}; {_BEDROCK}; {_GEMINI}; vLLM's OpenAI-compatible server (read 2026-11)",
        contains=(
            "prompt is too long",
            "exceed context limit",
            "input is too long",
            "maximum context length",
            "exceeds the maximum number of tokens",
        ),
        statuses=_TEXT_STATUSES,
    ),
    Signal(
        cls=OutcomeClass.CLIENT,
        says="the request names a file or answer that does not exist",
        source=f"{_ANTHROPIC}; {_OPENAI}: a 404 that is not about the model",
        words=frozenset({"previous_response_not_found"}),
        opens=("file not found", "no such file"),
        statuses=frozenset({400, 404}),
    ),
    Signal(
        cls=OutcomeClass.CLIENT,
        says="the request went to the wrong endpoint for the model",
        source=f"{_OPENAI}; issue threads (read 2026-11): a 404, though the model is there",
        opens=("this is not a chat model", "this is a chat model and not supported"),
        statuses=frozenset({400, 404}),
    ),
    Signal(
        cls=OutcomeClass.CLIENT,
        says="the model's tool call did not parse",
        source=f"{_GROQ}: a fault of sampling, a second try may pass",
        words=frozenset({"tool_use_failed"}),
        retry=Retry.SAME,
    ),
    Signal(
        cls=OutcomeClass.OVERLOADED,
        says="the provider is overloaded",
        source=f"{_ANTHROPIC}; {_OPENAI}; {_GROQ} (498); {_GEMINI}",
        words=frozenset(
            {
                "overloaded_error",
                "server_is_overloaded",
                "engine_overloaded",
                "capacity_exceeded",
                "unavailable",
                "service_unavailable",
                "serviceunavailable",
                "serviceunavailableexception",
                "modelnotreadyexception",
            }
        ),
    ),
    Signal(
        cls=OutcomeClass.OVERLOADED,
        says="the provider is overloaded",
        source=f"{_AZURE}: a 429 that speaks of the whole system, not of our rate; {_OPENAI}",
        contains=("experiencing high demand", "currently overloaded", "is overloaded"),
        statuses=frozenset({429}),
    ),
    Signal(
        cls=OutcomeClass.AUTH,
        says="the provider refuses the key",
        source=f"{_OPENAI}; {_ANTHROPIC}; {_GEMINI} (a 400); {_AZURE}; {_BEDROCK}",
        words=frozenset(
            {
                "invalid_api_key",
                "authentication_error",
                "permission_error",
                "api_key_invalid",
                "unauthenticated",
                "permission_denied",
                "permissiondenied",
                "account_deactivated",
                "unsupported_country_region_territory",
                "accessdeniedexception",
                "unrecognizedclientexception",
                "expiredtokenexception",
            }
        ),
    ),
    Signal(
        cls=OutcomeClass.CONFIG,
        says="the provider does not know or offer this model here",
        source=f"{_AZURE}; {_ANTHROPIC}; {_OPENAI}; {_GEMINI}",
        words=frozenset(
            {
                "deploymentnotfound",
                "not_found_error",
                "model_not_found",
                "failed_precondition",
                "operationnotsupported",
            }
        ),
    ),
    Signal(
        cls=OutcomeClass.QUOTA_LONG,
        says="the day's requests or tokens are used up",
        source=f"{_GROQ}: only the text says day; Cerebras, rate limits (read 2026-11); {_OPENAI}",
        pattern=re.compile(r"\b(?:tokens|requests|audio seconds) per day\b"),
        statuses=frozenset({429}),
    ),
    Signal(
        cls=OutcomeClass.RATE_LIMITED,
        says="the provider limits the rate",
        source=f"{_OPENAI}; {_ANTHROPIC}; {_AZURE}; {_GEMINI}; {_BEDROCK}",
        words=frozenset(
            {
                "rate_limit_exceeded",
                "rate_limit_error",
                "ratelimitexceeded",
                "ratelimitreached",
                "too_many_requests",
                "too_many_requests_error",
                "too_many_tokens_error",
                "resource_exhausted",
                "throttlingexception",
            }
        ),
    ),
)

STATUS_SIGNALS: Final[dict[int, Signal]] = {
    status: Signal(cls=cls, says=says, source="status alone", retry=retry)
    for statuses, cls, says, retry in (
        ((401, 403, 451), OutcomeClass.AUTH, "the provider refuses the key", None),
        ((402,), OutcomeClass.QUOTA_MONEY, "the provider wants payment", None),
        ((404, 410), OutcomeClass.CONFIG, "the provider does not know the model or the path", None),
        ((407,), OutcomeClass.CONFIG, "a proxy on the way wants authentication", None),
        ((408, 409, 425), OutcomeClass.CLIENT, "the request may be sent again", Retry.SAME),
        ((429,), OutcomeClass.RATE_LIMITED, "the provider limits the rate", None),
        ((498, 503, 529), OutcomeClass.OVERLOADED, "the provider is overloaded", None),
    )
    for status in statuses
}
"""For errors whose body says nothing; others go by their hundred."""

STREAM_SIGNALS: Final[tuple[Signal, ...]] = (
    Signal(
        cls=OutcomeClass.SERVER_ERROR,
        says="the provider failed inside the stream",
        source=f"{_ANTHROPIC}; {_OPENAI}; {_GEMINI}",
        words=frozenset(
            {
                "api_error",
                "server_error",
                "internal_error",
                "internal_server_error",
                "internalservererror",
                "internal",
                "deadline_exceeded",
                "timeout_error",
            }
        ),
    ),
    Signal(
        cls=OutcomeClass.CLIENT,
        says="the provider finds fault with the request",
        source=f"{_ANTHROPIC}; {_OPENAI}",
        words=frozenset({"invalid_request_error", "invalid_argument"}),
    ),
)
"""Words too general to outweigh a status; they decide only where there is none."""
