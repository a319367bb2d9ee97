"""Named refusals of real providers, ready to be put into a script.

The data are the recorded signals; here they are only moved in time (a record's instants are relative to the
moment it was taken) and, on request, given another wait. Sending them is left to `play.py`.
"""

import datetime as dt
import re
from collections.abc import Callable
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache

from cliproxy_dev.providers.script import Behaviour, Fail, StreamError
from cliproxy_dev.providers.signals import Signal, load_all

_EPOCH = re.compile(r"\b1[789]\d{8}(?:\d{3})?\b")  # seconds or milliseconds of the years 2023 to 2033
_INSTANT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_HTTP_DATE = re.compile(r"^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$")
_TEXT_WAIT = re.compile(r"((?:try again|retry) (?:in|after) )\d[\d.hms]*?(?=\.?(?:[\s\"]| seconds))")
_RETRY_DELAY = re.compile(r'("retryDelay": ?")[\d.]+s"')
_RESETS = re.compile(r'("resets_in_seconds": ?)\d+')
_MILLISECONDS_FROM = 10**12


@cache
def _by_name() -> dict[str, Signal]:
    return {signal.name: signal for signal in load_all()}


def names() -> tuple[str, ...]:
    """Return the names of all presets, such as `anthropic.rate_limit`, sorted."""
    return tuple(_by_name())


def signal(name: str) -> Signal:
    """Return a recorded signal as it was taken; raises KeyError for an unknown name."""
    return _by_name()[name]


def preset(name: str, *, now_utc: dt.datetime, retry_after_s: float | None = None) -> Behaviour:
    """Return the behaviour that answers like the named record, as if it had been taken at `now_utc`.

    `retry_after_s` replaces every wait the record carries (`retry-after` is added where it has none), so that
    a scenario decides how long a cooldown lasts. Raises KeyError for an unknown name.
    """
    record = signal(name)
    headers, body = _moved(record, now_utc)
    if retry_after_s is not None:
        headers, body = _waiting(headers, body, retry_after_s, now_utc)
    if record.stream_event is not None:
        event = _TEXT_WAIT.sub(_text_wait(retry_after_s), record.stream_event)
        return StreamError(event=event, events=1, headers=headers)
    return Fail(status=record.status, headers=headers, body=body)


def _moved(record: Signal, now_utc: dt.datetime) -> tuple[dict[str, str], str]:
    """Shift the record's instants to now. Its Date header is the server's affair unless it tells a skew."""
    taken_utc = dt.datetime.fromisoformat(record.now_utc)
    shift = now_utc.replace(microsecond=0) - taken_utc
    headers = {name: _shifted(value, shift) for name, value in record.headers.items()}
    if record.headers.get("date") == format_datetime(taken_utc, usegmt=True):
        del headers["date"]
    return headers, _EPOCH.sub(lambda found: _later_epoch(found[0], shift), record.body)


def _shifted(value: str, shift: dt.timedelta) -> str:
    if _HTTP_DATE.match(value):
        return format_datetime(parsedate_to_datetime(value) + shift, usegmt=True)
    value = _INSTANT.sub(lambda found: _rfc3339(dt.datetime.fromisoformat(found[0]) + shift), value)
    return _later_epoch(value, shift) if _EPOCH.fullmatch(value) else value


def _later_epoch(value: str, shift: dt.timedelta) -> str:
    unit_per_s = 1000 if int(value) >= _MILLISECONDS_FROM else 1
    return str(int(value) + int(shift.total_seconds()) * unit_per_s)


def _waiting(
    headers: dict[str, str], body: str, wait_s: float, now_utc: dt.datetime
) -> tuple[dict[str, str], str]:
    """Put another wait everywhere the answer names one: headers, exhausted buckets, body, text."""
    out = {name: _reset(name, value, headers, wait_s, now_utc) for name, value in headers.items()}
    out["retry-after"] = f"{wait_s:g}"
    if "retry-after-ms" in out:
        out["retry-after-ms"] = str(round(wait_s * 1000))
    body = _TEXT_WAIT.sub(_text_wait(wait_s), body)
    body = _RETRY_DELAY.sub(rf'\g<1>{wait_s:g}s"', body)
    return out, _RESETS.sub(rf"\g<1>{wait_s:g}", body)


def _reset(name: str, value: str, headers: dict[str, str], wait_s: float, now_utc: dt.datetime) -> str:
    """Return the new value of a reset header whose bucket is empty (or window rejected), else the old one."""
    if "reset" not in name:
        return value
    exhausted = headers.get(name.replace("reset", "remaining")) == "0"
    if not exhausted and headers.get(name.replace("reset", "status")) != "rejected":
        return value
    until_utc = now_utc + dt.timedelta(seconds=wait_s)
    if _INSTANT.fullmatch(value):
        return _rfc3339(until_utc)
    if _EPOCH.fullmatch(value):
        return str(int(until_utc.timestamp()) * (1000 if int(value) >= _MILLISECONDS_FROM else 1))
    return f"{wait_s:g}s" if value.endswith("s") else f"{wait_s:g}"


def _text_wait(wait_s: float | None) -> Callable[[re.Match[str]], str]:
    def replace(found: re.Match[str]) -> str:
        if wait_s is None:
            return found[0]
        unit = "" if found.string[found.end() :].startswith(" seconds") else "s"
        return f"{found[1]}{wait_s:g}{unit}"

    return replace


def _rfc3339(moment_utc: dt.datetime) -> str:
    return moment_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
