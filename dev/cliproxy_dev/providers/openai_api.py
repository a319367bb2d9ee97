"""An OpenAI-shaped API: which endpoint a request means, the caller's faults, the normal answer.

Bodies are left to `openai_chat.py` and `openai_more.py`, differences between providers to `flavours.py`, and
misbehaviour to `play.py`.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from cliproxy_dev.providers import openai_chat, openai_more, presets
from cliproxy_dev.providers.answer import Answer
from cliproxy_dev.providers.call import Call, Problem
from cliproxy_dev.providers.flavours import Fault, Flavour, encode
from cliproxy_dev.providers.script import Normal
from cliproxy_dev.providers.server import Request
from cliproxy_dev.providers.stamp import Stamp

EVENT_STREAM = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_DEPLOYMENTS = "/openai/deployments/"
_SAFE = {
    name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")
}
_MIN_MASKED_CHARS = 12

Builder = Callable[[Call, Normal, Stamp, str], Answer]


class OpenAIApi:
    """Answers as a provider of this flavour would. `models` None: every model name is served."""

    def __init__(self, flavour: Flavour, models: tuple[str, ...] | None) -> None:
        self.flavour = flavour
        self.base_path = flavour.base_path
        self._models = models
        self._endpoints: dict[str, tuple[str, Builder]] = {
            "chat/completions": ("messages", self._chat),
            "completions": ("prompt", self._legacy),
            "embeddings": ("input", self._embeddings),
            "responses": ("input", self._responses),
        }

    def key_of(self, request: Request) -> str | None:
        """Return the credential that a request carries, None without one."""
        for name in self.flavour.key_headers:
            value = request.headers.get(name)
            if value:
                return value.removeprefix("Bearer ").strip()
        query_key = parse_qs(request.query).get("key") if "key=" in request.query else None
        return query_key[0] if query_key else None

    def refuse(self, key: str | None, stamp: Stamp) -> Answer:
        """Return the provider's exact refusal of a missing or wrong credential."""
        record = presets.signal(self.flavour.no_key if key is None else self.flavour.wrong_key)
        body = record.body
        if key is not None and self.flavour.wrong_key == "openai.invalid_api_key":
            body = body.replace("sk-wrong****************rong", masked(key))
        return self._answer(stamp, record.status, body.encode())

    def model_of(self, request: Request, call: Call | Problem) -> str | None:
        """Return the upstream model or deployment that a request names."""
        if self.flavour.deployments and request.path.startswith(_DEPLOYMENTS):
            return unquote(request.path[len(_DEPLOYMENTS) :].partition("/")[0])
        return call.model if isinstance(call, Call) else None

    def answer(self, request: Request, call: Call | Problem, knobs: Normal, stamp: Stamp) -> Answer:
        """Return the normal answer, or the provider's refusal of a faulty request."""
        endpoint = self._endpoint(request)
        if request.too_big:
            return self._fault(stamp, Fault(status=413, message="Request body too large."))
        if endpoint is None:
            message = f"Invalid URL ({request.method} {request.path})"
            if self.flavour.deployments:
                message = "Resource not found"
            return self._fault(stamp, Fault(status=404, message=message))
        if endpoint == "models" or endpoint.startswith("models/"):
            return self._catalogue(request, endpoint, stamp)
        if request.method != "POST":
            return self._wrong_method(request, stamp)
        return self._generate(endpoint, request, call, knobs, stamp)

    def _endpoint(self, request: Request) -> str | None:
        path, flavour = request.path, self.flavour
        if flavour.deployments and not path.startswith(flavour.prefix):
            if "api-version=" not in request.query:
                return None
            if path.startswith(_DEPLOYMENTS):
                endpoint = path[len(_DEPLOYMENTS) :].partition("/")[2]
                return endpoint if endpoint in self._endpoints else None
            endpoint = path.removeprefix("/openai/")
            return endpoint if endpoint == "models" or endpoint.startswith("models/") else None
        if not path.startswith(flavour.prefix):
            return None
        endpoint = path[len(flavour.prefix) :]
        known = endpoint in self._endpoints or endpoint == "models" or endpoint.startswith("models/")
        return endpoint if known else None

    def _generate(
        self, endpoint: str, request: Request, call: Call | Problem, knobs: Normal, stamp: Stamp
    ) -> Answer:
        if isinstance(call, Problem):
            return self._fault(stamp, _unreadable(call))
        model = self.model_of(request, call)
        if not model:
            return self._fault(stamp, Fault(status=400, message="you must provide a model parameter"))
        if self._models is not None and model not in self._models:
            return self._unknown_model(model, stamp)
        required, build = self._endpoints[endpoint]
        if getattr(call, required) is None:
            message = f"Missing required parameter: '{required}'."
            fault = Fault(status=400, message=message, code="missing_required_parameter", param=required)
            return self._fault(stamp, fault)
        return build(call, knobs, stamp, model)

    # ------------------------------------------------------------------ endpoints
    def _chat(self, call: Call, knobs: Normal, stamp: Stamp, model: str) -> Answer:
        if not call.stream:
            body = openai_chat.completion(call, knobs, stamp, model)
            if self.flavour.deployments:
                body["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _SAFE}]
            return self._answer(stamp, 200, encode(body))
        events = openai_chat.chunks(call, knobs, stamp, model)
        return self._stream(stamp, events, first=self._filter_event() if self.flavour.deployments else None)

    def _legacy(self, call: Call, knobs: Normal, stamp: Stamp, model: str) -> Answer:
        if call.stream:
            return self._stream(stamp, openai_chat.legacy_chunks(call, knobs, stamp, model))
        return self._answer(stamp, 200, encode(openai_chat.legacy(call, knobs, stamp, model)))

    def _embeddings(self, call: Call, _knobs: Normal, stamp: Stamp, model: str) -> Answer:
        return self._answer(stamp, 200, encode(openai_more.embeddings(call, model)))

    def _responses(self, call: Call, knobs: Normal, stamp: Stamp, model: str) -> Answer:
        if call.stream:
            return self._stream(stamp, openai_more.response_events(call, knobs, stamp, model))
        return self._answer(stamp, 200, encode(openai_more.response(call, knobs, stamp, model)))

    def _catalogue(self, request: Request, endpoint: str, stamp: Stamp) -> Answer:
        if request.method != "GET":
            return self._wrong_method(request, stamp)
        names = self.flavour.models if self._models is None else self._models
        if endpoint == "models":
            return self._answer(stamp, 200, encode(openai_more.model_list(names, self.flavour.owner)))
        name = unquote(endpoint.removeprefix("models/"))
        if name not in names:
            return self._unknown_model(name, stamp)
        return self._answer(stamp, 200, encode(openai_more.model_entry(name, self.flavour.owner)))

    # ------------------------------------------------------------------ answers
    def _unknown_model(self, model: str, stamp: Stamp) -> Answer:
        message = f"The model `{model}` does not exist or you do not have access to it."
        if self.flavour.deployments:
            message = _recorded_message("azure.deployment_not_found")
        return self._fault(stamp, Fault(status=404, message=message, code="model_not_found"))

    def _wrong_method(self, request: Request, stamp: Stamp) -> Answer:
        message = f"Not allowed to {request.method} on {request.path}."
        return self._fault(stamp, Fault(status=405, message=message, code="method_not_supported"))

    def _fault(self, stamp: Stamp, fault: Fault) -> Answer:
        return self._answer(stamp, fault.status, encode(self.flavour.envelope(fault)))

    def _answer(self, stamp: Stamp, status: int, body: bytes) -> Answer:
        headers = (("content-type", self.flavour.content_type), *self.flavour.headers(stamp))
        return Answer(status, headers, body)

    def _stream(self, stamp: Stamp, events: Iterable[bytes], first: bytes | None = None) -> Answer:
        begun = (first,) if first is not None else ()
        return Answer(200, (*EVENT_STREAM, *self.flavour.headers(stamp)), events=(*begun, *events))

    def _filter_event(self) -> bytes:
        """Return Azure's first event, which carries no choice: a trap for readers of `choices[0]`."""
        results = [{"prompt_index": 0, "content_filter_results": _SAFE}]
        empty: dict[str, Any] = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
        return openai_chat.event(empty | {"prompt_filter_results": results})


def masked(key: str) -> str:
    """Return a key as OpenAI repeats it in its refusal: both ends and stars between."""
    if len(key) <= _MIN_MASKED_CHARS:
        return "*" * len(key)
    return f"{key[:8]}{'*' * (len(key) - _MIN_MASKED_CHARS)}{key[-4:]}"


def _recorded_message(name: str) -> str:
    """Return the error message of a recorded signal in Azure's or OpenAI's envelope."""
    return str(msgspec.json.decode(presets.signal(name).body)["error"]["message"])


def _unreadable(problem: Problem) -> Fault:
    if problem.param is None:
        message = (
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
            "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not "
            "valid JSON.)"
        )
        return Fault(status=400, message=message)
    message = f"Invalid type for '{problem.param}': {problem.message}."
    return Fault(status=400, message=message, code="invalid_type", param=problem.param)
