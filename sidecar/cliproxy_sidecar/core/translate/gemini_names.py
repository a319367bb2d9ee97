"""Field names of Gemini's callers in one spelling: Google takes `systemInstruction` and `system_instruction`.

Its SDKs mix both in one request. What the fields mean is the translators'. Source: protocol buffers,
ProtoJSON format (read 2026-11).
"""

from typing import Any, Final

from cliproxy_sidecar.core.translate.fields import Object

_FREE: Final = frozenset(
    {"args", "response", "parametersJsonSchema", "responseJsonSchema", "labels", "enum", "default", "example"}
)
"""Fields whose content is the caller's own."""
_KEYED: Final = frozenset({"properties", "$defs", "defs"})
"""Fields whose keys are the caller's own, but not what stands under them."""


def canonical(request: Object) -> Object:
    """Return a request with the names of its fields as Google's reference spells them.

    Raises:
        RecursionError: it is nested too deeply.

    """
    found: Object = {}
    for sent, value in request.items():
        name = _camel(sent)
        if name in _FREE:
            found[name] = value
        elif name in _KEYED and isinstance(value, dict):
            found[name] = {key: _value(item) for key, item in value.items()}
        else:
            found[name] = _value(value)
    return found


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return canonical(value)
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value


def _camel(name: str) -> str:
    if "_" not in name:
        return name
    first, *rest = name.split("_")
    return first + "".join([part[:1].upper() + part[1:] for part in rest])
