"""A record is one line of JSON, whatever it carries."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from cliproxy_api.vocabulary import LogLevel
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.logs import Seldom, set_up


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, held = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    touched = [name for name in list(logging.root.manager.loggerDict) if name.startswith(("kopf", "uvicorn"))]
    levels = {name: logging.getLogger(name).level for name in touched}
    set_up(LogLevel.INFO, held)
    yield held
    root.handlers[:] = before
    root.setLevel(level)
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_fields_stand_beside_the_message(stream: io.StringIO) -> None:
    logging.getLogger("cliproxy_operator.test").info(
        "said %s", "so", extra={"provider": "a/b", "seconds": 1.5}
    )

    (line,) = lines(stream)
    assert line["msg"] == "said so"
    assert line["level"] == "info"
    assert line["logger"] == "cliproxy_operator.test"
    assert line["provider"] == "a/b"
    assert line["seconds"] == 1.5
    assert str(line["timestamp"]).endswith("+00:00")


def test_a_traceback_is_a_field(stream: io.StringIO) -> None:
    try:
        dict[str, str]()["a defect"]
    except KeyError:
        logging.getLogger("cliproxy_operator.test").exception("failed")

    (line,) = lines(stream)
    assert "KeyError: 'a defect'" in str(line["error"])


def test_odd_fields_and_secrets_do_no_harm(stream: io.StringIO) -> None:
    odd = {("a", 1): {2}, "self": object()}
    logging.getLogger("cliproxy_operator.test").warning(
        "odd", extra={"odd": odd, "token": Hidden("sk-planted")}
    )

    (line,) = lines(stream)
    assert line["msg"] == "odd"
    assert "sk-planted" not in stream.getvalue()


def test_chatter_is_left_out(stream: io.StringIO) -> None:
    logging.getLogger("kopf.objects").info("Handler succeeded.")
    logging.getLogger("cliproxy_operator.test").debug("detail")

    assert lines(stream) == []


def test_a_retry_loop_says_it_once() -> None:
    seldom = Seldom(every_s=30)

    def record(text: str, at_s: float) -> logging.LogRecord:
        made = logging.makeLogRecord({"msg": text})
        made.created = at_s
        return made

    assert seldom.filter(record("Request attempt #1 failed", 100))
    assert not seldom.filter(record("Request attempt #2 failed", 102))
    assert seldom.filter(record("Another thing", 103))
    assert seldom.filter(record("Request attempt #22 failed", 131))
