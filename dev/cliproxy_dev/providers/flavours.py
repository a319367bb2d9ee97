"""How providers with an OpenAI-shaped API differ: paths, credentials, headers, error envelopes.

Data only (providers' documentation, read 2026-11). Endpoints and checks, which they share, are left to
`openai_api.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from cliproxy_dev.providers.answer import Headers
from cliproxy_dev.providers.stamp import Stamp

JSON = "application/json"
_STATUS_NAMES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 405: "UNIMPLEMENTED", 413: "INVALID_ARGUMENT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A caller's fault, before it is put into a provider's envelope."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    type_: str = "invalid_request_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One provider's dialect. `prefix` stands before the endpoint in a path and ends in a slash.

    A credential is read from the first of `key_headers` that is there; `no_key` and `wrong_key` name the
    recorded signals that refuse a caller; `base_path` makes the SDK's base URL from the origin.
    """

    prefix: str
    base_path: str
    key_headers: tuple[str, ...]
    no_key: str
    wrong_key: str
    models: tuple[str, ...]
    owner: str
    content_type: str
    headers: Callable[[Stamp], Headers]
    envelope: Callable[[Fault], Any]
    deployments: bool = False


def encode(data: Any) -> bytes:
    """Return JSON indented by two, as OpenAI and Google write theirs."""
    return msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"


def _openai_envelope(fault: Fault) -> Any:
    error = {"message": fault.message, "type": fault.type_, "param": fault.param, "code": fault.code}
    return {"error": error}


def _groq_envelope(fault: Fault) -> Any:
    code = {} if fault.code is None else {"code": fault.code}
    return {"error": {"message": fault.message, "type": fault.type_} | code}


def _azure_envelope(fault: Fault) -> Any:
    if fault.status == 404:  # noqa: PLR2004 -- the gateway answers it, in its own shape
        code, message = fault.code or "404", fault.message
        return {
            "error": {"code": "DeploymentNotFound" if code == "model_not_found" else code, "message": message}
        }
    return _openai_envelope(fault)


def _gemini_envelope(fault: Fault) -> Any:
    status = _STATUS_NAMES.get(fault.status, "INVALID_ARGUMENT")
    return [{"error": {"code": fault.status, "message": fault.message, "status": status}}]


def _openai_headers(stamp: Stamp) -> Headers:
    return (
        ("openai-organization", "acme"),
        ("openai-processing-ms", "14"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "1999984"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "0s"),
        ("x-request-id", stamp.hex_id("req_")),
    )


def _azure_headers(stamp: Stamp) -> Headers:
    number = stamp.hex_id("")
    trace = f"{number[:8]}-{number[8:12]}-4{number[13:16]}-a{number[17:20]}-{number[20:]}"
    return (
        ("apim-request-id", trace),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("x-ms-region", "Sweden Central"),
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-limit-tokens", "10000"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-remaining-tokens", "9984"),
        ("x-request-id", trace),
    )


def _gemini_headers(_stamp: Stamp) -> Headers:
    return (
        ("server", "scaffolding on HTTPServer2"),
        ("vary", "Origin, X-Origin, Referer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
    )


def _groq_headers(stamp: Stamp) -> Headers:
    return (
        ("vary", "Origin"),
        ("x-groq-region", "fra"),
        ("x-ratelimit-limit-requests", "14400"),  # per day here, unlike OpenAI's
        ("x-ratelimit-limit-tokens", "6000"),
        ("x-ratelimit-remaining-requests", "14370"),
        ("x-ratelimit-remaining-tokens", "5997"),
        ("x-ratelimit-reset-requests", "2m59.56s"),
        ("x-ratelimit-reset-tokens", "30ms"),
        ("x-request-id", stamp.id("req_01", 24)),
    )


OPENAI = Flavour(
    prefix="/v1/",
    base_path="/v1",
    key_headers=("authorization",),
    no_key="openai.no_api_key",
    wrong_key="openai.invalid_api_key",
    models=(
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4.1",
        "o4-mini",
        "text-embedding-3-small",
        "text-embedding-3-large",
    ),
    owner="system",
    content_type=JSON,
    headers=_openai_headers,
    envelope=_openai_envelope,
)
AZURE = Flavour(
    prefix="/openai/v1/",
    base_path="",
    key_headers=("api-key", "authorization"),
    no_key="azure.access_denied",
    wrong_key="azure.access_denied",
    models=("gpt-4o", "gpt-4o-mini", "text-embedding-3-small"),
    owner="azure",
    content_type=JSON,
    headers=_azure_headers,
    envelope=_azure_envelope,
    deployments=True,
)
GEMINI = Flavour(
    prefix="/v1beta/openai/",
    base_path="/v1beta/openai",
    key_headers=("authorization", "x-goog-api-key"),
    no_key="gemini.permission_denied",
    wrong_key="gemini.api_key_invalid",
    models=("gemini-2.5-pro", "gemini-2.5-flash", "gemini-embedding-001"),
    owner="google",
    content_type="application/json; charset=UTF-8",
    headers=_gemini_headers,
    envelope=_gemini_envelope,
)
GROQ = Flavour(
    prefix="/openai/v1/",
    base_path="/openai/v1",
    key_headers=("authorization",),
    no_key="groq.invalid_api_key",
    wrong_key="groq.invalid_api_key",
    models=("llama-3.3-70b-versatile", "llama-3.1-8b-instant"),
    owner="Meta",
    content_type=JSON,
    headers=_groq_headers,
    envelope=_groq_envelope,
)
