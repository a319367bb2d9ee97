from __future__ import annotations

from cliproxy_dev.pages.__main__ import ROOT, generated
from cliproxy_dev.pages.reference import Field, fields_of

SCHEMA = {
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "description": "Who."},
        "wait": {"type": "string", "pattern": "^([0-9]{1,9}s)?([0-9]{1,9}ms)?$", "default": "5s"},
        "keys": {
            "type": "array",
            "items": {"type": "object", "properties": {"weight": {"type": "integer", "minimum": 0}}},
        },
        "more": {"type": "object", "additionalProperties": {"type": "string", "enum": ["a", "b"]}},
        "on": {"type": "boolean", "default": False},
    },
}


def test_every_field_is_told_with_type_bounds_and_default() -> None:
    assert list(fields_of(SCHEMA, "spec")) == [
        Field("spec.name", "text", "required", "Who."),
        Field("spec.wait", "duration", "`5s`", ""),
        Field("spec.keys", "list of object", "", ""),
        Field("spec.keys[].weight", "integer ≥ 0", "", ""),
        Field("spec.more", "map of one of `a`, `b`", "", ""),
        Field("spec.on", "boolean", "`false`", ""),
    ]


def test_the_pages_are_as_the_schemas_say() -> None:
    stale = [
        str(path.relative_to(ROOT)) for path, text in generated().items() if path.read_text("utf-8") != text
    ]

    assert stale == [], "run `make docs`"
