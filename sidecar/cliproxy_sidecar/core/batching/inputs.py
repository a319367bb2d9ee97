"""What an embedding request asks for, and several of them as one request.

Source: OpenAI API reference, embeddings: `input` is a text, texts, one list of token ids, or lists of them
(read 2026-11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from cliproxy_sidecar.core.cache.key import canonical

BYTES_PER_TOKEN: Final = 4
"""As in `core.usage`: good enough to share a sum out."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of one request; texts and token lists cannot stand in one."""

    kind: Literal["text", "tokens"]
    items: Sequence[Any]
    tokens: int
    """Estimated, at least 1."""


def inputs_of(fields: dict[str, Any]) -> Inputs | None:
    """Return what the request asks for; None: nothing known, so that it is for the provider to judge."""
    given = fields.get("input")
    if isinstance(given, str):
        return Inputs("text", [given], _text_tokens([given])) if given else None
    if not isinstance(given, list) or not given:
        return None
    if all(isinstance(item, str) and item for item in given):
        return Inputs("text", given, _text_tokens(given))
    if all(_is_token(item) for item in given):
        return Inputs("tokens", [given], len(given))
    if all(isinstance(item, list) and item and all(map(_is_token, item)) for item in given):
        return Inputs("tokens", given, sum(map(len, given)))
    return None


def joined_body(fields: dict[str, Any], parts: Sequence[Inputs]) -> bytes | None:
    """Return the body that asks for all parts in order, else as `fields`; None: it cannot be written."""
    return canonical({**fields, "input": [item for part in parts for item in part.items]})


def _text_tokens(texts: Sequence[str]) -> int:
    return max(sum([len(text.encode("utf-8", "replace")) for text in texts]) // BYTES_PER_TOKEN, 1)


def _is_token(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)
