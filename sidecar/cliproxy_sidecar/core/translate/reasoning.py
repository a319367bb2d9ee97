"""Thinking: how much is asked for, and whose thoughts may be shown to whom.

A provider signs its thoughts and refuses those that it has not signed. So thoughts of another provider carry
a mark in place of the signature on their way to a caller, and are taken out when they come back.
Sources: OpenAI API reference, reasoning_effort; Anthropic API documentation, extended thinking, adaptive
thinking and effort; names of models in both lists of models (read 2026-11).
"""

import re
from typing import Final

import msgspec

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.translate.draft import Destination
from cliproxy_sidecar.core.translate.fields import Object, inner

FOREIGN: Final = "cliproxy-unsigned"
"""Stands for the signature of a thought that its provider did not sign."""
_OURS: Final = "cliproxy-"
"""Begins all signatures that Anthropic did not write: Gemini's too travel under a mark."""
_OURS_BYTES: Final = b'"' + _OURS.encode()
_THOUGHTS: Final = ("thinking", "redacted_thinking")

_BUDGETS_TOKENS: Final = {"low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
"""For Claude before 4.6, which takes a budget; in the other direction a budget up to this is that effort."""
_LEAST_BUDGET_TOKENS: Final = 1024
_EFFORTS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_CLAUDE: Final = re.compile(r"claude-(?:[a-z]+-)*(\d{1,2})(?:[-.](\d{1,2})(?!\d))?")
_FIRST_WITH_BUDGET: Final = (3, 7)
_FIRST_ADAPTIVE: Final = (4, 6)
_REASONS: Final = re.compile(
    r"(?:^|[/._-])(?:o[1-9](?:$|-)|gpt-[5-9](?!.*chat)|gpt-oss|gemini-(?:2\.5|[3-9])|grok-[3-9]|qwen3|magistral)"
)
"""OpenAI-like models that take `reasoning_effort`; all others refuse a request that has it."""


def thinking_for(effort: str, destination: Destination, max_tokens: int) -> Object | None:
    """Return the fields of an Anthropic request that ask for as much thinking; None: the model takes none."""
    match = _CLAUDE.search(destination.model)
    version = (int(match[1]), int(match[2] or 0)) if match is not None else (0, 0)
    if version < _FIRST_WITH_BUDGET or effort not in {"none", *_EFFORTS}:
        return None
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    if version >= _FIRST_ADAPTIVE:
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": _EFFORTS[effort]}}
    budget = min(_BUDGETS_TOKENS[_EFFORTS[effort]], max_tokens - 1)
    if budget < _LEAST_BUDGET_TOKENS:
        return None
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def budget_of(effort: str) -> int:
    """Return how many tokens an effort may take, 0 if it is none."""
    return _BUDGETS_TOKENS.get(_EFFORTS.get(effort, ""), 0)


def reasons(destination: Destination) -> bool:
    """Whether an OpenAI-like model takes `reasoning_effort`."""
    return _REASONS.search(destination.model.lower()) is not None


def effort_for(thinking: object, config: object, destination: Destination) -> str | None:
    """Return the `reasoning_effort` that equals Anthropic's fields; None: nothing is asked, or can be."""
    if not reasons(destination):
        return None
    effort = inner(config, "effort")
    if isinstance(effort, str):
        # Beyond "high" the words are OpenAI's newest; other servers know three.
        known = _EFFORTS.get(effort)
        newest = destination.provider_type in {ProviderType.OPENAI, ProviderType.AZURE_OPENAI}
        return (
            "xhigh"
            if newest and known in {"xhigh", "max"}
            else "high"
            if known in {"xhigh", "max"}
            else known
        )
    budget = inner(thinking, "budget_tokens")
    if inner(thinking, "type") != "enabled" or not isinstance(budget, int):
        return None
    return next((name for name in ("low", "medium") if budget <= _BUDGETS_TOKENS[name]), "high")


def is_ours_to_drop(block: object) -> bool:
    """Whether a content block is a thought without Anthropic's signature."""
    signature = inner(block, "signature")
    return inner(block, "type") == "thinking" and (not signature or _is_foreign(signature))


def _is_foreign(signature: object) -> bool:
    return isinstance(signature, str) and signature.startswith(_OURS)


def is_thought(block: object) -> bool:
    """Whether a content block is one of Anthropic's thoughts."""
    return inner(block, "type") in _THOUGHTS


def without_foreign_thoughts(body: bytes) -> bytes:
    """Return an Anthropic request without the thoughts that another provider had; else byte for byte.

    They come when a conversation began at a provider of another format and now goes to Anthropic itself.
    """
    if _OURS_BYTES not in body:
        return body
    try:
        request = msgspec.json.decode(body)
    except JSON_FAULTS:
        return body
    messages = inner(request, "messages")
    if not isinstance(messages, list):
        return body
    kept: list[object] = []
    for message in messages:
        content = inner(message, "content")
        if isinstance(content, list):
            content[:] = [block for block in content if not _is_foreign(inner(block, "signature"))]
        if content != []:
            kept.append(message)
    return msgspec.json.encode({**request, "messages": kept})
