"""Log records as JSON lines on stdout: `timestamp, level, logger, msg` and the record's own fields.

kopf's loggers are turned down here; what is worth a line is decided where it is written.
"""

import datetime as dt
import logging
import sys
from typing import Any, Final, TextIO

import msgspec

from cliproxy_api.vocabulary import LogLevel

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; all others came in by `extra=`."""
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)
MAX_TEXT_CHARS: Final = 8192


class JsonLines(logging.Formatter):
    """One record, one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object; never raises for odd fields."""
        line: dict[str, Any] = {
            "timestamp": dt.datetime.fromtimestamp(record.created, tz=dt.UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage()[:MAX_TEXT_CHARS],
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OWN and _plain_key(key)}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)[-MAX_TEXT_CHARS:]
        try:
            return _ENCODER.encode(line).decode()
        except (TypeError, ValueError, msgspec.MsgspecError):
            return _ENCODER.encode({key: str(value) for key, value in line.items()}).decode()


class Seldom(logging.Filter):
    """Lets a line of the same logger and beginning through once per `every_s`; a retry loop says it once."""

    def __init__(self, every_s: float = 30.0, head_chars: int = 160) -> None:
        super().__init__()
        self._every_s = every_s
        self._head_chars = head_chars
        self._last_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        head = "".join(c for c in record.getMessage()[: self._head_chars] if not c.isdigit())
        if record.created - self._last_s.get(head, -self._every_s) < self._every_s:
            return False
        if len(self._last_s) > 1000:  # noqa: PLR2004 -- a bound, not a figure of meaning
            self._last_s.clear()
        self._last_s[head] = record.created
        return True


def set_up(level: LogLevel, stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (stdout) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("cliproxy_operator.audit").setLevel(logging.INFO)  # a quiet log is no quiet audit
    # kopf says "handler succeeded" at INFO for each event of each object, and each retry as an ERROR.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    kopf_level = logging.DEBUG if level is LogLevel.DEBUG else logging.WARNING
    logging.getLogger("kopf").setLevel(kopf_level)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # "OS signals are ignored": ours
    seldom = Seldom()
    for name in (
        "kopf._cogs.clients.watching",
        "kopf._core.reactor.observation",
        "kopf._core.reactor.queueing",
    ):
        logging.getLogger(name).addFilter(seldom)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _plain_key(key: str) -> bool:
    return not key.startswith("_") and key not in {"settings", "k8s_ref", "k8s_skip"}
