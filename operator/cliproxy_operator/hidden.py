"""A text that does not show itself: credential values and tokens on their way through the operator.

Who holds one calls `reveal` at the last moment, where the bytes are written.
"""

from typing import Final


class Hidden:
    """A secret text; its repr, str and format never contain it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text: Final = text

    def reveal(self) -> str:
        """Return the text itself; only for the place that sends it."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "<hidden>"

    __str__ = __repr__
