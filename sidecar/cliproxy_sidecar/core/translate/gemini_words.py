"""What Gemini says, in chat's words and back: why an answer ended, token counts, signatures of thoughts.

Sources: Gemini API reference, generateContent and UsageMetadata; Gemini API documentation, thought signatures
and OpenAI compatibility (all read 2026-11). Accounting is `core.usage`'s, from the provider's own figures.
"""

import re
from typing import Final

from cliproxy_sidecar.core.answer import GEMINI_FILTER_ENDS
from cliproxy_sidecar.core.translate.fields import Object, count, inner

SIGNED: Final = "cliproxy-gemini-"
"""Begins the signature of a thought that is Gemini's, where it travels in Anthropic's or OpenAI's form."""
SKIP_SIGNATURE: Final = "skip_thought_signature_validator"
"""Stands for the signature of a call that another model made; Google's documentation names it for that."""
_WANTS_SIGNATURES: Final = re.compile(r"gemini-(?:[3-9]|\d\d)")
_ENDS: Final = {
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "model_length": "MAX_TOKENS",
    "insufficient_system_resource": "OTHER",
}


def is_withheld(reason: object) -> bool:
    """Whether a candidate ended by one of the provider's filters."""
    return isinstance(reason, str) and reason in GEMINI_FILTER_ENDS


def finish_of(reason: object, *, called: bool) -> str:
    """Return chat's word for why a candidate ended; Gemini has none of its own for calls."""
    if is_withheld(reason):
        return "content_filter"
    if reason == "MAX_TOKENS":
        return "length"
    return "tool_calls" if called else "stop"


def reason_of(finish: object) -> str:
    """Return Gemini's word for why a choice ended."""
    return _ENDS.get(finish, "STOP") if isinstance(finish, str) else "STOP"


def usage_from_gemini(usage: object) -> Object:
    """Return chat's figures: the prompt with results of Google's own tools, the completion with thoughts."""
    prompt = count(inner(usage, "promptTokenCount")) + count(inner(usage, "toolUsePromptTokenCount"))
    reasoning = count(inner(usage, "thoughtsTokenCount"))
    completion = count(inner(usage, "candidatesTokenCount")) + reasoning
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": count(inner(usage, "cachedContentTokenCount"))},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def usage_to_gemini(usage: object) -> Object:
    """Return Gemini's figures for chat's; see `usages.usage_to_messages` for who counts how."""
    prompt = count(inner(usage, "prompt_tokens"))
    completion = count(inner(usage, "completion_tokens"))
    total = max(count(inner(usage, "total_tokens")), prompt + completion)
    hit = count(inner(usage, "prompt_cache_hit_tokens"))
    cached = count(inner(usage, "prompt_tokens_details", "cached_tokens")) or hit
    beside = total - prompt - completion
    reasoning = count(inner(usage, "completion_tokens_details", "reasoning_tokens"))
    thoughts = max(reasoning, beside) if beside else min(reasoning, completion)
    found: Object = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion if beside else completion - thoughts,
        "totalTokenCount": total,
    }
    if cached:
        found["cachedContentTokenCount"] = min(cached, prompt)
    if thoughts:
        found["thoughtsTokenCount"] = thoughts
    return found


def signature_of_call(call: Object) -> str:
    """Return the signature that a chat call carries, as Google's OpenAI-compatible endpoint names it."""
    found = inner(call, "extra_content", "google", "thought_signature")
    return found if isinstance(found, str) else ""


def signed_call(signature: object) -> Object:
    """Return the field of a chat call that carries a signature; none if there is none."""
    if not isinstance(signature, str) or not signature:
        return {}
    return {"extra_content": {"google": {"thought_signature": signature}}}


def signature_of_thought(block: object) -> str:
    """Return Gemini's signature that an Anthropic thought carries for us."""
    found = inner(block, "signature")
    return found.removeprefix(SIGNED) if isinstance(found, str) and found.startswith(SIGNED) else ""


def wants_signatures(model: str) -> bool:
    """Whether the model refuses calls in the conversation that carry no signature: Gemini since 3."""
    return _WANTS_SIGNATURES.search(model.lower()) is not None
