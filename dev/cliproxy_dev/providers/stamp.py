"""The moment and the serial number of one answer: dates, creation times and ids in providers' formats.

Reads the clock once per answer; the formats themselves are left to the callers.
"""

import datetime as dt
from dataclasses import dataclass
from email.utils import format_datetime

from cliproxy_dev import clock

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_FILL = "Kq3vW8ZbTnR5mYxC7dLs"


@dataclass(frozen=True, slots=True)
class Stamp:
    """One answer's number and second. Ids are unique within a provider, of the right length and alphabet."""

    serial: int
    now_utc: dt.datetime
    created_s: int
    http_date: str

    @property
    def rfc3339(self) -> str:
        """The second as providers with RFC 3339 headers write it."""
        return clock.rfc3339(self.now_utc)

    def id(self, prefix: str, length: int, salt: str = "") -> str:
        """Return `prefix` and `length` more characters, at least 10, unique to this answer and `salt`."""
        number, digits = self.serial, ""
        while number:
            number, digit = divmod(number, len(_ALPHABET))
            digits += _ALPHABET[digit]
        return prefix + (salt + _FILL * 2)[: length - 8] + digits.rjust(8, "1")

    def hex_id(self, prefix: str) -> str:
        """Return `prefix` and 32 hexadecimal digits unique to this answer."""
        return f"{prefix}{self.serial:08x}8f14e45fceea167a5a36dedd"


class Stamps:
    """Hands out stamps; writes the date anew only when the second changed."""

    def __init__(self) -> None:
        self._serial = 0
        self._last = Stamp(0, dt.datetime.fromtimestamp(0, tz=dt.UTC), -1, "")

    def take(self) -> Stamp:
        """Return the next stamp, at the current second."""
        self._serial += 1
        now_utc = clock.utc_now()
        created_s = int(now_utc.timestamp())
        last = self._last
        date = last.http_date if created_s == last.created_s else format_datetime(now_utc, usegmt=True)
        self._last = Stamp(self._serial, now_utc, created_s, date)
        return self._last
