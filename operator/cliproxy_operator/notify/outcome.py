"""What came of one try to tell a channel: delivered, worth another try, or not before something changes.

Messages are for people and for status: they name what to do and never hold a secret or a receiver's words
(a receiver may be anything inside the cluster, and status is read by many).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias

MAX_RETRY_AFTER_S: Final = 3600.0
"""A receiver may ask for no longer a pause; an alert that comes tomorrow is none."""
_TRY_AGAIN: Final = frozenset({408, 425, 429})
_REDIRECTS: Final = range(300, 400)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""

    note: str = ""
    """What was not quite well all the same."""


@dataclass(frozen=True, slots=True)
class Later:
    """Another try may work."""

    message: str
    after_s: float = 0.0
    """Not before that many seconds, by the receiver's own word."""


@dataclass(frozen=True, slots=True)
class Never:
    """No try works until somebody changes something."""

    message: str


Outcome: TypeAlias = Delivered | Later | Never


def of_status(status: int, retry_after: str | None, now_utc: datetime) -> Outcome:
    """Judge an HTTP answer."""
    if 200 <= status < 300:  # noqa: PLR2004 -- success
        return Delivered()
    if status in _TRY_AGAIN or status >= 500:  # noqa: PLR2004 -- the receiver's own trouble
        return Later(f"the receiver answered {status}", retry_after_s(retry_after, now_utc))
    if status in _REDIRECTS:
        return Never(f"the receiver answered {status}; redirects are not followed: name the final address")
    if status in (401, 403):
        return Never(f"the receiver answered {status}: it does not accept the Secret's value")
    if status in (404, 410):
        return Never(f"the receiver answered {status}: nothing listens at this address any more")
    return Never(f"the receiver answered {status}: it does not take the message")


def retry_after_s(value: str | None, now_utc: datetime) -> float:
    """Read a Retry-After header as seconds from now, 0 to an hour; 0 if there is none or it is unreadable.

    Source: RFC 9110 section 10.2.3: delay-seconds or HTTP-date.
    """
    if value is None:
        return 0.0
    try:
        if value.strip().isdecimal():
            seconds = float(value[:12])
        else:
            moment = parsedate_to_datetime(value)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            seconds = (moment - now_utc).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
