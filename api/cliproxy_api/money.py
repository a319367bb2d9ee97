"""Money as users write it ("12.50", US dollars) and as we count it: integers of a nano-dollar.

A nano-dollar (1e-9 USD) is fine enough for the cheapest price per token times one token, and 64 bits of them
are nine billion dollars. Prices are kept per million tokens, so that they stay whole numbers.
"""

import re
from typing import Final

MONEY_PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
MONEY_HELP: Final = (
    'US dollars as a quoted decimal such as "12.50" (up to 9 digits on either side of the point)'
)

NANO_USD_PER_USD: Final = 1_000_000_000
_DECIMALS: Final = 9
_MONEY: Final = re.compile(MONEY_PATTERN, re.ASCII)


def parse_nano_usd(text: str) -> int:
    """Return the amount in nano-dollars, exactly.

    Raises:
        ValueError: not a decimal amount; the message says what one looks like. The writer's fault.

    """
    if _MONEY.match(text) is None or text.endswith("\n"):
        raise ValueError(f"{text[:40]!r} is not {MONEY_HELP}")
    whole, _, fraction = text.partition(".")
    return int(whole) * NANO_USD_PER_USD + int(fraction.ljust(_DECIMALS, "0"))


def format_nano_usd(nano_usd: int, *, decimals: int = 2) -> str:
    """Return the amount in dollars with at least `decimals` (0 to 9) decimals, more only if it has them.

    Raises:
        ValueError: negative; a bug of the caller.

    """
    if nano_usd < 0:
        raise ValueError(f"{nano_usd} nano-dollars: an amount is never negative")
    whole, fraction = divmod(nano_usd, NANO_USD_PER_USD)
    digits = f"{fraction:09d}".rstrip("0").ljust(decimals, "0")
    return f"{whole}.{digits}" if digits else str(whole)


def round_nano_usd(nano_usd: int, *, decimals: int = 2) -> int:
    """Return the amount rounded half up to `decimals` (0 to 9) decimals of a dollar."""
    step = int(10 ** (_DECIMALS - decimals))
    return (nano_usd + step // 2) // step * step
