"""A reference page per kind, from its CRD: every field with its type, default, bounds and meaning. Pure.

Reading and writing files is left to `__main__`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_NUMERIC_BOUNDS: Final = (("minimum", "≥"), ("maximum", "≤"))
_DURATION_PATTERN: Final = "([0-9]{1,9}ms)?$"
"""How the pattern of every duration ends in our CRDs."""


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a reference table."""

    path: str
    """As kubectl explain takes it: `spec.credentials[].name`."""
    kind: str
    default: str
    description: str


def page(crd: Mapping[str, Any]) -> str:
    """Return the Markdown page of one CRD."""
    spec = crd["spec"]
    names = spec["names"]
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    parts = [
        f"# {names['kind']}\n",
        f"{schema['description']}\n",
        _about(spec["group"], version["name"], names),
        "Made from the schema by `make docs`; do not edit.\n",
        "## Columns of kubectl get\n",
        *_table(
            ("column", "meaning", "only with `-o wide`"),
            (
                (item["name"], item.get("description", ""), "yes" if item.get("priority") else "")
                for item in version.get("additionalPrinterColumns", ())
            ),
        ),
    ]
    for part in ("spec", "status"):
        fields = list(fields_of(schema["properties"][part], part))
        parts += [f"\n## {part}\n", f"{schema['properties'][part].get('description', '')}\n"]
        if part == "spec":
            rows = ((f"`{row.path}`", row.kind, row.default, row.description) for row in fields)
            parts += _table(("field", "type", "default", "meaning"), rows)
        else:
            parts += _table(
                ("field", "type", "meaning"), ((f"`{row.path}`", row.kind, row.description) for row in fields)
            )
    return "\n".join(parts) + "\n"


def _about(group: str, version: str, names: Mapping[str, Any]) -> str:
    return (
        f"Version `{group}/{version}`, namespaced. Short names: {_code(names['shortNames'])}; "
        f"`kubectl get {names['categories'][0]}` lists all kinds of the category. "
        f"On a server: `kubectl explain {names['singular']}.spec`.\n"
    )


def fields_of(schema: Mapping[str, Any], path: str) -> Iterator[Field]:
    """Yield the fields below a schema, depth first, in the order in which they are written."""
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        inner = f"{path}.{name}"
        default = "required" if name in required else _default(child)
        yield Field(inner, _kind(child), default, child.get("description", ""))
        yield from _below(child, inner)


def _below(schema: Mapping[str, Any], path: str) -> Iterator[Field]:
    if items := schema.get("items"):
        yield from _below_item(items, f"{path}[]")
    elif isinstance(values := schema.get("additionalProperties"), Mapping):
        yield from _below_item(values, f"{path}.*")
    else:
        yield from fields_of(schema, path)


def _below_item(schema: Mapping[str, Any], path: str) -> Iterator[Field]:
    yield from fields_of(schema, path) if "properties" in schema else _below(schema, path)


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a type in a reader's words, bounds included."""
    if schema.get("x-kubernetes-int-or-string"):
        return "number or text"
    if choices := schema.get("enum"):
        return "one of " + _code(choices)
    if schema.get("type") == "array":
        return "list of " + _kind(schema.get("items", {}))
    if isinstance(values := schema.get("additionalProperties"), Mapping):
        return "map of " + _kind(values)
    if schema.get("type") == "string":
        return _text_kind(schema)
    kind = str(schema.get("type", "object"))
    return " ".join([kind, *(f"{sign} {schema[name]}" for name, sign in _NUMERIC_BOUNDS if name in schema)])


def _text_kind(schema: Mapping[str, Any]) -> str:
    if str(schema.get("pattern", "")).endswith(_DURATION_PATTERN):
        return "duration"
    return "time" if schema.get("format") == "date-time" else "text"


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    if value is None or value in ({}, []):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _code(values: Any) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
