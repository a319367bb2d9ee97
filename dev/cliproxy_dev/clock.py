"""The only reader of time in the development tools.

Everything else in this package takes a number or a deadline; tests of pure parts pass their own.
"""

from __future__ import annotations

import datetime as dt
import time


def now_s() -> float:
    """Return monotonic seconds; only differences mean anything."""
    return time.monotonic()  # noqa: TID251 -- this module is where time is read


def utc_now() -> dt.datetime:
    """Return the aware wall-clock time, for timestamps that people and the API server read."""
    return dt.datetime.now(tz=dt.UTC)  # noqa: TID251 -- this module is where time is read


def rfc3339(moment_utc: dt.datetime) -> str:
    """Write an aware UTC time the way Kubernetes does: whole seconds and a Z."""
    return moment_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
