"""Deterministic stand-ins for a model: text, token counts, tool arguments, vectors.

Everything depends on the request only, so that a test can say beforehand what a provider will answer.
Putting it into a provider's format is left to the format modules.
"""

import hashlib
import math
import re
import struct
import zlib
from typing import Any

_PIECE = re.compile(r"\S+\s*|\s+")
_TAILS = (
    "That is a fine question, and here is a short answer.",
    "Let us look at it step by step.",
    "In short: yes, with care.",
    "It depends, but most of the time it works.",
)
PROMPT_ECHO_CHARS = 200
"""How much of the prompt an answer repeats: enough to recognise it, bounded for huge prompts."""
CHARS_PER_TOKEN = 4
"""The rule of thumb that providers themselves give for English text."""
SCHEMA_DEPTH = 8
"""How deep an example follows a schema: schemas may refer to themselves."""


def count_tokens(text: str) -> int:
    """Return the token count of a text: a quarter of its characters, rounded up."""
    return -(-len(text) // CHARS_PER_TOKEN)


def plain_text(content: Any) -> str:
    """Return the text inside a message's content, be it a string or a list of parts or blocks."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(filter(None, map(_part_text, content)))
    return ""


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    text = part.get("text")
    return text if isinstance(text, str) else plain_text(part.get("content"))


def reply_to(prompt: str) -> str:
    """Return the answer to a prompt; the same prompt always gets the same answer."""
    shown = prompt[:PROMPT_ECHO_CHARS].strip()
    tail = _TAILS[zlib.crc32(prompt.encode()) % len(_TAILS)]
    return f"You said: {shown}. {tail}" if shown else tail


def cut(text: str, max_tokens: int | None) -> tuple[str, bool]:
    """Return the text within `max_tokens`, and whether it had to be cut."""
    if max_tokens is None or count_tokens(text) <= max_tokens:
        return text, False
    return text[: max_tokens * CHARS_PER_TOKEN], True


def pieces(text: str, count: int | None) -> list[str]:
    """Split a text for streaming: into `count` parts of about equal length, or by words. Joined: the text."""
    if count is None:
        return _PIECE.findall(text)
    size = max(1, -(-len(text) // max(1, count)))
    return [text[at : at + size] for at in range(0, len(text), size)]


def example(schema: Any, prompt: str, *, root: Any = None, depth: int = SCHEMA_DEPTH) -> Any:
    """Return a value that fits a JSON schema, as a model would fill in a tool's arguments."""
    if not isinstance(schema, dict) or depth == 0:
        return None
    root = schema if root is None else root
    if isinstance(ref := schema.get("$ref"), str):
        return example(_resolve(ref, root), prompt, root=root, depth=depth - 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return example(schema[key][0], prompt, root=root, depth=depth - 1)
    allowed = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(allowed, list) and allowed:
        return allowed[0]
    return _typed(schema, prompt, root, depth)


def _typed(schema: dict[str, Any], prompt: str, root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        inner = schema.get("properties")
        inner = inner if isinstance(inner, dict) else {}
        return {name: example(sub, prompt, root=root, depth=depth - 1) for name, sub in inner.items()}
    if kind == "array":
        return [example(schema.get("items", {}), prompt, root=root, depth=depth - 1)]
    scalars = {"integer": 1, "number": 1.5, "boolean": True, "null": None}
    return scalars.get(str(kind), prompt[:40].strip() or "text")


def _resolve(ref: str, root: Any) -> Any:
    found = root
    for step in ref.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def vector(text: str, dimensions: int) -> list[float]:
    """Return a unit vector that depends on the text only."""
    raw = hashlib.shake_256(text.encode()).digest(2 * dimensions)
    values = struct.unpack(f"<{dimensions}h", raw)
    length = math.sqrt(sum(v * v for v in values)) or 1.0
    return [v / length for v in values]
