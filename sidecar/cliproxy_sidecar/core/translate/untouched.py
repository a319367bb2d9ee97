"""A request that goes to a provider of the caller's own format: byte for byte, except for what must change.

The model's name in a body of OpenAI's or Anthropic's is `core.body`'s; Gemini has it in the path, and in some
bodies once more. Thoughts that another provider signed are taken out.
"""

from typing import Any, Final

import msgspec

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.body import with_model
from cliproxy_sidecar.core.dialect import CHAT, MESSAGES, RESPONSES, Dialect, Operation
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.translate.fields import Object, inner
from cliproxy_sidecar.core.translate.reasoning import without_foreign_thoughts
from cliproxy_sidecar.core.translate.responses_input import without_foreign_reasoning

_GEMINI: Final = ProviderType.GEMINI
_GEMINIS: Final = Dialect.GEMINI
_MODEL: Final = b'"model"'
_SIGNATURE: Final = b'"thought_signature"'
_Fields = dict[str, msgspec.Raw]
_FIELDS: Final = msgspec.json.Decoder(_Fields)
_LIST: Final = msgspec.json.Decoder(list[_Fields])
_encode: Final = msgspec.json.Encoder().encode


def untouched(operation: Operation, body: bytes, provider_type: ProviderType) -> bytes:
    """Return the body without the thoughts that another provider had; else byte for byte."""
    if operation is MESSAGES:
        return without_foreign_thoughts(body)
    if operation is RESPONSES:
        return without_foreign_reasoning(body)
    if operation is CHAT and provider_type is not _GEMINI and body.find(_SIGNATURE) >= 0:
        return _without_signatures(body)
    return body


def renamed(operation: Operation, body: bytes, public: str, upstream: str) -> bytes:
    """Return the body with the model's name changed, all other values as they were.

    Raises:
        RepeatedKeysError: see `with_model`.

    """
    if operation.dialect is not _GEMINIS:
        return with_model(body, public, upstream)
    if public == upstream or _MODEL not in body:
        return body
    try:
        return _encode(_renamed(_FIELDS.decode(body), f"models/{upstream.removeprefix('models/')}"))
    except JSON_FAULTS:
        return body


def _renamed(fields: _Fields, name: str) -> dict[str, Any]:
    """Change the name at the top, in a batch's requests and in a request to be counted."""
    found: dict[str, Any] = dict(fields)
    if "model" in found:
        found["model"] = name
    if "requests" in found:
        found["requests"] = [_renamed(one, name) for one in _LIST.decode(fields["requests"])]
    for inside in ("generateContentRequest", "generate_content_request"):
        if inside in found:
            found[inside] = _renamed(_FIELDS.decode(fields[inside]), name)
    return found


def _without_signatures(body: bytes) -> bytes:
    """Return a chat request without Gemini's signatures: others refuse a field that they do not know."""
    try:
        request = msgspec.json.decode(body)
    except JSON_FAULTS:
        return body
    messages = inner(request, "messages")
    for message in messages if isinstance(messages, list) else ():
        calls = inner(message, "tool_calls")
        for call in calls if isinstance(calls, list) else ():
            extra = inner(call, "extra_content")
            if isinstance(call, dict) and isinstance(extra, dict):
                _drop(call, extra)
    return _encode(request)


def _drop(call: Object, extra: Object) -> None:
    extra.pop("google", None)
    if not extra:
        del call["extra_content"]
