"""Tools: definitions, choice, the arguments of calls, and ids, both ways.

Sources: OpenAI API reference, function calling; Anthropic API documentation, tool use (both read 2026-11).
"""

import re
from typing import Final

import msgspec

from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    flag,
    kind_of,
    mapping,
    objects,
    text,
)

UNPARSED: Final = "_unparsed_arguments"
"""Arguments that are no JSON object (a model's slip, or an answer cut by its limit) travel under this name in
an Anthropic `input`, which must be an object; on the way back they are as they were."""
ANY_INPUT: Final[Object] = {"type": "object", "properties": {}}
"""For functions without parameters; Anthropic wants a schema."""
_STRANGE: Final = re.compile(r"[^a-zA-Z0-9_-]")
_CHOICES_TO_MESSAGES: Final = {"auto": "auto", "none": "none", "required": "any"}
_CHOICES_TO_CHAT: Final = {"auto": "auto", "none": "none", "any": "required"}
_COMMON: Final = ("description", "strict")


# ---------------------------------------------------------------------- to messages
def tools_to_messages(tools: object) -> list[Object]:
    """Return Anthropic tools. What is no function passes as it is: Anthropic's own tools."""
    return [_tool_to_messages(tool, field) for field, tool in objects(tools, "tools")]


def _tool_to_messages(tool: Object, field: str) -> Object:
    kind = kind_of(tool, field)
    if kind == "custom":
        raise TranslationError(f"{field}.type", "custom tools have no equal; use a function")
    if kind != "function":
        return tool
    function = mapping(tool.get("function"), f"{field}.function")
    known = {name: function[name] for name in _COMMON if function.get(name) is not None}
    parameters = function.get("parameters")
    schema = ANY_INPUT if not parameters else mapping(parameters, f"{field}.function.parameters")
    # Extensions beside the function, such as cache_control, pass as they are.
    rest = {name: value for name, value in tool.items() if name not in {"type", "function"}}
    name = text(function.get("name"), f"{field}.function.name")
    return {"name": name, **known, "input_schema": {"type": "object", **schema}, **rest}


def choice_to_messages(choice: object, *, parallel: object) -> Object | None:
    """Return an Anthropic tool choice, None for the default."""
    found: Object | None = None
    if isinstance(choice, str):
        if choice not in _CHOICES_TO_MESSAGES:
            raise TranslationError("tool_choice", f"{choice[:40]!r} is not known")
        found = {"type": _CHOICES_TO_MESSAGES[choice]}
    elif choice is not None:
        chosen = mapping(choice, "tool_choice")
        kind = kind_of(chosen, "tool_choice")
        if kind != "function":
            raise TranslationError("tool_choice.type", f"{kind[:40]!r} has no equal")
        function = mapping(chosen.get("function"), "tool_choice.function")
        found = {"type": "tool", "name": text(function.get("name"), "tool_choice.function.name")}
    if parallel is not None and not flag(parallel, "parallel_tool_calls"):
        found = found or {"type": "auto"}
        if found["type"] != "none":
            found["disable_parallel_tool_use"] = True
    return found


def input_of(arguments: object, field: str) -> Object:
    """Return a call's arguments as an Anthropic input; see `UNPARSED`."""
    written = text(arguments, field)
    if not written.strip():
        return {}
    try:
        parsed = msgspec.json.decode(written)
    except (*JSON_FAULTS, UnicodeEncodeError):
        parsed = None
    return parsed if isinstance(parsed, dict) else {UNPARSED: written}


def id_to_messages(value: object, field: str) -> str:
    """Return a call's id; Anthropic takes only letters, digits, `_` and `-`, some servers send more."""
    return _STRANGE.sub("_", text(value, field)) or "_"


# -------------------------------------------------------------------------- to chat
def tools_to_chat(tools: object) -> list[Object]:
    """Return OpenAI functions; tools that run at Anthropic cannot run elsewhere."""
    return [_tool_to_chat(tool, field) for field, tool in objects(tools, "tools")]


def _tool_to_chat(tool: Object, field: str) -> Object:
    kind = tool.get("type")
    if kind not in (None, "custom"):
        raise TranslationError(f"{field}.type", f"{str(kind)[:40]!r} is a tool of Anthropic's own")
    function: Object = {"name": text(tool.get("name"), f"{field}.name")}
    function |= {name: tool[name] for name in _COMMON if tool.get(name) is not None}
    function["parameters"] = mapping(tool.get("input_schema"), f"{field}.input_schema")
    return {"type": "function", "function": function}


def choice_to_chat(choice: Object) -> tuple[object, bool | None]:
    """Return an OpenAI tool choice, and False if calls may not be parallel (None: nothing is said)."""
    kind = kind_of(choice, "tool_choice")
    found: object
    if kind == "tool":
        name = text(choice.get("name"), "tool_choice.name")
        found = {"type": "function", "function": {"name": name}}
    elif kind in _CHOICES_TO_CHAT:
        found = _CHOICES_TO_CHAT[kind]
    else:
        raise TranslationError("tool_choice.type", f"{kind[:40]!r} is not known")
    disabled = choice.get("disable_parallel_tool_use")
    alone = disabled is not None and flag(disabled, "tool_choice.disable_parallel_tool_use")
    return found, False if alone else None


def arguments_of(value: object, field: str) -> str:
    """Return an Anthropic input as a call's arguments; see `UNPARSED`."""
    given = mapping(value, field)
    if len(given) == 1 and isinstance(given.get(UNPARSED), str):
        return str(given[UNPARSED])
    return msgspec.json.encode(given).decode()
