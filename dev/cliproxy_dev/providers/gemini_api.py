"""Gemini's own API: which method a request means, the caller's faults, the normal answer.

Bodies are left to `gemini_content.py`, misbehaviour to `play.py`. Like Google's servers it refuses fields
that it does not know, and, for models since 3, calls in the conversation that carry no signature.
Source: Gemini API reference, models, embeddings, tokens; Google's error model (read 2026-11).
"""

from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from cliproxy_dev.providers import gemini_content, presets
from cliproxy_dev.providers.answer import Answer
from cliproxy_dev.providers.call import Call, Problem
from cliproxy_dev.providers.flavours import GEMINI, encode
from cliproxy_dev.providers.script import Normal
from cliproxy_dev.providers.server import Request
from cliproxy_dev.providers.stamp import Stamp

_VERSIONS: Final = ("/v1beta", "/v1", "/v1alpha")
_PREFIX: Final = "/models"
_EVENT_STREAM: Final = (("content-type", "text/event-stream"), ("content-disposition", "attachment"))
_STATUS_NAMES: Final = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "INVALID_ARGUMENT",
}
_METHODS: Final = (
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
)
_KNOWN: Final = {
    "generateContent": gemini_content.GENERATE_FIELDS,
    "streamGenerateContent": gemini_content.GENERATE_FIELDS,
    "countTokens": frozenset({"contents", "generateContentRequest"}),
    "embedContent": gemini_content.EMBED_FIELDS,
    "batchEmbedContents": frozenset({"requests"}),
}


class GeminiApi:
    """Answers as Google would. `models` None: every model name is served."""

    base_path = ""

    def __init__(self, models: tuple[str, ...] | None) -> None:
        self._models = models

    def key_of(self, request: Request) -> str | None:
        """Return the credential that a request carries, None without one."""
        key = request.headers.get("x-goog-api-key")
        query_key = parse_qs(request.query).get("key") if "key=" in request.query else None
        return key or (query_key[0] if query_key else None)

    def refuse(self, key: str | None, stamp: Stamp) -> Answer:
        """Return Google's exact refusal of a missing or wrong credential."""
        record = presets.signal("gemini.permission_denied" if key is None else "gemini.api_key_invalid")
        told = msgspec.json.decode(record.body)  # The compatible endpoint wraps its errors in a list.
        return self._answer(stamp, record.status, encode(told[0] if isinstance(told, list) else told))

    def model_of(self, request: Request, _call: Call | Problem) -> str | None:
        """Return the model that the path names."""
        name = _path(request).removeprefix(f"{_PREFIX}/").rpartition(":")[0]
        return name or None

    def answer(self, request: Request, call: Call | Problem, knobs: Normal, stamp: Stamp) -> Answer:
        """Return the normal answer, or Google's refusal of a faulty request."""
        path = _path(request)
        if request.too_big:
            return self._fault(stamp, 413, "Request payload size exceeds the limit.")
        if request.method == "GET" and (path == _PREFIX or path.startswith(f"{_PREFIX}/")):
            return self._catalogue(path, stamp)
        return self._call(request, call, knobs, stamp)

    def _call(self, request: Request, call: Call | Problem, knobs: Normal, stamp: Stamp) -> Answer:
        path = _path(request)
        model, _, method = path.removeprefix(f"{_PREFIX}/").rpartition(":")
        if not path.startswith(f"{_PREFIX}/") or method not in _METHODS or request.method != "POST":
            return self._fault(stamp, 404, f"Not Found: {path}")
        if isinstance(call, Problem) and call.param is None:
            return self._fault(stamp, 400, f"Invalid JSON payload received. {call.message}")
        body = gemini_content.canonical(msgspec.json.decode(request.body or b"{}"))
        if self._models is not None and model not in self._models:
            message = f"models/{model} is not found for API version v1beta, or is not supported for {method}."
            return self._fault(stamp, 404, message)
        fault = self._fault_in(body, model, method)
        if fault is not None:
            return self._fault(stamp, 400, fault)
        return self._generate(request, body, model, method, knobs, stamp)

    def _fault_in(self, body: Any, model: str, method: str) -> str | None:
        if not isinstance(body, dict):
            return "Invalid JSON payload received. Root element must be a message."
        unknown = next((name for name in body if name not in _KNOWN[method]), None)
        if unknown is not None:
            return f'Invalid JSON payload received. Unknown name "{unknown}": Cannot find field.'
        if method in {"generateContent", "streamGenerateContent"}:
            return gemini_content.fault_in(body, model)
        named = [body.get("generateContentRequest"), *body.get("requests", ())]
        for one in named:
            if isinstance(one, dict) and one.get("model") != f"models/{model}":
                return f"* Request.model: must be models/{model}"
        return None

    def _generate(  # noqa: PLR0917 -- what an answer depends on
        self, request: Request, body: dict[str, Any], model: str, method: str, knobs: Normal, stamp: Stamp
    ) -> Answer:
        match method:
            case "generateContent":
                return self._answer(stamp, 200, encode(gemini_content.content(body, knobs, stamp, model)))
            case "streamGenerateContent":
                chunks = gemini_content.chunks(body, knobs, stamp, model)
                if "alt=sse" not in request.query:
                    return self._answer(stamp, 200, encode(list(chunks)))
                events = tuple(b"data: " + msgspec.json.encode(chunk) + b"\r\n\r\n" for chunk in chunks)
                return Answer(200, (*_EVENT_STREAM, *GEMINI.headers(stamp)), events=events)
            case "countTokens":
                counted = body.get("generateContentRequest", body)
                return self._answer(
                    stamp, 200, encode({"totalTokens": gemini_content.prompt_tokens(counted)})
                )
            case "embedContent":
                return self._answer(stamp, 200, encode({"embedding": gemini_content.embedding(body)}))
            case _:
                vectors = [gemini_content.embedding(one) for one in body.get("requests", ())]
                return self._answer(stamp, 200, encode({"embeddings": vectors}))

    def _catalogue(self, path: str, stamp: Stamp) -> Answer:
        names = GEMINI.models if self._models is None else self._models
        if path == _PREFIX:
            return self._answer(stamp, 200, encode({"models": [_entry(name) for name in names]}))
        name = path.removeprefix(f"{_PREFIX}/")
        if name not in names:
            return self._fault(stamp, 404, f"Model is not found: models/{name} for api version v1beta")
        return self._answer(stamp, 200, encode(_entry(name)))

    def _fault(self, stamp: Stamp, status: int, message: str) -> Answer:
        error = {"code": status, "message": message, "status": _STATUS_NAMES[status]}
        return self._answer(stamp, status, encode({"error": error}))

    def _answer(self, stamp: Stamp, status: int, body: bytes) -> Answer:
        return Answer(status, (("content-type", GEMINI.content_type), *GEMINI.headers(stamp)), body)


def _path(request: Request) -> str:
    """Return what follows the version."""
    path = unquote(request.path)
    return next((path.removeprefix(one) for one in _VERSIONS if path.startswith(f"{one}/")), "")


def _entry(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
