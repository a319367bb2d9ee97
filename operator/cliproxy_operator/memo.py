"""What compiling has worked out for objects that are still as they were; one of these per namespace.

Changes no result: a value is used again only for equal inputs. An object is known by the identity of its
`spec`, which `gather` keeps while its content stays; holding it here keeps the identity taken.
"""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Values of this compilation and of the one before; older ones are forgotten."""

    def __init__(self) -> None:
        self._now: dict[tuple[str, int], tuple[object, Any, Any]] = {}
        self._before: dict[tuple[str, int], tuple[object, Any, Any]] = {}

    def begin(self) -> None:
        """Begin a compilation."""
        self._before, self._now = self._now, {}

    def of(self, what: str, spec: object, inputs: Any, work: Callable[[], T]) -> T:
        """Return `work()`, or what it came to for this very `spec` and equal `inputs` before."""
        key = (what, id(spec))
        held = self._now.get(key) or self._before.get(key)
        if held is None or held[1] != inputs:
            held = (spec, inputs, work())
        self._now[key] = held
        value: T = held[2]
        return value
