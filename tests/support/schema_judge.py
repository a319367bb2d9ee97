"""Judges objects by a CRD's own schema with the jsonschema library, standing in for the API server.

Knows the few words in which a structural schema differs from JSON Schema: int-or-string and lists that are
maps. CEL is not judged here.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jsonschema
from jsonschema.protocols import Validator

_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value) is not None


def _int_or_string(_: Validator, wanted: Any, instance: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    if wanted and (isinstance(instance, bool) or not isinstance(instance, int | str)):
        yield jsonschema.ValidationError(f"{instance!r} is neither an integer nor a string")


def _unique_keys(
    _: Validator, keys: list[str], instance: Any, __: Any
) -> Iterator[jsonschema.ValidationError]:
    values = [tuple(entry.get(key) for key in keys) for entry in instance if isinstance(entry, dict)]
    if len(set(values)) != len(values):
        yield jsonschema.ValidationError(f"entries must differ in {', '.join(keys)}")


_Judge = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"x-kubernetes-int-or-string": _int_or_string, "x-kubernetes-list-map-keys": _unique_keys},
)


def refusals(schema: dict[str, Any], body: Any) -> list[str]:
    """Return why the schema refuses the object; empty: it does not."""
    judge = _Judge(schema, format_checker=_FORMATS)
    return [f"{error.json_path}: {error.message}" for error in judge.iter_errors(body)]
