"""The resource types as a tree of fields with names, bounds, defaults and descriptions.

Read from the annotations once per type. `explain` turns it into sentences, `cliproxy_api.rules` checks
durations' bounds with it, and a test compares it with the schemas in `crds/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

_BOUNDS: Final = {
    "ge": "minimum",
    "le": "maximum",
    "min_length": "min",
    "max_length": "max",
    "pattern": "pattern",
}
_SCALARS: Final[dict[type[inspect.Type], str]] = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
}
_LENGTH_OF: Final = {"string": "Length", "array": "Items", "object": "Properties"}


@dataclass(frozen=True, slots=True)
class Shape:
    """One field or entry, in the words of OpenAPI."""

    type: str
    """object, array, string, integer, number, boolean, or int-or-string."""
    description: str = ""
    required: bool = False
    default: Any = None
    """Plain JSON; None: no default."""
    enum: tuple[str, ...] = ()
    bounds: Mapping[str, Any] = field(default_factory=dict)
    """minimum, maxLength, pattern, format, x-at-least ..."""
    properties: Mapping[str, "Shape"] = field(default_factory=dict)
    """Of an object with named fields."""
    entries: "Shape | None" = None
    """Of an array, or of an object that is a map."""
    keys: tuple[str, ...] = ()
    """Of a map: the only keys it takes; empty: any."""


@cache
def shape_of(struct: type[msgspec.Struct]) -> Shape:
    """Return the tree of a resource type, or of any struct in it."""
    return _shape(inspect.type_info(struct))


def _shape(info: inspect.Type) -> Shape:  # noqa: PLR0911 -- one line per type
    match info:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            more = dict(extra or {})
            description = more.pop("description", "")
            shape = _shape(inner)
            return replace(
                shape,
                description=description or shape.description,
                keys=more.pop("x-keys", shape.keys),
                bounds={**shape.bounds, **more},
            )
        case inspect.UnionType(types=types):
            return _union([_shape(one) for one in types if not isinstance(one, inspect.NoneType)])
        case inspect.StructType(cls=cls, fields=fields):
            # A list's entries have no annotation of their own: the type's first line describes them.
            return Shape(
                type="object",
                description=(cls.__doc__ or "").partition("\n")[0],
                properties={one.encode_name: _field(one) for one in fields},
            )
        case inspect.DictType(key_type=key, value_type=value):
            bounds, words = _bounds(info, "object"), _shape(key).enum
            return Shape(type="object", bounds=bounds, entries=_shape(value), keys=words)
        case inspect.VarTupleType(item_type=item):
            return Shape(type="array", bounds=_bounds(info, "array"), entries=_shape(item))
        case inspect.EnumType(cls=cls):
            return Shape(type="string", enum=tuple(word.value for word in cls))
        case _:
            kind = _SCALARS[type(info)]
            return Shape(type=kind, bounds=_bounds(info, kind))


def _union(shapes: list[Shape]) -> Shape:
    if len(shapes) == 1:
        return shapes[0]
    bounds: dict[str, Any] = {}
    for shape in shapes:
        bounds |= shape.bounds
    return Shape(type="int-or-string", bounds=bounds)


def _field(info: inspect.Field) -> Shape:
    shape = replace(_shape(info.type), required=info.required)
    default = info.default
    if default is msgspec.NODEFAULT and info.default_factory is not msgspec.NODEFAULT:
        default = info.default_factory()
    if default is None or default is msgspec.NODEFAULT:
        return shape
    return replace(shape, default=msgspec.to_builtins(default))


def _bounds(info: inspect.Type, kind: str) -> dict[str, Any]:
    bounds = {}
    for attribute, word in _BOUNDS.items():
        value = getattr(info, attribute, None)
        if value is not None:
            bounds[word + _LENGTH_OF[kind] if word in ("min", "max") else word] = value
    return bounds
