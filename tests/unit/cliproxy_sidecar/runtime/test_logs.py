"""Log lines: one JSON object each, soon written, without secrets."""

import asyncio
import io
import json
import logging

import pytest

from cliproxy_api.vocabulary import LogLevel
from cliproxy_sidecar.runtime.logs import HIDDEN, LogHandler, Logs, rfc3339


@pytest.fixture
def sink() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def logs(sink: io.BytesIO) -> object:
    level = logging.getLogger().level
    yield Logs(sink)
    logging.getLogger().setLevel(level)


def record(text: str, *args: object, exc_info: object = None) -> logging.LogRecord:
    return logging.LogRecord("a.b", logging.WARNING, "f.py", 1, text, args, exc_info)  # type: ignore[arg-type]


def test_a_record_is_one_line(logs: Logs, sink: io.BytesIO) -> None:
    LogHandler(logs).emit(record("two\nlines of %s", "text"))
    (line,) = sink.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["msg"], told["logger"]) == ("warning", "two\nlines of text", "a.b")
    assert told["timestamp"].endswith("Z")


def test_secrets_are_hidden_in_text_and_traceback(logs: Logs, sink: io.BytesIO) -> None:
    logs.hide(["", "sk-1"])
    error = ValueError("key sk-1")
    logs.record(record("said sk-1", exc_info=(type(error), error, None)))
    assert b"sk-1" not in sink.getvalue()
    told = json.loads(sink.getvalue())
    assert told["msg"] == f"said {HIDDEN}"
    assert f"ValueError: key {HIDDEN}" in told["traceback"]


def test_levels_decide_whether_a_request_line_is_worth_building(logs: Logs) -> None:
    for level, expected in ((LogLevel.DEBUG, True), (LogLevel.INFO, True), (LogLevel.WARNING, False)):
        logs.set_level(level)
        assert logs.requests_enabled is expected


async def test_lines_are_collected_in_a_loop_and_written_soon(logs: Logs, sink: io.BytesIO) -> None:
    logs.writer.attach(asyncio.get_running_loop())
    logs.writer.write(b"{}")
    assert sink.getvalue() == b""
    async with asyncio.timeout(5):
        while not sink.getvalue():  # noqa: ASYNC110 -- a file has no event
            await asyncio.sleep(0.005)
    logs.writer.write(b"x" * 70_000)
    assert sink.getvalue().endswith(b"x\n")
    logs.writer.write(b"last")
    logs.writer.attach(None)
    assert sink.getvalue().endswith(b"\nlast\n")


def test_a_closed_pipe_is_no_reason_to_stop(logs: Logs, sink: io.BytesIO) -> None:
    sink.close()
    logs.writer.write(b"{}")
    logs.writer.write(b"{}")


def test_instants() -> None:
    assert rfc3339(1_795_258_260.0) == "2026-11-21T10:51:00.000Z"
    assert rfc3339(1_795_258_260.5) == "2026-11-21T10:51:00.500Z"
    assert rfc3339(1_795_258_261.999) == "2026-11-21T10:51:01.999Z"
