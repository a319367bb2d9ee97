"""Functions, their choice and schemas, between chat's and Gemini's form.

Gemini takes JSON schemas as they are (`parametersJsonSchema`, `responseJsonSchema`) beside its older form of
its own, which is read, not written. Sources: Gemini API reference, Tool, ToolConfig and Schema (read
2026-11).
"""

from typing import Any, Final

from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    kind_of,
    mapping,
    objects,
    sequence,
    text,
)

_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_CHOICES: Final = {"AUTO": "auto", "NONE": "none", "ANY": "required", "MODE_UNSPECIFIED": "auto"}
_NESTED: Final = ("items", "additionalProperties")
_LISTED: Final = ("anyOf", "prefixItems")
_NAMED: Final = ("properties", "$defs", "defs")
_WHOLE: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
"""Google writes 64-bit numbers as strings."""


# ------------------------------------------------------------------------ to Gemini
def tools_to_gemini(tools: object) -> list[Object]:
    """Return Gemini's tools: one with all functions."""
    declared = [_declared(tool, field) for field, tool in objects(tools, "tools")]
    return [{"functionDeclarations": declared}] if declared else []


def _declared(tool: Object, field: str) -> Object:
    kind = kind_of(tool, field)
    if kind != "function":
        raise TranslationError(f"{field}.type", f"{kind[:40]!r} tools have no equal; use a function")
    function = mapping(tool.get("function"), f"{field}.function")
    found: Object = {"name": text(function.get("name"), f"{field}.function.name")}
    if function.get("description") is not None:
        found["description"] = text(function["description"], f"{field}.function.description")
    if function.get("parameters"):
        found["parametersJsonSchema"] = mapping(function["parameters"], f"{field}.function.parameters")
    return found


def choice_to_gemini(choice: object) -> Object:
    """Return Gemini's tool configuration."""
    if isinstance(choice, str):
        if choice not in _MODES:
            raise TranslationError("tool_choice", f"{choice[:40]!r} is not known")
        return _config({"mode": _MODES[choice]})
    chosen = mapping(choice, "tool_choice")
    kind = kind_of(chosen, "tool_choice")
    if kind != "function":
        raise TranslationError("tool_choice.type", f"{kind[:40]!r} has no equal")
    function = mapping(chosen.get("function"), "tool_choice.function")
    name = text(function.get("name"), "tool_choice.function.name")
    return _config({"mode": "ANY", "allowedFunctionNames": [name]})


def _config(calling: Object) -> Object:
    return {"functionCallingConfig": calling}


# ---------------------------------------------------------------------- from Gemini
def tools_from_gemini(tools: object) -> list[Object]:
    """Return chat functions; tools that Google runs itself cannot run elsewhere."""
    found: list[Object] = []
    for field, tool in objects(tools, "tools"):
        for name, value in tool.items():
            if name != "functionDeclarations" and value is not None:
                raise TranslationError(f"{field}.{name[:40]}", "is a tool that Google runs itself")
            declared = objects([] if value is None else value, f"{field}.{name}")
            found += [_function(one, place) for place, one in declared]
    return found


def _function(declared: Object, field: str) -> Object:
    function: Object = {"name": text(declared.get("name"), f"{field}.name")}
    if declared.get("description") is not None:
        function["description"] = text(declared["description"], f"{field}.description")
    schema = declared.get("parametersJsonSchema")
    if schema is not None:
        function["parameters"] = mapping(schema, f"{field}.parametersJsonSchema")
    elif declared.get("parameters") is not None:
        function["parameters"] = json_schema(declared["parameters"], f"{field}.parameters")
    return {"type": "function", "function": function}


def choice_from_gemini(config: Object, tools: list[Object]) -> tuple[object, list[Object]]:
    """Return chat's tool choice, and the tools that may be called: chat can name one tool or all."""
    calling = mapping(config.get("functionCallingConfig") or {}, "toolConfig.functionCallingConfig")
    mode = text(calling.get("mode") or "AUTO", "toolConfig.functionCallingConfig.mode")
    if mode not in _CHOICES:
        raise TranslationError("toolConfig.functionCallingConfig.mode", f"{mode[:40]!r} has no equal")
    allowed = calling.get("allowedFunctionNames")
    if not allowed:
        return _CHOICES[mode], tools
    names = sequence(allowed, "toolConfig.functionCallingConfig.allowedFunctionNames")
    tools = [tool for tool in tools if tool["function"]["name"] in names]
    if mode == "ANY" and len(names) == 1:
        return {"type": "function", "function": {"name": names[0]}}, tools
    return _CHOICES[mode], tools


def json_schema(schema: object, field: str) -> Object:
    """Return Gemini's older form of a schema as JSON schema: types in small letters, `nullable` a type."""
    found: Object = {}
    given = mapping(schema, field)
    for name, value in given.items():
        where = f"{field}.{name[:40]}"
        if name == "type":
            found["type"] = text(value, where).lower()
        elif name in _NESTED and isinstance(value, dict):
            found[name] = json_schema(value, where)
        elif name in _LISTED:
            found[name] = [json_schema(item, place) for place, item in objects(value, where)]
        elif name in _NAMED:
            inner = mapping(value, where).items()
            found[name] = {key: json_schema(item, f"{where}.{key[:40]}") for key, item in inner}
        elif name in _WHOLE:
            found[name] = _number(value)
        elif name not in ("nullable", "propertyOrdering"):
            found[name] = value
    if given.get("nullable") is True and "type" in found:
        found["type"] = [found["type"], "null"]
    return found


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
