"""Kubernetes quantities, as far as resources need them: `250m`, `0.5`, `64Mi`, `1e9`.

Source: kubernetes.io, "Quantity" in the API reference (read 2026-11-21).
"""

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Final

_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([A-Za-z]{0,2}|[eE][+-]?[0-9]{1,2})")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
MAX_CHARS: Final = 32


def parse_quantity(text: str) -> Decimal:
    """Return the amount in the unit itself: cores, bytes.

    Raises:
        ValueError: not a quantity that is at least 0; the message says what would do.

    """
    match = _QUANTITY.fullmatch(text) if len(text) <= MAX_CHARS else None
    if match is None:
        raise ValueError(f"{text[:MAX_CHARS]!r} is no quantity such as 250m or 64Mi")
    number, suffix = Decimal(match[1]), match[2]
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    if suffix in _BINARY:
        return number * Decimal(1024 ** _BINARY[suffix])
    try:
        return Decimal(match[1] + suffix)
    except InvalidOperation:
        raise ValueError(f"{text!r} has no unit that Kubernetes knows; try 250m or 64Mi") from None


def write_quantity(resource: str, amount: Decimal) -> str:
    """Return an amount of `cpu` (rounded up to a thousandth) or of bytes (rounded up) as a quantity."""
    if resource == "cpu":
        thousandths = math.ceil(amount * 1000)
        return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)
    whole = math.ceil(amount)
    for suffix, power in (("Gi", 3), ("Mi", 2), ("Ki", 1)):
        if whole % 1024**power == 0:
            return f"{whole // 1024**power}{suffix}"
    return str(whole)
