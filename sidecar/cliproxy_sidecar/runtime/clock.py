"""The only reader of time and randomness in the sidecar.

Everything else takes `now_s` (monotonic), an aware UTC instant or a `Chance` as an argument.
"""

import datetime as dt
import os
import random
import time
from typing import Final

from cliproxy_api.chance import Chance

CHANCE: Final[Chance] = random.Random()  # noqa: S311 -- spreads load and picks targets; nothing secret
"""Seeded by the operating system."""

now_s = time.monotonic  # noqa: TID251 -- this module is where time is read


def utc_now() -> dt.datetime:
    """Return the aware wall-clock time; for dates in headers, logs and answers only."""
    return dt.datetime.now(tz=dt.UTC)  # noqa: TID251 -- this module is where time is read


def unix_now_s() -> float:
    """Return the wall clock as seconds since 1970; cheaper than `utc_now` for log lines."""
    return time.time()  # noqa: TID251 -- this module is where time is read


def secret_bytes() -> bytes:
    """Return 32 bytes that nobody can guess, for salts."""
    return os.urandom(32)


def random_bytes(count: int) -> bytes:
    """Return random bytes for ids of traces and spans; not secret."""
    return random.getrandbits(count * 8).to_bytes(count)


def request_id() -> str:
    """Return a fresh name for one request: `req_` and 24 hex digits; unique, not secret."""
    return "req_" + random.getrandbits(96).to_bytes(12).hex()
