"""A sidecar whose clock is wrong: `python -m cliproxy_dev.faults.skewed SECONDS` runs it that far ahead.

Everything of ours that reads the wall clock is told the wrong time; monotonic time, and the wall clock that
the TLS library reads for itself, are the machine's.
"""

import datetime as dt
import sys

from cliproxy_sidecar.runtime import clock


def skew(ahead_s: float) -> None:
    """Put the sidecar's wall clock ahead (or back); before anything else of it is imported."""
    right_utc, right_unix_s = clock.utc_now, clock.unix_now_s
    ahead = dt.timedelta(seconds=ahead_s)
    clock.utc_now = lambda: right_utc() + ahead
    clock.unix_now_s = lambda: right_unix_s() + ahead_s


def main() -> int:
    """Run the sidecar with the clock that the command line says."""
    ahead_s = float(sys.argv.pop(1))
    skew(ahead_s)
    from cliproxy_sidecar.__main__ import main as sidecar  # noqa: PLC0415 -- it must find the other clock

    return sidecar()


if __name__ == "__main__":
    sys.exit(main())
