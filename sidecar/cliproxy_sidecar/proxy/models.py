"""`GET /v1/models` from the snapshot, in the shape that the caller's SDK expects.

Nothing is asked of providers: the list is what callers can use here, under the names they can use.
Sources: OpenAI API reference, models; Anthropic API documentation, models; Gemini API reference, models (all
read 2026-11).
"""

from typing import Any, Final

import msgspec

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.routing import PublicModel

_EPOCH: Final = "1970-01-01T00:00:00Z"
"""Nobody tells us when a model was made; the field is there because SDKs want it."""

_METHODS: Final = ("generateContent", "countTokens", "embedContent")
"""What may be asked; which models answer to embedContent is known to their providers only."""


def list_body(models: tuple[PublicModel, ...], dialect: Dialect) -> bytes:
    """Return the list of models in the shape of this dialect."""
    data = [_entry(model, dialect) for model in models]
    if dialect is Dialect.OPENAI:
        return msgspec.json.encode({"object": "list", "data": data})
    if dialect is Dialect.GEMINI:
        return msgspec.json.encode({"models": data})
    ends = {"first_id": models[0].name if models else None, "last_id": models[-1].name if models else None}
    return msgspec.json.encode({"data": data, "has_more": False, **ends})


def model_body(models: tuple[PublicModel, ...], dialect: Dialect, name: str) -> bytes | None:
    """Return one model; None if it is not served."""
    for model in models:
        if model.name == name:
            return msgspec.json.encode(_entry(model, dialect))
    return None


def _entry(model: PublicModel, dialect: Dialect) -> dict[str, Any]:
    if dialect is Dialect.ANTHROPIC:
        entry: dict[str, Any] = {
            "type": "model",
            "id": model.name,
            "display_name": model.name,
            "created_at": _EPOCH,
        }
        if model.context_window_tokens is not None:
            entry["max_input_tokens"] = model.context_window_tokens
        return entry
    if dialect is Dialect.GEMINI:
        entry = {
            "name": f"models/{model.name}",
            "baseModelId": model.name,
            "version": "",
            "displayName": model.name,
            "supportedGenerationMethods": list(_METHODS),
        }
        if model.context_window_tokens is not None:
            entry["inputTokenLimit"] = model.context_window_tokens
        return entry
    return {"id": model.name, "object": "model", "created": 0, "owned_by": model.owner}
