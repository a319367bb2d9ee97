"""Counting tokens between Anthropic's form and Gemini's own, both ways; estimates are `token_estimate`'s.

Sources: Anthropic API documentation, token counting; Gemini API reference, countTokens (read 2026-11).
"""

from typing import Final

from cliproxy_sidecar.core.translate.draft import Destination, Draft
from cliproxy_sidecar.core.translate.fields import Object, mapping, whole
from cliproxy_sidecar.core.translate.from_gemini_request import gemini_to_messages
from cliproxy_sidecar.core.translate.gemini_names import canonical
from cliproxy_sidecar.core.translate.to_gemini_request import messages_to_gemini

_COUNTED_BY_ANTHROPIC: Final = ("model", "messages", "system", "tools", "tool_choice")
_COUNTED_BY_GEMINI: Final = ("contents", "systemInstruction", "tools", "toolConfig")


def count_to_gemini(request: Object, destination: Destination) -> Draft:
    """Return Gemini's request for Anthropic's.

    Raises:
        TranslationError: a field has no equal.

    """
    draft = messages_to_gemini(request, destination)
    counted = {name: draft.body[name] for name in _COUNTED_BY_GEMINI if name in draft.body}
    name = f"models/{destination.model.removeprefix('models/')}"
    draft.body = {"generateContentRequest": {"model": name, **counted}}
    return draft


def count_from_gemini(answer: Object) -> Object:
    """Return Anthropic's answer for Gemini's.

    Raises:
        TranslationError: it is no count.

    """
    return {"input_tokens": whole(answer.get("totalTokens"), "totalTokens")}


def gemini_to_count(request: Object, destination: Destination) -> Draft:
    """Return Anthropic's request for Gemini's.

    Raises:
        TranslationError: a field has no equal.

    """
    draft = gemini_to_messages(counted_in(request), destination, stream=False)
    draft.body = {name: draft.body[name] for name in _COUNTED_BY_ANTHROPIC if name in draft.body}
    return draft


def count_to_callers_of_gemini(answer: Object) -> Object:
    """Return Gemini's answer for Anthropic's.

    Raises:
        TranslationError: it is no count.

    """
    return {"totalTokens": whole(answer.get("input_tokens"), "input_tokens")}


def counted_in(request: Object) -> Object:
    """Return what is to be counted: Gemini takes contents, or a whole request."""
    request = canonical(request)
    inside = request.get("generateContentRequest")
    return request if inside is None else mapping(inside, "generateContentRequest")
