"""What the data path tells people about itself: JSON-ready values, asked for when somebody looks.

Filled by `wiring`, shown by `admin.operations`; the two sides need not know each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """Where to ask."""

    connections: Callable[[], dict[str, Any]]
    """`GET /v0/operations/connections`."""
    cache: Callable[[], dict[str, Any]]
    """`GET /v0/operations/cache/stats`."""
