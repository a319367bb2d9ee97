"""Values of untrusted JSON, taken by type; what does not fit is named.

Field names are written as callers write them: `messages[2].content[0].image_url.url`.
"""

from typing import Any, Final

MAX_FIELD_CHARS: Final = 200
"""Of a field's name in a message: names may come from the caller."""

Object = dict[str, Any]


class TranslationError(ValueError):
    """One thing that cannot be put into the other format's words.

    In a request it is the caller's to mend, in an answer the provider's fault.
    """

    def __init__(self, field: str, message: str) -> None:
        self.field = field[:MAX_FIELD_CHARS]
        self.message = message
        super().__init__(f"{self.field}: {message}")


def text(value: object, field: str) -> str:
    """Take a string."""
    if isinstance(value, str):
        return value
    raise _mistyped(value, field, "a string")


def mapping(value: object, field: str) -> Object:
    """Take an object."""
    if isinstance(value, dict):
        return value
    raise _mistyped(value, field, "an object")


def sequence(value: object, field: str) -> list[Any]:
    """Take a list."""
    if isinstance(value, list):
        return value
    raise _mistyped(value, field, "a list")


def objects(value: object, field: str) -> list[tuple[str, Object]]:
    """Take a list of objects, each with its own field name."""
    named = [(f"{field}[{place}]", item) for place, item in enumerate(sequence(value, field))]
    return [(name, mapping(item, name)) for name, item in named]


def number(value: object, field: str) -> float:
    """Take a number; a whole one stays whole."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise _mistyped(value, field, "a number")


def whole(value: object, field: str) -> int:
    """Take an integer of at least 0."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _mistyped(value, field, "a whole number, not negative")


def flag(value: object, field: str) -> bool:
    """Take true or false."""
    if isinstance(value, bool):
        return value
    raise _mistyped(value, field, "true or false")


def kind_of(item: Object, field: str) -> str:
    """Take an object's `type`."""
    return text(item.get("type"), f"{field}.type")


def count(value: object) -> int:
    """Read a token count of a provider; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def inner(outer: object, *names: str) -> object:
    """Walk down through objects; None where the way ends. For providers' optional details."""
    for name in names:
        outer = outer.get(name) if isinstance(outer, dict) else None
    return outer


def _mistyped(value: object, field: str, expected: str) -> TranslationError:
    found = {
        type(None): "missing",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }.get(type(value), "something else")
    return TranslationError(field, f"must be {expected}, but is {found}")
