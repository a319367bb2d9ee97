"""The difference of two plain values as a minimal JSON patch (RFC 6902): add, remove and replace.

Lists of named entries (containers, volumes) are matched by name, others by position. Orders are not changed
but by the way of a whole replacement, which injection never needs.
"""

from collections.abc import Iterator
from typing import Any

from cliproxy_operator.inject.shape import Json


def diff(old: Any, new: Any, path: str = "") -> list[Json]:
    """Return the operations that turn `old` into `new`; empty if they are equal."""
    return list(_diff(old, new, path))


def _diff(old: Any, new: Any, path: str) -> Iterator[Json]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _objects(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, path)
    elif type(old) is not type(new) or old != new:
        yield {"op": "replace", "path": path, "value": new}


def _objects(old: Json, new: Json, path: str) -> Iterator[Json]:
    for key in old:
        if key not in new:
            yield {"op": "remove", "path": f"{path}/{_escaped(key)}"}
    for key, value in new.items():
        below = f"{path}/{_escaped(key)}"
        if key in old:
            yield from _diff(old[key], value, below)
        else:
            yield {"op": "add", "path": below, "value": value}


def _lists(old: list[Any], new: list[Any], path: str) -> Iterator[Json]:
    if not old and new:
        yield {"op": "replace", "path": path, "value": new}
        return
    work = list(old)
    for number, entry in enumerate(new):
        if number < len(work) and (_key(work[number]) == _key(entry) or len(work) == len(new)):
            yield from _diff(work[number], entry, f"{path}/{number}")
        elif number < len(work):
            yield {"op": "add", "path": f"{path}/{number}", "value": entry}
            work.insert(number, entry)
        else:
            yield {"op": "add", "path": f"{path}/-", "value": entry}
            work.append(entry)
    for number in range(len(work) - 1, len(new) - 1, -1):
        yield {"op": "remove", "path": f"{path}/{number}"}


def _key(entry: Any) -> Any:
    return entry.get("name") if isinstance(entry, dict) else None


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
