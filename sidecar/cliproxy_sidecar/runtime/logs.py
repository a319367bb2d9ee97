"""Lines on stdout: one per request, and whatever else the process has to say; JSON, or text for people.

`logfile` keeps a copy in a file where the profile wants one. Writing is collected and flushed within
`FLUSH_S` and at exit, so a request does not wait for a pipe. Prompts and credentials never come here; nothing
in this module reads a body or a header.
"""

import asyncio
import atexit
import datetime as dt
import logging
import traceback
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from cliproxy_api.telling import LogFile
from cliproxy_api.vocabulary import LogFormat, LogLevel
from cliproxy_sidecar.runtime.logfile import FileWriter
from cliproxy_sidecar.runtime.logtext import text_line

log = logging.getLogger(__name__)

HIDDEN: Final = "[hidden]"
FLUSH_S: Final = 0.1
MAX_BUFFERED_BYTES: Final = 64 * 1024
"""Flushed at once beyond that; the size of a Linux pipe."""

_NUMBERS: Final = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; all others came in by `extra=`."""
MAX_TEXT_CHARS: Final = 8192
"""Of a message, and of a traceback's end."""


class TokenCounts(msgspec.Struct, frozen=True):
    """Tokens of one request as the provider counted them."""

    input: int = 0
    output: int = 0


class RequestLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The log line of one finished request (design section 13)."""

    timestamp: str
    level: str
    msg: str
    """`request_success` or `request_failed`."""
    provider: str | None
    model: str | None
    request_id: str
    latency_ms: int
    tokens: TokenCounts
    attempts: int
    status: int
    """What the caller got; 499 if the caller left first."""
    stream: bool
    error_class: str | None
    """Outcome class of the last attempt, or the kind of our own refusal; null after success."""
    cache: str | msgspec.UnsetType = msgspec.UNSET
    """"hit" or "shared" where the answer was not made for this request; else left out."""
    consumer: str | None = None
    """Where callers have names; this and what follows is left out where it says nothing."""
    tier: str | None = None
    cost_usd: float | None = None
    """Of all attempts."""
    cost_estimated: bool | None = None
    """Part of the cost stands on tokens that no provider has counted."""
    over_budget: str | None = None
    """Which period's budget was used up before, and what was done about it."""
    trace_id: str | None = None
    """Of the trace that the request was recorded in."""


class LineWriter:
    """Collects lines and writes them soon."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink: BinaryIO | None = sink
        self._lines: list[bytes] = []
        self._bytes = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        """Whose timer flushes; None: each line is flushed."""
        self._armed = False
        self.file: FileWriter | None = None
        """Gets a copy of everything."""

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Flush by this loop's timer from now on; None: after each line."""
        self.loop = loop
        self.flush()

    def write(self, line: bytes) -> None:
        """Take one line without its newline."""
        self._lines.append(line)
        self._bytes += len(line)
        if self.loop is None or self._bytes >= MAX_BUFFERED_BYTES:
            self.flush()
        elif not self._armed:
            self._armed = True
            self.loop.call_later(FLUSH_S, self.flush)

    def flush(self) -> None:
        """Write what is collected; a closed pipe is no reason to stop serving."""
        self._armed = False
        if not self._lines:
            return
        data, lines = b"\n".join(self._lines) + b"\n", len(self._lines)
        self._lines.clear()
        self._bytes = 0
        if self.file is not None and self.file.is_on:
            self.file.offer(data, lines)
        if self._sink is None:
            return
        try:
            self._sink.write(data)
            self._sink.flush()
        except (OSError, ValueError):
            self._sink = None


class Logs:
    """The process's log: request lines and the standard library's records, in one stream."""

    def __init__(self, sink: BinaryIO, *, level: LogLevel = LogLevel.INFO) -> None:
        self.writer = LineWriter(sink)
        self.requests_enabled = True
        """Tested before a request line is built."""
        self._secrets: tuple[str, ...] = ()
        self._text = False
        self.set_level(level)

    def set_level(self, level: LogLevel) -> None:
        """Write records of this level and above; successful requests are told at info."""
        logging.getLogger().setLevel(_NUMBERS[level])
        self.level = level
        self.requests_enabled = level in (LogLevel.DEBUG, LogLevel.INFO)

    def set_format(self, form: LogFormat) -> None:
        """Write lines for machines or for people."""
        self._text = form is LogFormat.TEXT

    def keep(self, path: Path, rules: LogFile | None) -> FileWriter | None:
        """Keep a copy in a file by these rules; None: keep none. Returns what writes it, if anything."""
        writer = self.writer
        if rules is not None and writer.file is None:
            writer.file = FileWriter(path, partial(self._file_told, path))
        if writer.file is not None:
            writer.flush()
            writer.file.configure(rules)
        return writer.file

    def _file_told(self, path: Path, trouble: str | None) -> None:
        """Say on stdout what the file's thread has met."""
        loop = self.writer.loop
        if loop is None or loop.is_closed():
            return
        if trouble is None:
            loop.call_soon_threadsafe(log.info, "the log is written to %s again", path)
        else:
            loop.call_soon_threadsafe(
                log.warning, "the log cannot be written to %s: %s; it goes on on stdout", path, trouble
            )

    def hide(self, secrets: Iterable[str]) -> None:
        """Blot these values out of all records: a provider's text may repeat a key."""
        self._secrets = tuple(secret for secret in secrets if secret)

    def install(self) -> "LogHandler":
        """Make the standard library's root logger write here."""
        handler = LogHandler(self)
        root = logging.getLogger()
        root.handlers[:] = [handler]
        atexit.register(self.writer.flush)
        return handler

    def request(self, line: RequestLine) -> None:
        """Write the line of one finished request that has `requests_enabled`, or has failed."""
        if line.level == "warning" and self.level is LogLevel.ERROR:
            return
        data = text_line(msgspec.to_builtins(line)) if self._text else _ENCODER.encode(line)
        if line.error_class is not None:
            # Who gets things wrong may put a key where a model's name belongs.
            for secret in self._secrets:
                data = data.replace(secret.encode(), HIDDEN.encode())
        self.writer.write(data)

    def audit(self, fields: Mapping[str, Any]) -> None:
        """Write an audit line, at every level and as JSON; a text in it may repeat a key like any other."""
        told = {
            name: self._hidden(value) if isinstance(value, str) else value for name, value in fields.items()
        }
        self.writer.write(_ENCODER.encode(told))

    def record(self, record: logging.LogRecord) -> None:
        """Write one record of the standard library's loggers, its `extra` fields included."""
        line: dict[str, Any] = {
            "timestamp": rfc3339(record.created),
            "level": record.levelname.lower(),
            "msg": self._hidden(record.getMessage()[:MAX_TEXT_CHARS]),
            "logger": record.name,
        }
        for name, value in vars(record).items():
            if name not in _OWN and not name.startswith("_") and name not in line:
                line[name] = self._hidden(value) if isinstance(value, str) else value
        if record.exc_info and record.exc_info[0] is not None:
            trace = "".join(traceback.format_exception(*record.exc_info))
            line["traceback"] = self._hidden(trace)[-MAX_TEXT_CHARS:]
        self.writer.write(text_line(line) if self._text else _ENCODER.encode(line))

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


class LogHandler(logging.Handler):
    """The bridge from the standard library's loggers."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a record that cannot be formatted is a bug told on stderr by the base class."""
        try:
            self._logs.record(record)
        except (TypeError, ValueError):
            self.handleError(record)


def rfc3339(unix_s: float) -> str:
    """Write an instant as RFC 3339 in UTC with milliseconds."""
    global _second, _second_text  # noqa: PLW0603 -- formatting the date once a second, not once a line
    second = int(unix_s)
    if second != _second:
        _second_text = dt.datetime.fromtimestamp(second, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _second = second
    return _second_text + _MILLISECONDS[int(unix_s * 1000) % 1000]


_MILLISECONDS: Final = tuple(f".{number:03d}Z" for number in range(1000))
_second = -1
_second_text = ""
