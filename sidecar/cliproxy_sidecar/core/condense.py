"""What can be done about a request that a model finds too long: a larger model, or a shorter conversation.

Both are asked for by the profile (`condensation`) and tried only after a provider has said so, since only the
provider counts its tokens. Asking again is the data path's.
"""

from typing import Any, Final

import msgspec

from cliproxy_sidecar.core.dialect import Dialect, Need
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.routing import RoutingTable
from cliproxy_sidecar.core.target import Target

_TURNS: Final = {
    Dialect.OPENAI: "messages",
    Dialect.ANTHROPIC: "messages",
    Dialect.RESPONSES: "input",
    Dialect.GEMINI: "contents",
}
"""Where a format keeps the conversation."""
_INSTRUCTIONS: Final = frozenset({"system", "developer"})
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_encode: Final = msgspec.json.Encoder().encode


def larger_model(table: RoutingTable, wanted: str, target: Target) -> str | None:
    """Return the name of the model to try instead of `wanted`, which was too small at `target`.

    The one with the least window above that of the target; if the target's is not known, the largest that is.
    None: no larger one is known. `models[].contextWindow` tells the windows.
    """
    size = target.model.context_window_tokens
    found = sorted(
        (model.context_window_tokens, model.name)
        for model in table.models
        if model.context_window_tokens is not None
        and model.name != wanted
        and (size is None or model.context_window_tokens > size)
        and table.groups(Need.CONVERSATION, model.name) is not None
    )
    if not found:
        return None
    return found[0][1] if size is not None else found[-1][1]


def without_oldest(dialect: Dialect, body: bytes, keep: int) -> tuple[bytes, int] | None:
    """Return the request without the older half of what may go, and how many messages that were.

    Instructions stay, and so do the `keep` newest messages. What is left begins with words of the user: never
    with a tool's result whose call is gone. None: nothing can be left out so, or the body is not as expected.
    """
    try:
        fields = _FIELDS.decode(body)
        items = _ITEMS.decode(fields[_TURNS[dialect]])
        turns = [msgspec.json.decode(item) for item in items]
    except (*JSON_FAULTS, KeyError):
        return None
    talk = [position for position, turn in enumerate(turns) if not _instructs(turn)]
    most = len(talk) - keep
    starts = [count for count in range(1, most + 1) if _opens(dialect, turns[talk[count]])]
    if not starts:
        return None
    dropped = next((count for count in starts if count >= (most + 1) // 2), starts[-1])
    gone = set(talk[:dropped])
    fields[_TURNS[dialect]] = msgspec.Raw(
        _encode([item for position, item in enumerate(items) if position not in gone])
    )
    return _encode(fields), dropped


def _instructs(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.get("role") in _INSTRUCTIONS


def _opens(dialect: Dialect, turn: Any) -> bool:
    """Whether a conversation may begin with this: the user's own words."""
    if not isinstance(turn, dict) or turn.get("role", "user") != "user":
        return False
    if dialect is Dialect.RESPONSES:
        return bool(turn.get("type", "message") == "message")
    parts = turn.get("parts" if dialect is Dialect.GEMINI else "content")
    if not isinstance(parts, list):
        return True
    return not any(
        isinstance(part, dict)
        and (part.get("type") == "tool_result" or "functionResponse" in part or "function_response" in part)
        for part in parts
    )
