"""Tools of the Responses API as chat functions, and calls back again.

A custom tool takes free text instead of JSON; elsewhere it is a function with one text, which is what Codex
itself offers to models without custom tools. Tools that OpenAI would run itself are left out and named: to be
without them is no reason to refuse a coding agent that offers them always.
Source: OpenAI API reference, responses, tools (read 2026-11).
"""

from typing import Final

import msgspec

from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.translate.draft import Draft
from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    inner,
    kind_of,
    mapping,
    objects,
    text,
)

INPUT: Final = "input"
"""The one parameter of a custom tool."""
_RUN_BY_OPENAI: Final = (
    "web_search",
    "web_search_preview",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
)
_CHOICES: Final = ("auto", "none", "required")


def tools_to_chat_form(draft: Draft, tools: object) -> list[Object]:
    """Return chat functions."""
    found: list[Object] = []
    for field, tool in objects(tools, "tools"):
        kind = kind_of(tool, field)
        if kind == "function":
            found.append(_function(tool, field))
        elif kind == "custom":
            found.append(_custom(draft, tool, field))
        elif kind.startswith(_RUN_BY_OPENAI):
            draft.leave_out(f"tools[].{kind[:40]}")
        else:
            raise TranslationError(f"{field}.type", f"{kind[:40]!r} has no equal")
    return found


def _function(tool: Object, field: str) -> Object:
    kept = ("description", "strict", "parameters")
    function: Object = {"name": text(tool.get("name"), f"{field}.name")}
    function |= {name: tool[name] for name in kept if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _custom(draft: Draft, tool: Object, field: str) -> Object:
    said = tool.get("description")
    description = "" if said is None else text(said, f"{field}.description")
    grammar = inner(tool, "format", "definition")
    if isinstance(grammar, str):
        # No other provider holds a model to it, but a model that has read it mostly keeps to it.
        draft.leave_out("tools[].format")
        description = f"{description}\n\nThe input follows this grammar:\n{grammar}".strip()
    parameters = {"type": "object", "properties": {INPUT: {"type": "string"}}, "required": [INPUT]}
    name = text(tool.get("name"), f"{field}.name")
    function: Object = {"name": name, "parameters": parameters}
    return {"type": "function", "function": function | ({"description": description} if description else {})}


def choice_to_chat_form(choice: object) -> object:
    """Return a chat tool choice."""
    if isinstance(choice, str):
        if choice in _CHOICES:
            return choice
        raise TranslationError("tool_choice", f"{choice[:40]!r} is not known")
    chosen = mapping(choice, "tool_choice")
    kind = kind_of(chosen, "tool_choice")
    if kind not in ("function", "custom"):
        raise TranslationError("tool_choice.type", f"{kind[:40]!r} has no equal")
    return {"type": "function", "function": {"name": text(chosen.get("name"), "tool_choice.name")}}


def custom_names(request: Object) -> frozenset[str]:
    """Return the names of a request's custom tools."""
    tools = request.get("tools")
    customs = [tool for tool in tools if inner(tool, "type") == "custom"] if isinstance(tools, list) else []
    return frozenset(str(tool.get("name")) for tool in customs)


def custom_arguments(written: str) -> str:
    """Return a custom call's text as a function's arguments."""
    return msgspec.json.encode({INPUT: written}).decode()


def custom_input(arguments: str) -> str:
    """Return the text that a function call's arguments hold for a custom tool; else they are it."""
    try:
        found = inner(msgspec.json.decode(arguments), INPUT)
    except JSON_FAULTS:
        return arguments
    return found if isinstance(found, str) else arguments
