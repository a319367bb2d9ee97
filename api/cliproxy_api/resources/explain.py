"""What is wrong with an object, field by field, in sentences that say what to write instead.

The verdict is `parse`'s (msgspec's); this module finds words for it, and finds all problems, not the first.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from cliproxy_api.durations import DURATION_HELP, DURATION_PATTERN
from cliproxy_api.money import MONEY_HELP, MONEY_PATTERN
from cliproxy_api.resources import common
from cliproxy_api.resources.common import HEADER_VALUE
from cliproxy_api.resources.shape import Shape

_HELP: Final = {
    DURATION_PATTERN: DURATION_HELP,
    MONEY_PATTERN: MONEY_HELP,
    common.DNS_LABEL: "a name of lower-case letters, digits and '-', without '-' at its ends",
    common.DNS_SUBDOMAIN: "an object's name: lower-case letters, digits, '-' and '.'",
    common.HTTP_URL: "an http:// or https:// address without user, query and fragment",
    common.INSTANT: "an instant such as 2026-11-30T12:00:00Z",
    common.LABEL_KEY: "a label's key such as team or example.com/team",
    common.LABEL_VALUE: "a label's value: letters, digits, '-', '_' and '.'",
    common.MODEL_NAME: "a model's name: letters, digits and . _ : / @ + -, without spaces",
    HEADER_VALUE: "printable ASCII text without line breaks",
    common.SECRET_DATA_KEY: "a key in a Secret: letters, digits, '-', '_' and '.'",
}
_NOUNS: Final = {
    "object": "a map of fields",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "int-or-string": "a whole number or a quoted decimal",
}
_CLASSES: Final[dict[str, tuple[type, ...]]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
}
_SHOWN: Final = 60


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    path: str
    """The field, such as `spec.models[0].name`."""
    message: str
    """What is wrong and what to do, to be read after the path."""


def problems(shape: Shape, value: Any, path: str) -> Iterator[Problem]:
    """Yield what keeps `value` from being what `shape` says, in the order of the fields."""
    if not _is(shape.type, value):
        yield Problem(path, f"must be {_wanted(shape)}, not {_seen(value)}")
    elif isinstance(value, Mapping):
        yield from _bounds(shape, len(value), path, "Properties")
        yield from _map(shape, value, path) if shape.entries else _object(shape, value, path)
    elif isinstance(value, list | tuple):
        yield from _bounds(shape, len(value), path, "Items")
        if shape.entries:
            for number, entry in enumerate(value):
                yield from problems(shape.entries, entry, f"{path}[{number}]")
    elif isinstance(value, str):
        yield from _string(shape, value, path)
    elif not isinstance(value, bool):
        yield from _number(shape, value, path)


def child(path: str, key: str) -> str:
    """Return the path of a field or of a map's entry."""
    return f"{path}.{key}" if re.fullmatch(r"[A-Za-z0-9_]+", key) else f"{path}[{key!r}]"


def _object(shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for name, field in shape.properties.items():
        if name in value:
            yield from problems(field, value[name], child(path, name))
        elif field.required:
            what = field.description[:1].lower() + field.description[1:].rstrip(".")
            yield Problem(child(path, name), f"is required: {what}" if what else "is required")


def _map(shape: Shape, value: Mapping[Any, Any], path: str) -> Iterator[Problem]:
    for key, entry in value.items():
        if not isinstance(key, str):
            yield Problem(path, f"has the key {_seen(key)}; keys must be strings")
        elif shape.keys and key not in shape.keys:
            yield Problem(child(path, key), f"is not known here; use one of {', '.join(shape.keys)}")
        elif shape.entries:
            yield from problems(shape.entries, entry, child(path, key))


def _string(shape: Shape, value: str, path: str) -> Iterator[Problem]:
    bounds = shape.bounds
    if shape.enum and value not in shape.enum:
        yield Problem(path, f"must be {_wanted(shape)}, not {_seen(value)}")
    elif bounds.get("minLength", 0) > 0 and not value:
        yield Problem(path, f"must not be empty: {_wanted(shape)}")
    elif len(value) > bounds.get("maxLength", len(value)):
        yield Problem(path, f"has {len(value)} characters; at most {bounds['maxLength']} are allowed")
    elif len(value) < bounds.get("minLength", 0) or not re.search(bounds.get("pattern", ""), value):
        yield Problem(path, f"must be {_wanted(shape)}, not {_seen(value)}")


def _number(shape: Shape, value: float, path: str) -> Iterator[Problem]:
    low, high = shape.bounds.get("minimum"), shape.bounds.get("maximum")
    if (low is not None and value < low) or (high is not None and value > high):
        yield Problem(path, f"must be {_range(low, high)}, not {value}")


def _bounds(shape: Shape, count: int, path: str, what: str) -> Iterator[Problem]:
    low, high = shape.bounds.get(f"min{what}"), shape.bounds.get(f"max{what}")
    if (low is not None and count < low) or (high is not None and count > high):
        yield Problem(path, f"must have {_range(low, high)} entries, not {count}")


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _is(kind: str, value: object) -> bool:
    if kind == "int-or-string":
        return isinstance(value, str) or _is("integer", value)
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _CLASSES[kind])


def _wanted(shape: Shape) -> str:
    if shape.enum:
        return f"one of {', '.join(shape.enum)}"
    pattern = shape.bounds.get("pattern")
    if shape.type == "string" and pattern is not None:
        return _HELP.get(pattern, f"a text that matches {pattern}")
    return _NOUNS[shape.type]


def _seen(value: object) -> str:
    if isinstance(value, Mapping):
        return _NOUNS["object"]
    if isinstance(value, list | tuple):
        return _NOUNS["array"]
    if isinstance(value, bool):
        return str(value).lower()
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
    return f"the number {shown}" if isinstance(value, int | float) else shown
